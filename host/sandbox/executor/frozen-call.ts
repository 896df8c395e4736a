/**
 * A call that was stopped in the middle, as bytes, which only a sandbox opens.
 *
 * Layout: snapshot hash | result of the import (type u8, bits u64) | stack | host state | delta to the end.
 */
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import { shared } from "../frames/shared-bytes.ts";
import type { GuestState } from "../sandbox.ts";
import type { ImportResult } from "./freezer.ts";

export interface FrozenCall {
  readonly snapshotHash: string;
  /** Of the import in which it was stopped; null: that is entered again. */
  readonly result: ImportResult | null;
  readonly stack: Uint8Array;
  readonly state: GuestState;
}

const Result = { none: 0, nothing: 1, number: 2, bigint: 3 } as const;

/** Many bytes are in shared memory. */
export function encodeFrozenCall({ snapshotHash, result, stack, state }: FrozenCall): Uint8Array {
  const { delta, hostState } = state;
  const w = new ByteWriter(256 + stack.byteLength + hostState.byteLength).text(snapshotHash);
  if (result === null) {
    w.u8(Result.none).f64(0);
  } else if (typeof result.value === "bigint") {
    w.u8(Result.bigint).i64(result.value);
  } else if (typeof result.value === "number") {
    w.u8(Result.number).f64(result.value);
  } else {
    w.u8(Result.nothing).f64(0);
  }
  return shared(w.bytes(stack).bytes(hostState).view(), delta);
}

/** The parts are views of `bytes`. @throws RangeError or TypeError for bytes that are no frozen call */
export function decodeFrozenCall(bytes: Uint8Array): FrozenCall {
  const r = new ByteReader(bytes);
  const snapshotHash = r.text();
  const result = readResult(r);
  const stack = r.bytes();
  const hostState = r.bytes();
  return { snapshotHash, result, stack, state: { hostState, delta: r.raw(r.remaining) } };
}

function readResult(r: ByteReader): ImportResult | null {
  const kind = r.u8();
  if (kind === Result.bigint) {
    return { value: r.i64() };
  }
  const value = r.f64();
  switch (kind) {
    case Result.none:
      return null;
    case Result.nothing:
      return { value: undefined };
    case Result.number:
      return { value };
    default:
      throw new RangeError(`a frozen call with a result of kind ${kind}`);
  }
}
