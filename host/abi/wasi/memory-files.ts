/**
 * Files of one call, in memory: they begin empty and go with the call. What they hold is bounded, and a function of what the guest
 * did: inode numbers are counted, times come from the call's clock.
 *
 * Names are changed by the guest alone, whose imports run to their end one after the other: between looking up a name and using what
 * was found nothing can happen, so no walk along a path can be raced.
 */
import { fail } from "./errno.ts";
import type { FileNode, FileStat, FileTimes, FolderEntry, FolderNode, LinkNode } from "./file-system.ts";
import { FileType } from "./types.ts";

/** Of all files of a call together. */
export const SCRATCH_MAX_BYTES = 32 * 1024 * 1024;
/** Names of files, folders and links of a call. */
export const SCRATCH_MAX_NAMES = 4096;
const FIRST_BYTES = 256;

/** What all nodes of one scratch share. */
export class Scratch {
  usedBytes = 0;
  nameCount = 0;
  lastIno = 0;
  readonly now: () => bigint;

  /** @param now  the call's clock, ns */
  constructor(now: () => bigint) {
    this.now = now;
  }

  takeIno(): number {
    this.lastIno += 1;
    return this.lastIno;
  }

  /** @throws WasiError nospc */
  takeBytes(sizeBytes: number): void {
    if (this.usedBytes + sizeBytes > SCRATCH_MAX_BYTES) {
      fail("nospc");
    }
    this.usedBytes += sizeBytes;
  }

  /** @throws WasiError nospc */
  takeName(): void {
    if (this.nameCount === SCRATCH_MAX_NAMES) {
      fail("nospc");
    }
    this.nameCount += 1;
  }
}

abstract class MemoryNode {
  readonly scratch: Scratch;
  readonly ino: number;
  abstract readonly type: FileType;
  abstract readonly sizeBytes: number;
  /** Names that it has. */
  linkCount = 0;
  /** Descriptors that it is open in. */
  openCount = 0;
  accessNs: bigint;
  modificationNs: bigint;
  changeNs: bigint;

  /** @param ino  of one that was made elsewhere */
  constructor(scratch: Scratch, ino?: number) {
    this.scratch = scratch;
    this.ino = ino ?? scratch.takeIno();
    this.accessNs = this.modificationNs = this.changeNs = ino === undefined ? scratch.now() : 0n;
  }

  stat(): FileStat {
    return {
      device: 1n,
      ino: BigInt(this.ino),
      type: this.type,
      linkCount: BigInt(this.linkCount),
      sizeBytes: BigInt(this.sizeBytes),
      accessNs: this.accessNs,
      modificationNs: this.modificationNs,
      changeNs: this.changeNs,
    };
  }

  setTimes({ accessNs, modificationNs }: FileTimes): void {
    this.accessNs = accessNs ?? this.accessNs;
    this.modificationNs = modificationNs ?? this.modificationNs;
    this.changeNs = this.scratch.now();
  }

  sync(): void {}

  release(): void {}

  open(): void {
    this.openCount += 1;
  }

  close(): void {
    this.openCount -= 1;
    this.#forgetIfGone();
  }

  /** It has one name more, or one fewer. */
  named(change: 1 | -1): void {
    this.linkCount += change;
    this.changeNs = this.scratch.now();
    this.#forgetIfGone();
  }

  protected changed(): void {
    this.modificationNs = this.changeNs = this.scratch.now();
  }

  /** Nothing leads to it any more. */
  protected forget(): void {}

  #forgetIfGone(): void {
    if (this.linkCount === 0 && this.openCount === 0) {
      this.forget();
    }
  }
}

