/** Moves inputs, outputs and object values between bytes and what records carry: long ones become blobs first (F6). */
import { invariant } from "../../state/errors.ts";
import { BLOB_CHUNK_BYTES, type BlobRef, type BlobStore } from "../../state/objects/blobs.ts";
import { blobPieces, inPieces, receive } from "../../state/objects/index.ts";
import type { LateInput } from "../sandbox/sandbox.ts";
import { PAYLOAD_INLINE_MAX_BYTES, type Payload } from "./instance-record.ts";
import type { CallBytes, CallInput } from "./invocation.ts";

/** Flushed and linked when this resolves. */
export async function storeBlob(blobs: BlobStore, bytes: Uint8Array): Promise<BlobRef> {
  const stored = await receive(blobs, inPieces(bytes), 0);
  invariant(stored.kind === "blob", "an empty value needs no blob");
  return stored.ref;
}

/** Reads a streamed input to its end; when that fails nothing is left of it, and the error is passed on. A short one is one now. */
export function toPayload(blobs: BlobStore, input: CallInput): Payload | Promise<Payload> {
  if (input instanceof Uint8Array && input.byteLength <= PAYLOAD_INLINE_MAX_BYTES) {
    return { kind: "inline", bytes: input };
  }
  return receive(blobs, input instanceof Uint8Array ? inPieces(input) : input, PAYLOAD_INLINE_MAX_BYTES);
}

export async function fromPayload(blobs: BlobStore, payload: Payload): Promise<Uint8Array> {
  return payload.kind === "inline" ? payload.bytes : load(blobs, payload.ref, new Uint8Array(payload.ref.sizeBytes));
}

/** What leaves the host: a blob is not held in memory. */
export function toCallBytes(blobs: BlobStore, payload: Payload): CallBytes {
  return payload.kind === "inline" ? payload.bytes : { sizeBytes: payload.ref.sizeBytes, pieces: blobPieces(blobs, payload.ref) };
}

export function payloadSize(payload: Payload): number {
  return payload.kind === "inline" ? payload.bytes.byteLength : payload.ref.sizeBytes;
}

/** Up to `sizeBytes` bytes from `offset`; fewer only at the end. */
export async function payloadSlice(blobs: BlobStore, payload: Payload, offset: number, sizeBytes: number): Promise<Uint8Array> {
  return payload.kind === "inline"
    ? payload.bytes.subarray(offset, offset + sizeBytes)
    : blobs.read(payload.ref.name, offset, sizeBytes);
}

/**
 * What a sandbox is started with. A long input is read when there is room for it, into shared memory, so that it reaches the worker
 * without one more copy.
 * @param onFailure  why it could not be read
 */
export function lateInput(blobs: BlobStore, payload: Payload, onFailure: (error: unknown) => void): Uint8Array | LateInput {
  if (payload.kind === "inline") {
    return payload.bytes;
  }
  const { ref } = payload;
  const read = async () => {
    try {
      return await load(blobs, ref, new Uint8Array(new SharedArrayBuffer(ref.sizeBytes)));
    } catch (error) {
      onFailure(error);
      throw error;
    }
  };
  return { byteLength: ref.sizeBytes, read };
}

async function load(blobs: BlobStore, ref: BlobRef, bytes: Uint8Array): Promise<Uint8Array> {
  const { name, sizeBytes } = ref;
  let offset = 0;
  for await (const piece of blobPieces(blobs, ref)) {
    bytes.set(piece, offset);
    offset += piece.byteLength;
  }
  invariant(offset === sizeBytes, `blob ${name} ends at ${offset} of ${sizeBytes} bytes`);
  return bytes;
}

/** Whether both are the same bytes; compared piece by piece. */
export async function samePayload(blobs: BlobStore, a: Payload, b: Payload): Promise<boolean> {
  if (a.kind === "inline" || b.kind === "inline") {
    // Of equal bytes both are inline, or neither is.
    return a.kind === "inline" && b.kind === "inline" && Buffer.compare(a.bytes, b.bytes) === 0;
  }
  const { sizeBytes } = a.ref;
  if (sizeBytes !== b.ref.sizeBytes) {
    return false;
  }
  for (let offset = 0; offset < sizeBytes; offset += BLOB_CHUNK_BYTES) {
    const [left, right] = await Promise.all([
      blobs.read(a.ref.name, offset, BLOB_CHUNK_BYTES),
      blobs.read(b.ref.name, offset, BLOB_CHUNK_BYTES),
    ]);
    if (Buffer.compare(left, right) !== 0) {
      return false;
    }
  }
  return true;
}
