import type { BlobName } from "../ids.ts";
import { BLOB_CHUNK_BYTES, type BlobReader, type BlobRef, type BlobStore, type BlobWriter } from "../objects/blobs.ts";
import { asBuffer, blobName, plainBytes } from "./record-wire.ts";
import type { RemoteShard } from "./remote-shard.ts";
import * as methods from "./shard-methods.ts";

/** Bytes of one blob that are on their way and not yet written by the owner. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const EMPTY = new Uint8Array(0);

/** The blobs that the owner of the journal holds. */
export class RemoteBlobs implements BlobStore {
  readonly #shard: RemoteShard;
  #writers = 0;
  #readers = 0;

  constructor(shard: RemoteShard) {
    this.#shard = shard;
  }

  async create(name?: BlobName): Promise<BlobWriter> {
    const id = ++this.#writers;
    await this.#shard.request(methods.createBlob, [id, name ?? ""]);
    return new RemoteBlobWriter(this.#shard, id);
  }

  size(name: BlobName): Promise<number | null> {
    return this.#shard.request(methods.blobSize, name);
  }

  /** Resolves at once: the owner may be gone, and then it sweeps at its next start. */
  async discard(names: readonly BlobName[]): Promise<void> {
    for (let from = 0; from < names.length; from += methods.PAGE_ENTRIES) {
      this.#shard.notify(methods.discardBlobs, names.slice(from, from + methods.PAGE_ENTRIES));
    }
  }

  async open(name: BlobName): Promise<BlobReader> {
    const id = ++this.#readers;
    const held = await this.#shard.request(methods.openBlob, [id, name]);
    return {
      sizeBytes: held,
      read: (offset, sizeBytes) =>
        inChunks(sizeBytes, (done, wanted) => this.#shard.request(methods.readOpenBlob, [id, offset + done, wanted])),
      // When the owner cannot be told, the session is over, and the reader with it.
      close: () =>
        this.#shard.request(methods.closeBlob, id).then(
          () => {},
          () => {},
        ),
    };
  }

  read(name: BlobName, offset: number, sizeBytes: number): Promise<Uint8Array> {
    return inChunks(sizeBytes, (done, wanted) => this.#shard.request(methods.readBlob, [name, offset + done, wanted]));
  }
}

/** Up to `sizeBytes` bytes: some chunks are asked for at once, and a short one is the last. */
async function inChunks(
  sizeBytes: number,
  ask: (doneBytes: number, wantedBytes: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let doneBytes = 0; ; ) {
    const wantedBytes = Math.min(sizeBytes - doneBytes, BLOB_CHUNK_BYTES);
    const asked: Promise<Uint8Array>[] = [];
    for (let offset = 0; offset < wantedBytes || asked.length === 0; offset += methods.WIRE_CHUNK_BYTES) {
      asked.push(ask(doneBytes + offset, Math.min(wantedBytes - offset, methods.WIRE_CHUNK_BYTES)));
    }
    const answers = await Promise.all(asked);
    const answeredBytes = answers.reduce((sum, { byteLength }) => sum + byteLength, 0);
    chunks.push(...answers);
    doneBytes += answeredBytes;
    if (answeredBytes < wantedBytes || doneBytes >= sizeBytes) {
      return plainBytes(chunks.length === 1 ? (chunks[0] ?? EMPTY) : Buffer.concat(chunks));
    }
  }
}

class RemoteBlobWriter implements BlobWriter {
  readonly #shard: RemoteShard;
  readonly #id: number;
  /** Chunks on their way, oldest first. */
  readonly #sent: { readonly sizeBytes: number; readonly written: Promise<unknown> }[] = [];
  #sentBytes = 0;
  #failure: unknown;
  #isOver = false;

  constructor(shard: RemoteShard, id: number) {
    this.#shard = shard;
    this.#id = id;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#check();
    for (let offset = 0; offset < chunk.byteLength; offset += methods.WIRE_CHUNK_BYTES) {
      // A copy: the request may be packed only after this has returned.
      const slice = Buffer.from(asBuffer(chunk).subarray(offset, offset + methods.WIRE_CHUNK_BYTES));
      const written = this.#shard.request(methods.writeBlob, [this.#id, slice]);
      written.catch((error: unknown) => {
        this.#failure ??= error;
      });
      this.#sent.push({ sizeBytes: slice.byteLength, written });
      this.#sentBytes += slice.byteLength;
      await this.#settle(WINDOW_BYTES);
    }
  }

  async commit(): Promise<BlobRef> {
    this.#check();
    await this.#settle(0);
    const [name, sizeBytes] = await this.#shard.request(methods.commitBlob, this.#id);
    this.#isOver = true;
    return { name: blobName(name), sizeBytes };
  }

  async abort(): Promise<void> {
    if (!this.#isOver) {
      this.#isOver = true;
      // When the owner cannot be told, the session is over, and the upload with it.
      await this.#shard.request(methods.abortBlob, this.#id).catch(() => {});
    }
  }

  /** A chunk that could not be written is reported by whatever is asked next. */
  #check(): void {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
  }

  /** Waits until at most `maxBytes` are on their way. */
  async #settle(maxBytes: number): Promise<void> {
    while (this.#sentBytes > maxBytes) {
      const oldest = this.#sent.shift();
      if (oldest === undefined) {
        return;
      }
      await oldest.written;
      this.#sentBytes -= oldest.sizeBytes;
    }
  }
}
