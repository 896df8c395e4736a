/** Calls that move to another node, over the connection between the two. */
import { Type } from "typebox";
import { NeapError } from "../../state/errors.ts";
import { Bytes, Count, fields, method, type Peer, Text } from "../../state/remote/index.ts";
import { type CallTaker, decodeMovedCall, encodeMovedCall, type MovedCall, type MoveReply } from "./moved-call.ts";
import { dropState, type HeldStates, nextRun, sendState, sizeBeside, takeState } from "./remote-state.ts";

const KINDS = ["logged", "ended", "refused", "lost"] as const;
/** run, call, guest, or nothing if it was sent ahead → kind, return value, trap or reason, output, bytes of an output that is to be taken */
const MOVE_CALL = method(
  "offload.move",
  Type.Tuple([Count, Bytes, Bytes]),
  Type.Tuple([Count, Type.Integer(), Text, Bytes, Count]),
);
const NOTHING = new Uint8Array(0);

/** The storage node at the other end of a connection as one that takes calls. */
export function remoteTaker(peer: Peer): CallTaker {
  return {
    name: `storage@${peer.name}`,
    async take(call): Promise<MoveReply> {
      const run = nextRun();
      const { guest } = call;
      const state = { delta: guest, hostState: NOTHING };
      try {
        await sendState(peer, run, state);
        const [kind, returnValue, text, output, sizeBytes] = await peer.request(MOVE_CALL, [
          run,
          encodeMovedCall(call),
          sizeBeside(state).sizeBytes > 0 ? NOTHING : guest,
        ]);
        switch (KINDS[kind]) {
          case "logged":
            return { kind: "logged" };
          case "ended": {
            const taken = sizeBytes === 0 ? output : (await takeState(peer, run, { deltaBytes: sizeBytes, sizeBytes })).delta;
            return { kind: "ended", returnValue, trap: text, output: Uint8Array.from(taken) };
          }
          case "refused":
            return { kind: "refused", reason: text };
          default:
            return { kind: "lost", reason: text };
        }
      } catch (error) {
        if (error instanceof NeapError) {
          return { kind: "lost", reason: error.message };
        }
        throw error;
      } finally {
        dropState(peer, run);
      }
    },
  };
}

/** From now on `taker` goes on with the calls that this node sends. */
export function serveMoves(peer: Peer, taker: CallTaker, states: HeldStates): void {
  peer.handle(MOVE_CALL, async ([run, body, guest]) => {
    const reply = await taker.take(received(body, states.sent(run, 0)?.hostState ?? own(guest)));
    const kind = KINDS.indexOf(reply.kind);
    if (reply.kind !== "ended") {
      return fields(kind, 0, reply.kind === "logged" ? "" : reply.reason, NOTHING, 0);
    }
    const { returnValue, trap, output } = reply;
    const state = { delta: output, hostState: NOTHING };
    const { sizeBytes } = sizeBeside(state);
    if (sizeBytes === 0) {
      return fields(kind, returnValue, trap, output, 0);
    }
    states.keep(run, state);
    return fields(kind, returnValue, trap, NOTHING, sizeBytes);
  });
}

/** @throws BAD_MESSAGE */
function received(body: Uint8Array, guest: Uint8Array): MovedCall {
  try {
    return decodeMovedCall(own(body), guest);
  } catch (error) {
    throw new NeapError("BAD_MESSAGE", "the bytes are no call that moves", { cause: error });
  }
}

/** A copy: the message's buffer is used again. */
function own(bytes: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes);
}
