/** Moves inputs, outputs and object values between bytes and what records carry: long ones become blobs first (F6). */
import { invariant } from "../../state/errors.ts";
import { BLOB_CHUNK_BYTES, type BlobRef, type BlobStore } from "../../state/objects/blobs.ts";
import { PAYLOAD_INLINE_MAX_BYTES, type Payload } from "./instance-record.ts";

/** Flushed and linked when this resolves. */
export async function storeBlob(blobs: BlobStore, bytes: Uint8Array): Promise<BlobRef> {
  const writer = await blobs.create();
  try {
    for (let offset = 0; offset < bytes.byteLength; offset += BLOB_CHUNK_BYTES) {
      await writer.write(bytes.subarray(offset, offset + BLOB_CHUNK_BYTES));
    }
    return await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

export async function toPayload(blobs: BlobStore, bytes: Uint8Array): Promise<Payload> {
  return bytes.byteLength <= PAYLOAD_INLINE_MAX_BYTES
    ? { kind: "inline", bytes }
    : { kind: "blob", ref: await storeBlob(blobs, bytes) };
}

export async function fromPayload(blobs: BlobStore, payload: Payload): Promise<Uint8Array> {
  if (payload.kind === "inline") {
    return payload.bytes;
  }
  const { name, sizeBytes } = payload.ref;
  const bytes = new Uint8Array(sizeBytes);
  for (let offset = 0; offset < sizeBytes; ) {
    const chunk = await blobs.read(name, offset, BLOB_CHUNK_BYTES);
    invariant(chunk.byteLength > 0, `blob ${name} ends at ${offset} of ${sizeBytes} bytes`);
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
