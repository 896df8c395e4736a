import type { ByteReader, ByteWriter } from "../bytes.ts";
import { NO_SEQNUM, type SeqNum, seqNum } from "../ids.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { type ObjectValue, objectSize, readValue, writeValue } from "../objects/object-record.ts";
import type { ObjectRead } from "./protocol.ts";

const EMPTY = new Uint8Array(0);

/** One write of an object as a reader found it; `value` is null after a delete, and when nobody has ever written it. */
export interface Found {
  readonly version: SeqNum;
  readonly timeMs: number;
  readonly value: ObjectValue | null;
}

export const NOTHING_FOUND: Found = { version: NO_SEQNUM, timeMs: 0, value: null };

export function writeFound(w: ByteWriter, { version, timeMs, value }: Found): ByteWriter {
  writeValue(w.f64(version).f64(timeMs), value);
  return w;
}

/** @throws RangeError  what `writeFound` never writes */
export function readFound(r: ByteReader): Found {
  return { version: seqNum(r.f64()), timeMs: r.f64(), value: readValue(r) };
}

/** Up to `maxBytes` bytes from `offset`, as a protocol answers a read; now, unless they have to be read from a blob. */
export function sliceOf(
  { version, timeMs, value }: Found,
  blobs: BlobStore,
  offset: number,
  maxBytes: number,
): ObjectRead | Promise<ObjectRead> {
  if (value === null) {
    return { kind: "absent", version, timeMs };
  }
  const slice = (bytes: Uint8Array): ObjectRead => ({ kind: "found", sizeBytes: objectSize(value), version, timeMs, bytes });
  const bytes = bytesOf(value, blobs, offset, maxBytes);
  return bytes instanceof Uint8Array ? slice(bytes) : bytes.then(slice);
}

/** Up to `maxBytes` bytes from `offset`; none behind the end. Now, unless they have to be read from a blob. */
export function bytesOf(
  value: ObjectValue,
  blobs: BlobStore,
  offset: number,
  maxBytes: number,
): Uint8Array | Promise<Uint8Array> {
  if (maxBytes === 0 || offset >= objectSize(value)) {
    return EMPTY;
  }
  return value.kind === "inline" ? value.bytes.subarray(offset, offset + maxBytes) : blobs.read(value.ref.name, offset, maxBytes);
}
