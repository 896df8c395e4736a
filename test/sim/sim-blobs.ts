import { NeapError } from "../../state/errors.ts";
import type { BlobName } from "../../state/ids.ts";
import type { BlobReader, BlobRef, BlobWriter, OwnedBlobs } from "../../state/objects/blobs.ts";
import type { SimProcess } from "./process.ts";

/** The files of a machine: they outlive its processes. */
export class BlobMedium {
  readonly files = new Map<BlobName, Uint8Array>();
  /** Every blob there has ever been. */
  readonly archive = new Map<BlobName, Uint8Array>();

  write(name: BlobName, bytes: Uint8Array): void {
    const before = this.archive.get(name);
    if (before !== undefined && !Buffer.from(before).equals(bytes)) {
      throw new Error(`F7: blob ${name} is written with other bytes than before`);
    }
    this.archive.set(name, bytes);
    this.files.set(name, bytes);
  }
}

/** Blobs whose operations take time, and happen or not when the process is killed in the middle. */
export class SimBlobs implements OwnedBlobs {
  readonly #medium: BlobMedium;
  readonly #process: SimProcess;
  readonly #epoch: number;
  readonly #drafts = new Set<BlobName>();
  /** As this process has found them. */
  readonly #sizes = new Map<BlobName, number>();

  constructor(medium: BlobMedium, process: SimProcess, epoch: number) {
    this.#medium = medium;
    this.#process = process;
    this.#epoch = epoch;
  }

  async create(name?: BlobName): Promise<BlobWriter> {
    const chunks: Uint8Array[] = [];
    const final = name ?? (`${this.#epoch}-${Buffer.from(this.#process.bytes(16)).toString("hex")}` as BlobName);
    return {
      write: async (chunk) => {
        chunks.push(chunk.slice());
      },
      commit: async (): Promise<BlobRef> => {
        await this.#process.point("blob flush");
        const bytes = new Uint8Array(Buffer.concat(chunks));
        this.#medium.write(final, bytes);
        if (name === undefined) {
          this.#drafts.add(final);
        }
        await this.#process.point("blob linked");
        this.#sizes.set(final, bytes.byteLength);
        return { name: final, sizeBytes: bytes.byteLength };
      },
      abort: async () => {},
    };
  }

  known(name: BlobName): number | undefined {
    return this.#sizes.get(name);
  }

  named(name: BlobName): void {
    this.#drafts.delete(name);
  }

  async discard(names: readonly BlobName[]): Promise<void> {
    await this.remove(names.filter((name) => this.#drafts.delete(name)));
  }

  async size(name: BlobName): Promise<number | null> {
    await this.#process.point("blob size");
    const sizeBytes = this.#medium.files.get(name)?.byteLength;
    if (sizeBytes !== undefined) {
      this.#sizes.set(name, sizeBytes);
    }
    return sizeBytes ?? null;
  }

  async open(name: BlobName): Promise<BlobReader> {
    await this.#process.point("blob open");
    const bytes = this.#medium.files.get(name);
    if (bytes === undefined) {
      throw new NeapError("BLOB_MISSING", `blob ${name} is not held here`);
    }
    const read = async (offset: number, sizeBytes: number) => {
      await this.#process.point("blob read");
      return bytes.slice(offset, offset + sizeBytes);
    };
    return { sizeBytes: bytes.byteLength, read, close: async () => {} };
  }

  async read(name: BlobName, offset: number, sizeBytes: number): Promise<Uint8Array> {
    await this.#process.point("blob read");
    const bytes = this.#medium.files.get(name);
    if (bytes === undefined) {
      throw new NeapError("BLOB_MISSING", `blob ${name} is not held here`);
    }
    return bytes.slice(offset, offset + sizeBytes);
  }

  async sweep(isNamed: (name: BlobName) => boolean): Promise<void> {
    for (const name of [...this.#medium.files.keys()]) {
      if (!isNamed(name)) {
        this.#medium.files.delete(name);
      }
    }
  }

  async remove(names: readonly BlobName[]): Promise<void> {
    for (const name of names) {
      if (name.includes("-")) {
        this.#sizes.delete(name);
        await this.#process.point("blob delete");
        this.#medium.files.delete(name);
      }
    }
  }
}
