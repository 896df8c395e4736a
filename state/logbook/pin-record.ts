/**
 * What the data of a PIN record begins with: u32 position of the step stream at which RESUME follows; u8 1 and f64 seqnum, u8 role, u32
 * counter of the instance's newest write without a step, or u8 0 when it has made none. The reads follow, which are not looked at here.
 */
import { ByteReader, type ByteWriter } from "../bytes.ts";
import type { SeqNum } from "../ids.ts";
import type { CellVersion } from "./cells.ts";

export interface PinHead {
  readonly position: number;
  /** Writes without a step up to this one were done: whoever goes on does not make them again. */
  readonly written: CellVersion | null;
}

export function writePinHead(w: ByteWriter, { position, written }: PinHead): ByteWriter {
  w.u32(position);
  return written === null ? w.u8(0) : w.u8(1).f64(written.seqnum).u8(written.role).u32(written.counter);
}

/** @throws RangeError when it is malformed */
export function readPinHead(r: ByteReader): PinHead {
  const position = r.u32();
  if (r.u8() === 0) {
    return { position, written: null };
  }
  return { position, written: { seqnum: r.f64() as SeqNum, role: r.u8() === 0 ? 0 : 1, counter: r.u32() } };
}

export function pinHeadOf(data: Uint8Array): PinHead {
  return readPinHead(new ByteReader(data));
}
