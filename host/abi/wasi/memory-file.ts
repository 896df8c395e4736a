import { fail } from "./errno.ts";
import type { FileNode } from "./file-system.ts";
import { MemoryNode, type Origin, SCRATCH_MAX_BYTES, type Scratch } from "./memory-node.ts";
import type { FileVersion } from "./shared-files.ts";
import { FileType } from "./types.ts";

const FIRST_BYTES = 256;

export class MemoryFile extends MemoryNode implements FileNode {
  readonly kind = "file";
  readonly type = FileType.file;
  /** What it holds as long as the call has not changed it; null when its bytes are here. */
  base: FileVersion | null = null;
  #sizeBytes = 0;
  #room = new Uint8Array(0);

  /** A shared file, as the tenant has it. */
  static of(scratch: Scratch, base: FileVersion, origin: Origin): MemoryFile {
    const file = new MemoryFile(scratch, origin);
    file.base = base;
    return file;
  }

  get sizeBytes(): number {
    return this.base?.sizeBytes ?? this.#sizeBytes;
  }

  /** Those that are here. */
  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.#sizeBytes);
  }

  read(room: Uint8Array, offset: number): number {
    if (this.base !== null) {
      return this.scratch.shared.read(this.base, room, offset);
    }
    const found = this.bytes.subarray(offset, offset + room.byteLength);
    room.set(found);
    return found.byteLength;
  }

  /** What it held where it comes from. */
  fill(bytes: Uint8Array): void {
    this.#grow(bytes.byteLength);
    this.#room.set(bytes);
  }

  write(bytes: Uint8Array, offset: number): void {
    if (bytes.byteLength > 0) {
      this.bring();
      this.own();
      this.#grow(offset + bytes.byteLength);
      this.#room.set(bytes, offset);
      this.changed();
    }
  }

  resize(sizeBytes: number): void {
    if (sizeBytes > 0) {
      this.bring();
    }
    this.own();
    this.base = null;
    if (sizeBytes < this.#sizeBytes) {
      this.scratch.usedBytes -= this.#sizeBytes - sizeBytes;
      this.#room = this.#room.slice(0, sizeBytes);
      this.#sizeBytes = sizeBytes;
    } else {
      this.#grow(sizeBytes);
    }
    this.changed();
  }

  /** Has its bytes here. @throws WasiError nospc, stale */
  protected bring(): void {
    const { base } = this;
    if (base !== null) {
      if (this.scratch.usedBytes + base.sizeBytes > SCRATCH_MAX_BYTES) {
        fail("nospc");
      }
      const bytes = this.scratch.shared.whole(base);
      this.base = null;
      this.fill(bytes);
    }
  }

  protected override forget(): void {
    this.scratch.usedBytes -= this.#sizeBytes;
    this.#room = new Uint8Array(0);
    this.#sizeBytes = 0;
  }

  #grow(sizeBytes: number): void {
    if (sizeBytes <= this.#sizeBytes) {
      return;
    }
    this.scratch.takeBytes(sizeBytes - this.#sizeBytes);
    if (sizeBytes > this.#room.byteLength) {
      const room = new Uint8Array(Math.min(SCRATCH_MAX_BYTES, Math.max(FIRST_BYTES, sizeBytes, this.#room.byteLength * 2)));
      room.set(this.bytes);
      this.#room = room;
    }
    this.#sizeBytes = sizeBytes;
  }
}
