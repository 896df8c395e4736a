/**
 * What a TRIM record orders: the records of a guest's stream, or of all of them, up to a seqnum are gone.
 *
 *   offset  size  field of the step's payload
 *        0     8  upTo, f64
 *        8     …  the stream's tag in UTF-8; nothing for all streams of guests
 */
import { NeapError } from "../errors.ts";
import { type SeqNum, seqNum, type Tag, tag } from "../ids.ts";
import { isGuestTag } from "../tags.ts";
import { RecordKind } from "./kinds.ts";
import type { NewRecord } from "./logbook.ts";
import { decodeStep, encodeStep, NO_FINGERPRINT } from "./step-record.ts";

export interface Trim {
  /** null: all streams of guests. */
  readonly tag: Tag | null;
  /** The last seqnum that is gone. */
  readonly upTo: SeqNum;
}

const UP_TO_BYTES = 8;

/** The payload of the step. */
export function encodeTrim({ tag: name, upTo }: Trim): Uint8Array {
  const text = Buffer.from(name ?? "");
  const payload = Buffer.allocUnsafe(UP_TO_BYTES + text.byteLength);
  payload.writeDoubleLE(upTo, 0);
  payload.set(text, UP_TO_BYTES);
  return payload;
}

/** @param data  of a record that `checkTrim` has passed */
export function decodeTrim(data: Uint8Array): Trim {
  const { payload } = decodeStep(data);
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const name = bytes.toString("utf8", UP_TO_BYTES);
  return { tag: name === "" ? null : (name as Tag), upTo: bytes.readDoubleLE(0) as SeqNum };
}

/** A trim that is no step. */
export function trimRecord(trim: Trim): NewRecord {
  return { kind: RecordKind.trim, tags: [], data: encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeTrim(trim)) };
}

/**
 * @throws BAD_RECORD  the data is no trim
 * @throws BAD_SEQNUM  upTo is not a whole number in range
 * @throws BAD_TAG     the tag is not one of a guest's streams: the host's own are never trimmed (F36)
 */
export function checkTrim(data: Uint8Array): void {
  if (decodeStep(data).payload.byteLength < UP_TO_BYTES) {
    throw new NeapError("BAD_RECORD", `a trim has ${data.byteLength} bytes, which is too few`);
  }
  const { tag: name, upTo } = decodeTrim(data);
  seqNum(upTo);
  if (name !== null && !isGuestTag(tag(name))) {
    throw new NeapError("BAD_TAG", `a trim names ${JSON.stringify(name)}, only streams of guests can be trimmed`);
  }
}
