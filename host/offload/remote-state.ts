/**
 * Large states of storage parts, and of calls that move, between nodes: in pieces, as one message of some MiB would keep both main threads for long (H27).
 *
 * The asking node says the number of a run. It sends the state ahead of the run, and takes that of the reply after it.
 */
import { NeapError } from "../../state/errors.ts";
import { method, type Peer } from "../../state/remote/index.ts";
import { Bytes, Count, Nothing, tuple } from "../../state/shape.ts";
import { SHARED_MIN_BYTES } from "../sandbox/frames/shared-bytes.ts";
import type { GuestState } from "../sandbox/sandbox.ts";

/** Packing, joining and masking it takes half a millisecond. */
export const STATE_PIECE_BYTES = 128 * 1024;
/** Sent before the first one of them is answered: on loopback the two nodes then work at the same time. */
const PIECES_UNDER_WAY = 4;
/** Of one node. */
const HELD_MAX_BYTES = 256 * 1024 * 1024;

/** run, bytes of the whole state, offset, piece */
const SEND_STATE = method("offload.sendState", tuple(Count, Count, Count, Bytes), Nothing);
/** run, offset → piece */
const TAKE_STATE = method("offload.takeState", tuple(Count, Count), Bytes);
/** run; a notice */
const DROP_STATE = method("offload.dropState", Count, Nothing);

export const NO_STATE: GuestState = { delta: new Uint8Array(0), hostState: new Uint8Array(0) };

/** What stands in a message for a state that travels beside it; 0 for one that is in the message. */
export interface StateSize {
  readonly deltaBytes: number;
  readonly sizeBytes: number;
}

export function sizeBeside({ delta, hostState }: GuestState): StateSize {
  const sizeBytes = delta.byteLength + hostState.byteLength;
  return { deltaBytes: delta.byteLength, sizeBytes: sizeBytes > SHARED_MIN_BYTES ? sizeBytes : 0 };
}

export async function sendState(peer: Peer, run: number, state: GuestState): Promise<void> {
  const { sizeBytes } = sizeBeside(state);
  const underWay: Promise<null>[] = [];
  try {
    for (let offset = 0; offset < sizeBytes; ) {
      const piece = pieceOf(state, offset);
      underWay.push(peer.request(SEND_STATE, [run, sizeBytes, offset, piece]));
      offset += piece.byteLength;
      if (underWay.length === PIECES_UNDER_WAY) {
        await underWay.shift();
      }
    }
  } finally {
    await Promise.all(underWay);
  }
}

/** @throws BAD_MESSAGE  the other node has less of it than it said */
export async function takeState(peer: Peer, run: number, { deltaBytes, sizeBytes }: StateSize): Promise<GuestState> {
  const bytes = new Uint8Array(new SharedArrayBuffer(sizeBytes));
  for (let offset = 0; offset < sizeBytes; ) {
    const piece = await peer.request(TAKE_STATE, [run, offset]);
    if (piece.byteLength === 0 || piece.byteLength > sizeBytes - offset) {
      throw new NeapError("BAD_MESSAGE", `a state of ${sizeBytes} bytes ends at ${offset + piece.byteLength}`);
    }
    offset += put(piece, bytes, offset);
  }
  return split(bytes, deltaBytes);
}

const runs = new WeakMap<Peer, number>();

/** Names a run among those of a connection: not of the process, where a seed's trace would depend on what ran before it. */
export function nextRun(peer: Peer): number {
  const run = (runs.get(peer) ?? 0) + 1;
  runs.set(peer, run);
  return run;
}

/** The other node need not keep anything of the run. */
export function dropState(peer: Peer, run: number): void {
  peer.notify(DROP_STATE, run);
}

/** The states that one node has sent, and has still to take. */
export class HeldStates {
  /** Of the node at the other end of this connection. */
  static serve(peer: Peer): HeldStates {
    const states = new HeldStates();
    states.#serve(peer);
    return states;
  }

  readonly #sent = new Map<number, Uint8Array>();
  readonly #toTake = new Map<number, GuestState>();
  #heldBytes = 0;

  #serve(peer: Peer): void {
    peer.handle(SEND_STATE, async ([run, sizeBytes, offset, piece]) => {
      const bytes = this.#sent.get(run) ?? this.#begin(run, sizeBytes);
      if (offset + piece.byteLength > bytes.byteLength) {
        throw new NeapError("BAD_MESSAGE", `a state of ${bytes.byteLength} bytes has no ${piece.byteLength} at ${offset}`);
      }
      put(piece, bytes, offset);
      return null;
    });
    peer.handle(TAKE_STATE, async ([run, offset]) => {
      const state = this.#toTake.get(run);
      if (state === undefined) {
        throw new NeapError("BAD_MESSAGE", `run ${run} has left no state`);
      }
      return pieceOf(state, offset);
    });
    peer.handle(DROP_STATE, async (run) => {
      this.#forget(run);
      return null;
    });
  }

  /** What was sent ahead of a run; null when nothing was. */
  sent(run: number, deltaBytes: number): GuestState | null {
    const bytes = this.#sent.get(run);
    return bytes === undefined ? null : split(bytes, deltaBytes);
  }

  /** What was sent ahead of a run, and is held no longer; null when nothing was. */
  claim(run: number): Uint8Array | null {
    const bytes = this.#sent.get(run);
    if (bytes === undefined) {
      return null;
    }
    this.#sent.delete(run);
    this.#heldBytes -= bytes.byteLength;
    return bytes;
  }

  /** From now on the state can be taken, until it is dropped. @throws BAD_MESSAGE  the node leaves too many */
  keep(run: number, state: GuestState): void {
    this.#count(sizeBeside(state).sizeBytes);
    this.#toTake.set(run, state);
  }

  #begin(run: number, sizeBytes: number): Uint8Array {
    this.#count(sizeBytes);
    const bytes = new Uint8Array(new SharedArrayBuffer(sizeBytes));
    this.#sent.set(run, bytes);
    return bytes;
  }

  #count(sizeBytes: number): void {
    if (this.#heldBytes + sizeBytes > HELD_MAX_BYTES) {
      throw new NeapError("BAD_MESSAGE", `more than ${HELD_MAX_BYTES} bytes of states are held for one node`);
    }
    this.#heldBytes += sizeBytes;
  }

  #forget(run: number): void {
    const left = this.#toTake.get(run);
    this.#heldBytes -= (this.#sent.get(run)?.byteLength ?? 0) + (left === undefined ? 0 : sizeBeside(left).sizeBytes);
    this.#sent.delete(run);
    this.#toTake.delete(run);
  }
}

/**
 * Returns the bytes of the piece, which is no more: its memory takes the next one. The collector would come late, and to the kernel each page
 * it has to give costs four times what copying into it does.
 */
function put(piece: Uint8Array, bytes: Uint8Array, offset: number): number {
  const { buffer, byteLength } = piece;
  bytes.set(piece, offset);
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) {
    buffer.transfer(0);
  }
  return byteLength;
}

/** Both parts one after the other; a view. */
function pieceOf({ delta, hostState }: GuestState, offset: number): Uint8Array {
  const isDelta = offset < delta.byteLength;
  const start = isDelta ? offset : offset - delta.byteLength;
  return (isDelta ? delta : hostState).subarray(start, start + STATE_PIECE_BYTES);
}

function split(bytes: Uint8Array, deltaBytes: number): GuestState {
  return { delta: bytes.subarray(0, deltaBytes), hostState: bytes.subarray(deltaBytes) };
}
