/**
 * A disk in memory that forgets what was not flushed.
 *
 * Each file has what the page cache holds and what the medium holds; folder entries likewise. A crash image is another disk, so
 * that whoever still holds the old one can change nothing.
 */
import { NeapError } from "../../state/errors.ts";
import type { Disk, DiskFile } from "../../state/journal/index.ts";

const SECTOR_BYTES = 512;

class MemoryFile {
  cached = Buffer.alloc(0);
  stored = Buffer.alloc(0);
  readonly dirty = new Set<number>();

  /** After a power cut: `keep` says of each unflushed sector whether it reached the medium. */
  afterPowerCut(keep: () => boolean): MemoryFile {
    const file = new MemoryFile();
    file.stored = copyOf(this.stored);
    for (const sector of this.dirty) {
      if (keep()) {
        file.stored = copySector(this.cached, file.stored, sector);
      }
    }
    file.cached = copyOf(file.stored);
    return file;
  }

  afterKill(): MemoryFile {
    const file = new MemoryFile();
    file.cached = copyOf(this.cached);
    file.stored = copyOf(this.stored);
    for (const sector of this.dirty) {
      file.dirty.add(sector);
    }
    return file;
  }
}

export class MemoryDisk implements Disk {
  readonly directory = "memory";
  /** Room for the content of all files together. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** false: `freeBytes` does not know of the capacity, so that a write meets it. */
  knowsFreeBytes = true;
  /** "lost": fails and takes the pages for clean, as Linux does; "refused": fails and keeps them. */
  nextFlush: "works" | "lost" | "refused" = "works";
  /** Called at each flush of a file or the folder, before anything reaches the medium: may wait, count, or take a crash image. */
  onFlush: () => void = () => {};
  #entries = new Map<string, MemoryFile>();
  #storedEntries = new Map<string, MemoryFile>();
  #locked = false;

  lock(): () => void {
    if (this.#locked) {
      throw new NeapError("JOURNAL_LOCKED", `data folder ${this.directory} is in use`);
    }
    this.#locked = true;
    return () => {
      this.#locked = false;
    };
  }

  list(): readonly string[] {
    return [...this.#entries.keys()];
  }

  open(name: string): DiskFile {
    return this.#handle(this.#file(name));
  }

  create(name: string): DiskFile {
    const file = new MemoryFile();
    this.#entries.set(name, file);
    return this.#handle(file);
  }

  rename(from: string, to: string): void {
    this.#entries.set(to, this.#file(from));
    this.#entries.delete(from);
  }

  remove(name: string): void {
    this.#file(name);
    this.#entries.delete(name);
  }

  syncDirectory(): void {
    this.onFlush();
    this.#storedEntries = new Map(this.#entries);
  }

  freeBytes(): number {
    return this.knowsFreeBytes ? this.#free() : Number.POSITIVE_INFINITY;
  }

  /** The content as a reader sees it, to be looked at and damaged. Damage reaches cache and medium. */
  bytes(name: string): Buffer {
    return Buffer.from(this.#file(name).cached);
  }

  damage(name: string, offset: number, bytes: Uint8Array): void {
    const file = this.#file(name);
    file.cached.set(bytes, offset);
    file.stored.set(bytes, offset);
  }

  flipBit(name: string, offset: number, bit: number): void {
    this.damage(name, offset, Uint8Array.of(this.bytes(name).readUInt8(offset) ^ (1 << bit)));
  }

  /** The disk after kill -9 of the process: the page cache lives on. */
  kill(): MemoryDisk {
    return this.#image((file) => file.afterKill(), this.#entries);
  }

  /** The disk after the power was cut: of what was not flushed only what `keep` lets through is there. */
  powerCut(keep: () => boolean = () => false): MemoryDisk {
    return this.#image((file) => file.afterPowerCut(keep), keep() ? this.#entries : this.#storedEntries);
  }

  #image(copy: (file: MemoryFile) => MemoryFile, entries: ReadonlyMap<string, MemoryFile>): MemoryDisk {
    const disk = new MemoryDisk();
    disk.capacityBytes = this.capacityBytes;
    const copies = new Map<MemoryFile, MemoryFile>();
    for (const file of [...entries.values(), ...this.#storedEntries.values()]) {
      copies.set(file, copies.get(file) ?? copy(file));
    }
    const copied = (from: ReadonlyMap<string, MemoryFile>): Map<string, MemoryFile> =>
      new Map([...from].map(([name, file]) => [name, copies.get(file) ?? copy(file)]));
    disk.#entries = copied(entries);
    disk.#storedEntries = copied(this.#storedEntries);
    return disk;
  }

  #file(name: string): MemoryFile {
    const file = this.#entries.get(name);
    if (file === undefined) {
      throw systemError("ENOENT");
    }
    return file;
  }

  #free(): number {
    let used = 0;
    for (const file of this.#entries.values()) {
      used += file.cached.length;
    }
    return Math.max(0, this.capacityBytes - used);
  }

  #handle(file: MemoryFile): DiskFile {
    return {
      sizeBytes: () => file.cached.length,
      read(position, sizeBytes) {
        if (position + sizeBytes > file.cached.length) {
          throw new Error(`the file ends before byte ${position + sizeBytes}`);
        }
        return Buffer.from(file.cached.subarray(position, position + sizeBytes));
      },
      write: (position, bytes) => {
        const end = position + bytes.byteLength;
        const roomEnd = Math.max(file.cached.length, Math.min(end, file.cached.length + this.#free()));
        const written = bytes.subarray(0, Math.max(0, Math.min(end, roomEnd) - position));
        file.cached = grow(file.cached, position + written.byteLength);
        file.cached.set(written, position);
        for (let at = position - (position % SECTOR_BYTES); at < position + written.byteLength; at += SECTOR_BYTES) {
          file.dirty.add(at / SECTOR_BYTES);
        }
        if (end > roomEnd) {
          throw systemError("ENOSPC");
        }
      },
      flush: () => {
        this.onFlush();
        if (this.nextFlush !== "works") {
          if (this.nextFlush === "lost") {
            file.dirty.clear();
          }
          this.nextFlush = "works";
          throw systemError("EIO");
        }
        // At once: growing sector by sector copies a large file again and again.
        file.stored = grow(file.stored, file.cached.length);
        for (const sector of file.dirty) {
          file.stored = copySector(file.cached, file.stored, sector);
        }
        file.dirty.clear();
      },
      close() {},
    };
  }
}

function copySector(from: Buffer, to: Buffer<ArrayBuffer>, sector: number): Buffer<ArrayBuffer> {
  const start = sector * SECTOR_BYTES;
  const end = Math.min(start + SECTOR_BYTES, from.length);
  const target = grow(to, end);
  from.copy(target, start, start, end);
  return target;
}

/** In memory of its own, never a shared pool's: `grow` takes what lies behind it. */
function copyOf(bytes: Buffer): Buffer<ArrayBuffer> {
  const copy = Buffer.alloc(bytes.length);
  bytes.copy(copy);
  return copy;
}

/** With zeros behind it. Has room for as much again, so that a file that grows piece by piece is copied a few times only. */
function grow(buffer: Buffer<ArrayBuffer>, sizeBytes: number): Buffer<ArrayBuffer> {
  if (sizeBytes <= buffer.length) {
    return buffer;
  }
  let { buffer: room } = buffer;
  if (sizeBytes > room.byteLength) {
    const larger = Buffer.alloc(2 * sizeBytes);
    buffer.copy(larger);
    room = larger.buffer;
  }
  return Buffer.from(room, 0, sizeBytes);
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}
