import type { BlobName } from "../ids.ts";
import type { BlobReader, BlobStore, BlobWriter } from "./blobs.ts";

/**
 * The blobs that one piece of work stores: a call its input, an attempt its values, an append what it names.
 *
 * Its user says when the work is over; which of its blobs a record names by then only the owner knows, so all are handed to
 * `discard`, which keeps those. A name that is in no record is known to that work alone, so nobody else can be about to name it.
 */
export class Drafts implements BlobStore {
  readonly #blobs: BlobStore;
  readonly #names: BlobName[] = [];

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  async create(name?: BlobName): Promise<BlobWriter> {
    const writer = await this.#blobs.create(name);
    return {
      write: (chunk) => writer.write(chunk),
      commit: async () => {
        const ref = await writer.commit();
        this.#names.push(ref.name);
        return ref;
      },
      abort: () => writer.abort(),
    };
  }

  size(name: BlobName): Promise<number | null> {
    return this.#blobs.size(name);
  }

  open(name: BlobName): Promise<BlobReader> {
    return this.#blobs.open(name);
  }

  read(name: BlobName, offset: number, sizeBytes: number): Promise<Uint8Array> {
    return this.#blobs.read(name, offset, sizeBytes);
  }

  discard(names: readonly BlobName[]): Promise<void> {
    return this.#blobs.discard(names);
  }

  /** The work is over: every append that may name one of its blobs was answered, or its session has ended. */
  end(): void {
    const names = this.#names.splice(0);
    if (names.length > 0) {
      void this.#blobs.discard(names);
    }
  }
}
