/** Storage parts over the connection between nodes: the caller's side and the storage node's. */
import { NeapError } from "../../state/errors.ts";
import { Bytes, method, Nothing, type Peer } from "../../state/remote/index.ts";
import type { StoragePool } from "./offload.ts";
import {
  decodePartReply,
  decodePartRequest,
  encodePartReply,
  encodePartRequest,
  type PartReply,
  type PartRequest,
} from "./part.ts";

const RUN_PART = method("offload.run", Bytes, Bytes);
const CANCEL_PART = method("offload.cancel", Bytes, Nothing);

/** The pool of the storage node at the other end of a connection, as a compute node sees it. */
export function remoteStoragePool(peer: Peer): StoragePool {
  return {
    name: `storage@${peer.name}`,
    async run(request: PartRequest): Promise<PartReply> {
      try {
        return decodePartReply(await peer.request(RUN_PART, encodePartRequest(request)));
      } catch (error) {
        if (error instanceof NeapError || error instanceof RangeError || error instanceof TypeError) {
          return { kind: "lost", reason: error.message };
        }
        throw error;
      }
    },
    cancel(request: PartRequest): void {
      peer.notify(CANCEL_PART, encodePartRequest(withoutState(request)));
    },
  };
}

/** From now on `pool` runs the parts that this node sends. */
export function serveParts(peer: Peer, pool: StoragePool): void {
  peer.handle(RUN_PART, async (body) => encodePartReply(await pool.run(received(body))));
  peer.handle(CANCEL_PART, async (body) => {
    pool.cancel(received(body));
    return null;
  });
}

/** @throws BAD_MESSAGE */
function received(body: Uint8Array): PartRequest {
  try {
    // A copy of its own: the message's buffer is used again.
    return decodePartRequest(Uint8Array.prototype.slice.call(body));
  } catch (error) {
    throw new NeapError("BAD_MESSAGE", "the bytes are no storage part", { cause: error });
  }
}

/** What names an offer, without its memory. */
function withoutState(request: PartRequest): PartRequest {
  const none = new Uint8Array(0);
  return { ...request, init: none, part: { ...request.part, state: { delta: none, hostState: none } } };
}
