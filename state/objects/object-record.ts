/**
 * The payload of a `write` record, after the step header:
 *
 *   offset  size  field
 *        0     1  0 = inline, 1 = blob
 *        1     8  size of the value in bytes, f64
 *        9     …  the value itself, or the blob's name in UTF-8
 *
 * A `delete` record has no payload. The key is in the record's object tag.
 *
 * Among other fields a value, or that there is none, is
 *
 *   u8 0 = absent | u8 1 = inline, its bytes | u8 2 = blob, its name, f64 size
 */
import { type ByteReader, type ByteWriter, f64At } from "../bytes.ts";
import type { BlobName } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { LogRecord } from "../logbook/logbook.ts";
import { decodeStep } from "../logbook/step-record.ts";
import type { BlobRef } from "./blobs.ts";

/** Values up to this size travel inside the record. */
export const INLINE_MAX_BYTES = 4096;

export type ObjectValue =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "blob"; readonly ref: BlobRef };

const PAYLOAD_HEADER_BYTES = 9;

export function encodeObjectValue(value: ObjectValue): Uint8Array {
  const rest = value.kind === "inline" ? value.bytes : Buffer.from(value.ref.name);
  const payload = Buffer.allocUnsafe(PAYLOAD_HEADER_BYTES + rest.byteLength);
  payload[0] = value.kind === "inline" ? 0 : 1;
  payload.writeDoubleLE(value.kind === "inline" ? rest.byteLength : value.ref.sizeBytes, 1);
  payload.set(rest, PAYLOAD_HEADER_BYTES);
  return payload;
}

/** The value a record of an object's stream gives it; null after a delete. Inline bytes are a view of the record. */
export function decodeObjectValue(record: LogRecord): ObjectValue | null {
  if (record.kind !== RecordKind.write) {
    return null;
  }
  return objectValueOf(decodeStep(record.data).payload);
}

/** The inverse of `encodeObjectValue`. */
export function objectValueOf(payload: Uint8Array): ObjectValue {
  const rest = payload.subarray(PAYLOAD_HEADER_BYTES);
  if (payload[0] === 0) {
    return { kind: "inline", bytes: rest };
  }
  const sizeBytes = f64At(payload, 1);
  return { kind: "blob", ref: { name: Buffer.from(rest).toString() as BlobName, sizeBytes } };
}

const ABSENT = 0;
const INLINE = 1;
const BLOB = 2;

export function writeValue(w: ByteWriter, value: ObjectValue | null): void {
  if (value === null) {
    w.u8(ABSENT);
  } else if (value.kind === "inline") {
    w.u8(INLINE).bytes(value.bytes);
  } else {
    w.u8(BLOB).text(value.ref.name).f64(value.ref.sizeBytes);
  }
}

/** The inverse of `writeValue`. */
export function readValue(r: ByteReader): ObjectValue | null {
  const kind = r.u8();
  if (kind === ABSENT) {
    return null;
  }
  return kind === INLINE
    ? { kind: "inline", bytes: r.bytes() }
    : { kind: "blob", ref: { name: r.text() as BlobName, sizeBytes: r.f64() } };
}

export function objectSize(value: ObjectValue): number {
  return value.kind === "inline" ? value.bytes.byteLength : value.ref.sizeBytes;
}
