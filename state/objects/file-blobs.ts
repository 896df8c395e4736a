/**
 * Blobs as files of one folder.
 *
 * Owns: the files, their names, their durability. Does not own: which blobs are alive (the shard's index).
 *
 * B1. A file has its final name only after its bytes are flushed, and is reported only after the folder is (F6). Of one
 *     that cannot get it nothing is left.
 * B2. A name is never used for other bytes: it holds the epoch and random bits, or is the hash of the content (F7).
 * B3. A name from outside never leaves the folder: only the two forms below are looked up.
 * B4. A blob that is being deleted is not held any more, whatever a look at the disk says that began before (F6).
 *
 *   incoming/<random>           unfinished
 *   <last two of name>/<name>   finished
 */
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, NeapError } from "../errors.ts";
import { type BlobName, quote } from "../ids.ts";
import { isNoRoom } from "../journal/index.ts";
import type { Random } from "../ports.ts";
import type { BlobReader, BlobRef, BlobWriter, OwnedBlobs } from "./blobs.ts";

const OWN_NAME = /^[0-9]{1,16}-[0-9a-f]{32}$/;
const CONTENT_HASH = /^[0-9a-f]{32,128}$/;
const INCOMING = "incoming";

/** @param epoch  the owner's, part of every name drawn here */
export async function openFileBlobs(parts: { directory: string; epoch: number; random: Random }): Promise<FileBlobs> {
  await mkdir(join(parts.directory, INCOMING), { recursive: true });
  await syncFolder(parts.directory);
  return new FileBlobs(parts.directory, parts.epoch, parts.random);
}

export class FileBlobs implements OwnedBlobs {
  readonly #directory: string;
  readonly #epoch: number;
  readonly #random: Random;
  readonly #sizes = new Map<BlobName, number>();
  readonly #folders = new Set<string>();
  /** Drawn here, and named by no record yet. */
  readonly #drafts = new Set<BlobName>();
  readonly #leaving = new Set<BlobName>();
  #removals = 0;

  /** Use `openFileBlobs`. */
  constructor(directory: string, epoch: number, random: Random) {
    this.#directory = directory;
    this.#epoch = epoch;
    this.#random = random;
  }

