import { NeapError } from "../../state/errors.ts";
import type { BlobName } from "../../state/ids.ts";
import type { BlobReader, BlobRef, BlobWriter, OwnedBlobs } from "../../state/objects/blobs.ts";

/** Blobs in memory, with the same names and rules as the files; it can be handed to the next opening. */
export class MemoryBlobs implements OwnedBlobs {
  readonly blobs = new Map<BlobName, Uint8Array>();
  /** Open now. */
  readers = 0;
  readonly #drafts = new Set<BlobName>();
  #epoch = 0;
  #drawn = 0;

  async create(name?: BlobName): Promise<BlobWriter> {
    const chunks: Uint8Array[] = [];
    const final = name ?? (`${this.#epoch}-${(++this.#drawn).toString(16).padStart(32, "0")}` as BlobName);
    return {
      write: async (chunk) => {
        chunks.push(chunk.slice());
      },
      commit: async (): Promise<BlobRef> => {
        const bytes = new Uint8Array(Buffer.concat(chunks));
        this.blobs.set(final, bytes);
        if (name === undefined) {
          this.#drafts.add(final);
        }
        return { name: final, sizeBytes: bytes.byteLength };
      },
      abort: async () => {},
    };
  }

  known(name: BlobName): number | undefined {
    return this.blobs.get(name)?.byteLength;
  }

  named(name: BlobName): void {
    this.#drafts.delete(name);
  }

  async discard(names: readonly BlobName[]): Promise<void> {
    await this.remove(names.filter((name) => this.#drafts.delete(name)));
  }

  async size(name: BlobName): Promise<number | null> {
    return this.known(name) ?? null;
  }

  async open(name: BlobName): Promise<BlobReader> {
    const bytes = this.blobs.get(name);
    if (bytes === undefined) {
      throw new NeapError("BLOB_MISSING", `blob ${name} is not held here`);
    }
    this.readers += 1;
    return {
      sizeBytes: bytes.byteLength,
      read: async (offset, sizeBytes) => this.slice(bytes, offset, sizeBytes),
      close: async () => {
        this.readers -= 1;
      },
    };
  }

  async read(name: BlobName, offset: number, sizeBytes: number): Promise<Uint8Array> {
    const reader = await this.open(name);
    await reader.close();
    return reader.read(offset, sizeBytes);
  }

  /** What every read is answered with. */
  protected slice(bytes: Uint8Array, offset: number, sizeBytes: number): Uint8Array {
    return bytes.slice(offset, offset + sizeBytes);
  }

  async sweep(isNamed: (name: BlobName) => boolean): Promise<void> {
    this.#epoch++;
    for (const name of [...this.blobs.keys()]) {
      if (!isNamed(name)) {
        this.blobs.delete(name);
      }
    }
  }

  async remove(names: readonly BlobName[]): Promise<void> {
    for (const name of names) {
      if (name.includes("-")) {
        this.blobs.delete(name);
      }
    }
  }

  /** A blob of these bytes. */
  async put(bytes: Uint8Array, name?: BlobName): Promise<BlobRef> {
    const writer = await this.create(name);
    await writer.write(bytes);
    return writer.commit();
  }
}
