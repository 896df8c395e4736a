/** Takes bytes in as they come: few stay in memory, more become a blob, and are never held whole. */
import { BLOB_CHUNK_BYTES, type BlobRef, type BlobStore, type BlobWriter } from "./blobs.ts";
import type { ObjectValue } from "./object-record.ts";

/** A blob is flushed and linked when this resolves. When `body` or the store fails, nothing is left, and the error is passed on. */
export async function receive(blobs: BlobStore, body: AsyncIterable<Uint8Array>, inlineMaxBytes: number): Promise<ObjectValue> {
  const head: Uint8Array[] = [];
  let sizeBytes = 0;
  let writer: BlobWriter | null = null;
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.byteLength;
      if (writer === null && sizeBytes <= inlineMaxBytes) {
        head.push(chunk);
        continue;
      }
      if (writer === null) {
        writer = await blobs.create();
        await writer.write(Buffer.concat(head));
      }
      await writer.write(chunk);
    }
    return writer === null ? { kind: "inline", bytes: Buffer.concat(head) } : { kind: "blob", ref: await writer.commit() };
  } catch (error) {
    await writer?.abort();
    throw error;
  }
}

/** In pieces of at most BLOB_CHUNK_BYTES. */
export async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.byteLength; offset += BLOB_CHUNK_BYTES) {
    yield bytes.subarray(offset, offset + BLOB_CHUNK_BYTES);
  }
}

/**
 * The blob's bytes in pieces of at most BLOB_CHUNK_BYTES, as fast as they are taken. From the first one to the last, or until the
 * iterator returns, the blob is held. @throws BLOB_MISSING
 */
export async function* blobPieces(blobs: BlobStore, { name, sizeBytes }: BlobRef): AsyncGenerator<Uint8Array> {
  const reader = await blobs.open(name);
  try {
    for (let offset = 0; offset < sizeBytes; offset += BLOB_CHUNK_BYTES) {
      yield await reader.read(offset, BLOB_CHUNK_BYTES);
    }
  } finally {
    await reader.close();
  }
}
