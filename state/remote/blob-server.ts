/**
 * Serves the owner's blobs to one node.
 *
 * B1. The chunks of a blob are written in the order in which they came, one at a time.
 * B2. Writers that are open when the connection ends are aborted, readers closed.
 * B3. A node may have MAX_WRITERS and MAX_READERS open and MAX_QUEUED_BYTES not yet written.
 */
import { NeapError } from "../errors.ts";
import { BLOB_CHUNK_BYTES, type BlobReader, type BlobRef, type BlobStore, type BlobWriter } from "../objects/blobs.ts";
import { Lane } from "./lane.ts";
import { fields } from "./method.ts";
import type { Peer } from "./peer.ts";
import { asBuffer, blobName, plainBytes } from "./record-wire.ts";
import * as methods from "./shard-methods.ts";

const MAX_WRITERS = 1_024;
const MAX_READERS = 4_096;
const MAX_QUEUED_BYTES = 256 * 1024 * 1024;

export function serveBlobs(peer: Peer, blobs: BlobStore): void {
  const uploads = new Map<number, Upload>();
  const readers = new Map<number, Promise<BlobReader>>();
  const reads = new Lane(peer);
  let queuedBytes = 0;

  const upload = (id: number): Upload => {
    const found = uploads.get(id);
    if (found === undefined) {
      throw new NeapError("BAD_MESSAGE", `blob writer ${id} is not open`);
    }
    return found;
  };

  peer.handle(methods.createBlob, async ([id, name]) => {
    if (uploads.has(id) || uploads.size >= MAX_WRITERS) {
      throw new NeapError("BAD_MESSAGE", `blob writer ${id} is open already, or ${MAX_WRITERS} are`);
    }
    const created = new Upload(blobs.create(name === "" ? undefined : blobName(name)));
    uploads.set(id, created);
    await created.begun();
    return null;
  });
  peer.handle(methods.writeBlob, async ([id, chunk]) => {
    if (queuedBytes + chunk.byteLength > MAX_QUEUED_BYTES) {
      throw new NeapError("BAD_MESSAGE", `more than ${MAX_QUEUED_BYTES} bytes of blobs are not yet written`);
    }
    queuedBytes += chunk.byteLength;
    try {
      await upload(id).write(plainBytes(chunk));
    } finally {
      queuedBytes -= chunk.byteLength;
    }
    return null;
  });
  peer.handle(methods.commitBlob, async (id) => {
    const { name, sizeBytes } = await upload(id).commit();
    uploads.delete(id);
    return fields(name, sizeBytes);
  });
  peer.handle(methods.abortBlob, async (id) => {
    await uploads.get(id)?.abort();
    uploads.delete(id);
    return null;
  });
  // Whose a draft is need not be asked: its 128 random bits are known to the node that stored it, until a record names it.
  peer.handle(methods.discardBlobs, async (names) => {
    await blobs.discard(names.map(blobName));
    return null;
  });
  peer.handle(methods.blobSize, (name) => blobs.size(blobName(name)));
  peer.handle(methods.readBlob, ([name, offset, sizeBytes]) => {
    const wanted = blobName(name);
    return reads.run(async () => asBuffer(await blobs.read(wanted, offset, Math.min(sizeBytes, BLOB_CHUNK_BYTES))));
  });
  peer.handle(methods.openBlob, async ([id, name]) => {
    if (readers.has(id) || readers.size >= MAX_READERS) {
      throw new NeapError("BAD_MESSAGE", `blob reader ${id} is open already, or ${MAX_READERS} are`);
    }
    const opening = blobs.open(blobName(name));
    readers.set(id, opening);
    try {
      return (await opening).sizeBytes;
    } catch (error) {
      readers.delete(id);
      throw error;
    }
  });
  peer.handle(methods.readOpenBlob, ([id, offset, sizeBytes]) => {
    const reader = readers.get(id);
    if (reader === undefined) {
      throw new NeapError("BAD_MESSAGE", `blob reader ${id} is not open`);
    }
    return reads.run(async () => asBuffer(await (await reader).read(offset, Math.min(sizeBytes, BLOB_CHUNK_BYTES))));
  });
  peer.handle(methods.closeBlob, async (id) => {
    const reader = readers.get(id);
    readers.delete(id);
    await (await reader)?.close();
    return null;
  });
  // What cannot be removed now is swept at the owner's next start.
  void peer.ended.then(() => Promise.allSettled([...uploads.values()].map((open) => open.abort())));
  void peer.ended.then(() => Promise.allSettled([...readers.values()].map(async (reader) => (await reader).close())));
}

/** A blob being written: what is asked of it happens one thing after the other. */
class Upload {
  readonly #writer: Promise<BlobWriter>;
  #written: Promise<void>;

  constructor(writer: Promise<BlobWriter>) {
    this.#writer = writer;
    this.#written = writer.then(() => {});
  }

  begun(): Promise<void> {
    return this.#written;
  }

  /** Rejects like the first chunk that could not be written, and so do all later ones and `commit`. */
  write(chunk: Uint8Array): Promise<void> {
    this.#written = this.#after((writer) => writer.write(chunk));
    return this.#written;
  }

  commit(): Promise<BlobRef> {
    return this.#after((writer) => writer.commit());
  }

  async abort(): Promise<void> {
    await this.#written.catch(() => {});
    const writer = await this.#writer;
    await writer.abort();
  }

  async #after<T>(action: (writer: BlobWriter) => Promise<T>): Promise<T> {
    await this.#written;
    return action(await this.#writer);
  }
}
