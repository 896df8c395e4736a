/**
 * The payload of a `write` record, after the step header:
 *
 *   offset  size  field
 *        0     1  0 = inline, 1 = blob
 *        1     8  size of the value in bytes, f64
 *        9     …  the value itself, or the blob's name in UTF-8
 *
 * A `delete` record has no payload. The key is in the record's object tag.
 */
import { f64At } from "../bytes.ts";
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

export function objectSize(value: ObjectValue): number {
  return value.kind === "inline" ? value.bytes.byteLength : value.ref.sizeBytes;
}