export class MemoryFile extends MemoryNode implements FileNode {
  readonly kind = "file";
  readonly type = FileType.file;
  sizeBytes = 0;
  #room = new Uint8Array(0);

  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.sizeBytes);
  }

  read(room: Uint8Array, offset: number): number {
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
      this.#grow(offset + bytes.byteLength);
      this.#room.set(bytes, offset);
      this.changed();
    }
  }

  resize(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) {
      this.scratch.usedBytes -= this.sizeBytes - sizeBytes;
      this.#room = this.#room.slice(0, sizeBytes);
      this.sizeBytes = sizeBytes;
    } else {
      this.#grow(sizeBytes);
    }
    this.changed();
  }

  protected override forget(): void {
    this.scratch.usedBytes -= this.sizeBytes;
    this.#room = new Uint8Array(0);
    this.sizeBytes = 0;
  }

  #grow(sizeBytes: number): void {
    if (sizeBytes <= this.sizeBytes) {
      return;
    }
    this.scratch.takeBytes(sizeBytes - this.sizeBytes);
    if (sizeBytes > this.#room.byteLength) {
      const room = new Uint8Array(Math.min(SCRATCH_MAX_BYTES, Math.max(FIRST_BYTES, sizeBytes, this.#room.byteLength * 2)));
      room.set(this.bytes);
      this.#room = room;
    }
    this.sizeBytes = sizeBytes;
  }
}

export class MemoryLink extends MemoryNode implements LinkNode {
  readonly kind = "link";
  readonly type = FileType.link;
  readonly target: string;
  readonly sizeBytes: number;

  constructor(scratch: Scratch, target: string, ino?: number) {
    super(scratch, ino);
    this.target = target;
    this.sizeBytes = Buffer.byteLength(target);
  }
}

export type MemoryFsNode = MemoryFile | MemoryLink | MemoryFolder;

export class MemoryFolder extends MemoryNode implements FolderNode {
  readonly kind = "folder";
  readonly type = FileType.folder;
  readonly sizeBytes = 0;
  /** The folder that has it; null for the root, and for one that was removed. */
  parent: MemoryFolder | null = null;
  /** In the order they came; `at` is never used twice. */
  readonly names = new Map<string, { readonly node: MemoryFsNode; readonly at: number }>();
  lastAt = 0;

  lookup(name: string): MemoryFsNode | undefined {
    return this.names.get(name)?.node;
  }

  createFile(name: string): MemoryFile {
    this.#takeName();
    const file = new MemoryFile(this.scratch);
    this.#add(name, file);
    return file;
  }

  createFolder(name: string): void {
    this.#takeName();
    this.#add(name, new MemoryFolder(this.scratch));
  }

  createLink(name: string, target: string): void {
    this.#takeName();
    this.#add(name, new MemoryLink(this.scratch, target));
  }

  link(from: FolderNode, fromName: string, name: string): void {
    const node = memoryFolder(from).lookup(fromName) ?? fail("noent");
    this.#takeName();
    this.#add(name, node);
  }

  unlink(name: string): void {
    this.#remove(name);
  }

  removeFolder(name: string): void {
    const node = this.lookup(name);
    if (node?.kind === "folder" && node.names.size > 0) {
      fail("notempty");
    }
    this.#remove(name);
  }

  rename(name: string, to: FolderNode, toName: string): void {
    const target = memoryFolder(to);
    const node = this.lookup(name) ?? fail("noent");
    const replaced = target.lookup(toName);
    if (replaced === node) {
      return;
    }
    if (node.kind === "folder" && node.isAbove(target)) {
      fail("inval");
    }
    if (target.linkCount === 0) {
      fail("noent");
    }
    if (replaced !== undefined) {
      checkReplace(node, replaced);
      target.#remove(toName);
    }
    this.names.delete(name);
    this.changed();
    target.#add(toName, node);
    node.named(-1);
  }

  *entries(after: number): Iterable<FolderEntry> {
    for (const [name, { node, at }] of this.names) {
      if (at > after) {
        yield { name, ino: BigInt(node.ino), type: node.type, next: at };
      }
    }
  }

  /** Whether it is `folder`, or one that `folder` is in. */
  isAbove(folder: MemoryFolder): boolean {
    for (let at: MemoryFolder | null = folder; at !== null; at = at.parent) {
      if (at === this) {
        return true;
      }
    }
    return false;
  }

  /** @throws WasiError noent for a folder that was removed and is still open: nothing in it could be reached */
  #takeName(): void {
    if (this.linkCount === 0) {
      fail("noent");
    }
    this.scratch.takeName();
  }

  #add(name: string, node: MemoryFsNode): void {
    this.lastAt += 1;
    this.names.set(name, { node, at: this.lastAt });
    if (node.kind === "folder") {
      node.parent = this;
    }
    node.named(1);
    this.changed();
  }

  #remove(name: string): void {
    const node = this.lookup(name) ?? fail("noent");
    this.names.delete(name);
    this.scratch.nameCount -= 1;
    if (node.kind === "folder") {
      node.parent = null;
    }
    this.changed();
    node.named(-1);
  }
}

function checkReplace(node: MemoryFsNode, replaced: MemoryFsNode): void {
  if (replaced.kind === "folder") {
    if (node.kind !== "folder") {
      fail("isdir");
    }
    if (replaced.names.size > 0) {
      fail("notempty");
    }
  } else if (node.kind === "folder") {
    fail("notdir");
  }
}

/** Folders of two places do not know each other. */
function memoryFolder(folder: FolderNode): MemoryFolder {
  return folder instanceof MemoryFolder ? folder : fail("xdev");
}
