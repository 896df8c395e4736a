/** Storage parts over the connection between nodes: the caller's side and the storage node's. */
import { NeapError } from "../../state/errors.ts";
import { fields, method, type Peer } from "../../state/remote/index.ts";
import { Bytes, Count, Nothing, tuple } from "../../state/shape.ts";
import type { GuestState } from "../sandbox/sandbox.ts";
import type { StoragePool } from "./offload.ts";
import {
  decodePartReply,
  decodePartRequest,
  encodePartReply,
  encodePartRequest,
  type PartReply,
  type PartRequest,
} from "./part.ts";
import { dropState, HeldStates, NO_STATE, nextRun, sendState, sizeBeside, takeState } from "./remote-state.ts";

/** run, request, bytes of the delta if the state was sent ahead → reply; of a state that is to be taken bytes of delta and all */
const RUN_PART = method("offload.run", tuple(Count, Bytes, Count), tuple(Bytes, Count, Count));
const CANCEL_PART = method("offload.cancel", Bytes, Nothing);

/** The pool of the storage node at the other end of a connection, as a compute node sees it. */
export function remoteStoragePool(peer: Peer): StoragePool {
  const cancelled = new WeakSet<PartRequest>();
  return {
    name: `storage@${peer.name}`,
    async run(request: PartRequest): Promise<PartReply> {
      const { state } = request.part;
      const { deltaBytes, sizeBytes } = sizeBeside(state);
      const run = nextRun(peer);
      let isHeld = sizeBytes > 0;
      try {
        await sendState(peer, run, state);
        if (cancelled.has(request)) {
          return { kind: "lost", reason: "the caller no longer waits for the part", mayGoOn: false };
        }
        const sent = encodePartRequest(isHeld ? withState(request, NO_STATE) : request);
        const [answer, deltaBackBytes, backBytes] = await peer.request(RUN_PART, [run, sent, isHeld ? deltaBytes : 0]);
        const reply = decodePartReply(answer);
        if (reply.kind !== "done" || backBytes === 0) {
          return reply;
        }
        isHeld = true;
        return { ...reply, state: await takeState(peer, run, { deltaBytes: deltaBackBytes, sizeBytes: backBytes }) };
      } catch (error) {
        if (error instanceof NeapError || error instanceof RangeError || error instanceof TypeError) {
          return { kind: "lost", reason: error.message, mayGoOn: true };
        }
        throw error;
      } finally {
        if (isHeld) {
          dropState(peer, run);
        }
      }
    },
    cancel(request: PartRequest): void {
      cancelled.add(request);
      peer.notify(CANCEL_PART, encodePartRequest({ ...withState(request, NO_STATE), init: NO_STATE.delta }));
    },
  };
}

/** From now on `pool` runs the parts that this node sends. */
export function serveParts(peer: Peer, pool: StoragePool, states: HeldStates = HeldStates.serve(peer)): void {
  peer.handle(RUN_PART, async ([run, body, deltaBytes]) => {
    const request = received(body);
    const state = states.sent(run, deltaBytes);
    const reply = await pool.run(state === null ? request : withState(request, state));
    const back = reply.kind === "done" ? sizeBeside(reply.state) : NOTHING_BESIDE;
    if (reply.kind !== "done" || back.sizeBytes === 0) {
      return fields(encodePartReply(reply), 0, 0);
    }
    states.keep(run, reply.state);
    return fields(encodePartReply({ ...reply, state: NO_STATE }), back.deltaBytes, back.sizeBytes);
  });
  peer.handle(CANCEL_PART, async (body) => {
    pool.cancel(received(body));
    return null;
  });
}

const NOTHING_BESIDE = { deltaBytes: 0, sizeBytes: 0 };

/** @throws BAD_MESSAGE */
function received(body: Uint8Array): PartRequest {
  try {
    // A copy of its own: the message's buffer is used again.
    return decodePartRequest(Uint8Array.prototype.slice.call(body));
  } catch (error) {
    throw new NeapError("BAD_MESSAGE", "the bytes are no storage part", { cause: error });
  }
}

function withState(request: PartRequest, state: GuestState): PartRequest {
  return { ...request, part: { ...request.part, state } };
}