  async create(name?: BlobName): Promise<BlobWriter> {
    if (name !== undefined && !CONTENT_HASH.test(name)) {
      throw new NeapError("BAD_NAME", `blob name ${quote(name)} is not a content hash: 32 to 128 hexadecimal digits`);
    }
    const unique = this.#hex();
    const path = join(this.#directory, INCOMING, unique);
    const final = name ?? (`${this.#epoch}-${unique}` as BlobName);
    const file = await onDisk(open(path, "wx"));
    return new FileBlobWriter(file, path, async (sizeBytes) => {
      await onDisk(this.#adopt(path, final, sizeBytes));
      if (name === undefined) {
        this.#drafts.add(final);
      }
      return { name: final, sizeBytes };
    });
  }

  known(name: BlobName): number | undefined {
    return this.#sizes.get(name);
  }

  named(name: BlobName): void {
    this.#drafts.delete(name);
  }

  async size(name: BlobName): Promise<number | null> {
    for (;;) {
      const known = this.#sizes.get(name);
      if (known !== undefined || !isBlobName(name) || this.#leaving.has(name)) {
        return known ?? null;
      }
      const removals = this.#removals;
      try {
        const { size } = await stat(this.#path(name));
        if (removals === this.#removals) {
          this.#sizes.set(name, size);
        }
      } catch (error) {
        return ignoreMissing(error, null);
      }
    }
  }

  async open(name: BlobName): Promise<BlobReader> {
    const sizeBytes = await this.size(name);
    if (sizeBytes === null) {
      throw missing(name);
    }
    try {
      return new FileBlobReader(await open(this.#path(name), "r"), name, sizeBytes);
    } catch (error) {
      this.#sizes.delete(name);
      return ignoreMissing(error, () => Promise.reject(missing(name)))();
    }
  }

  async read(name: BlobName, offset: number, sizeBytes: number): Promise<Uint8Array> {
    const reader = await this.open(name);
    try {
      return await reader.read(offset, sizeBytes);
    } finally {
      await reader.close();
    }
  }

  async sweep(isNamed: (name: BlobName) => boolean): Promise<void> {
    for (const name of await readdir(join(this.#directory, INCOMING))) {
      await rm(join(this.#directory, INCOMING, name), { force: true });
    }
    for (const folder of await readdir(this.#directory)) {
      if (folder === INCOMING) {
        continue;
      }
      for (const name of (await readdir(join(this.#directory, folder))) as BlobName[]) {
        if (isBlobName(name) && !this.#isOfThisEpoch(name) && !isNamed(name)) {
          this.#sizes.delete(name);
          await rm(this.#path(name), { force: true });
        }
      }
    }
  }

  async discard(names: readonly BlobName[]): Promise<void> {
    const drafts = names.filter((name) => this.#drafts.delete(name));
    await this.remove(drafts).catch(() => {});
  }

  async remove(names: readonly BlobName[]): Promise<void> {
    const own = names.filter((name) => OWN_NAME.test(name));
    this.#removals += 1;
    for (const name of own) {
      this.#sizes.delete(name);
      this.#leaving.add(name);
    }
    try {
      for (const name of own) {
        await rm(this.#path(name), { force: true });
      }
    } finally {
      for (const name of own) {
        this.#leaving.delete(name);
      }
    }
  }

  /** Gives a finished file its name. */
  async #adopt(path: string, name: BlobName, sizeBytes: number): Promise<void> {
    const folder = join(this.#directory, name.slice(-2));
    if (!this.#folders.has(folder)) {
      await mkdir(folder, { recursive: true });
      await syncFolder(this.#directory);
      this.#folders.add(folder);
    }
    // A file of this name has the same bytes; replacing it needs no decision whether the old one was flushed.
    await rename(path, this.#path(name));
    await syncFolder(folder);
    this.#sizes.set(name, sizeBytes);
  }

  #isOfThisEpoch(name: BlobName): boolean {
    return name.startsWith(`${this.#epoch}-`);
  }

  #path(name: BlobName): string {
    return join(this.#directory, name.slice(-2), name);
  }

  #hex(): string {
    return Buffer.from(this.#random.bytes(16)).toString("hex");
  }
}

class FileBlobReader implements BlobReader {
  readonly sizeBytes: number;
  readonly #file: FileHandle;
  readonly #name: BlobName;

  constructor(file: FileHandle, name: BlobName, sizeBytes: number) {
    this.#file = file;
    this.#name = name;
    this.sizeBytes = sizeBytes;
  }

  async read(offset: number, sizeBytes: number): Promise<Uint8Array> {
    // Also keeps what a peer asks for from allocating more than there is.
    const wanted = Math.max(0, Math.min(sizeBytes, this.sizeBytes - offset));
    const bytes = new Uint8Array(Number.isSafeInteger(wanted) && offset >= 0 ? wanted : 0);
    for (let read = 0; read < bytes.byteLength; ) {
      const { bytesRead } = await onDisk(this.#file.read(bytes, read, bytes.byteLength - read, offset + read));
      if (bytesRead === 0) {
        throw missing(this.#name);
      }
      read += bytesRead;
    }
    return bytes;
  }

  /** A file that was only read has nothing to lose when its descriptor cannot be given back in order. */
  async close(): Promise<void> {
    await this.#file.close().catch(() => {});
  }
}

class FileBlobWriter implements BlobWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #adopt: (sizeBytes: number) => Promise<BlobRef>;
  #sizeBytes = 0;
  #isOpen = true;

  constructor(file: FileHandle, path: string, adopt: (sizeBytes: number) => Promise<BlobRef>) {
    this.#file = file;
    this.#path = path;
    this.#adopt = adopt;
  }

  async write(chunk: Uint8Array): Promise<void> {
    let written = 0;
    while (written < chunk.byteLength) {
      const writing = this.#file.write(chunk, written, chunk.byteLength - written, this.#sizeBytes);
      const { bytesWritten } = await onDisk(writing);
      written += bytesWritten;
      this.#sizeBytes += bytesWritten;
    }
  }

  async commit(): Promise<BlobRef> {
    try {
      await onDisk(this.#file.sync());
      await this.#close();
      return await this.#adopt(this.#sizeBytes);
    } catch (error) {
      await this.abort().catch(() => {});
      throw error;
    }
  }

  async abort(): Promise<void> {
    await this.#close();
    await rm(this.#path, { force: true });
  }

  async #close(): Promise<void> {
    if (this.#isOpen) {
      this.#isOpen = false;
      await this.#file.close();
    }
  }
}

function isBlobName(name: string): boolean {
  return OWN_NAME.test(name) || CONTENT_HASH.test(name);
}

function missing(name: BlobName): NeapError {
  return new NeapError("BLOB_MISSING", `blob ${quote(name)} is not held here`);
}

/** @throws DISK_FULL, DISK_FAILED  instead of the system's errors */
async function onDisk<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw isNoRoom(error)
      ? new NeapError("DISK_FULL", "the disk has no room for the value of an object; nothing was changed", { cause: error })
      : diskFailed(error);
  }
}

/** Of EIO, EMFILE, EROFS …; what is not a failure of the system is passed on. */
function diskFailed(error: unknown): unknown {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  return typeof syscall === "string"
    ? new NeapError("DISK_FAILED", `${syscall} of the value of an object failed with ${code}; nothing was changed`, {
        cause: error,
      })
    : error;
}

function ignoreMissing<T>(error: unknown, value: T): T {
  if (hasCode(error, "ENOENT")) {
    return value;
  }
  throw diskFailed(error);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
