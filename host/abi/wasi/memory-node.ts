/** What all files of a call have in common: they are in memory, begin with the call and go with it, and are bounded. */
import { fail } from "./errno.ts";
import type { FileStat, FileTimes, LinkNode } from "./file-system.ts";
import type { MemoryFolder } from "./memory-folder.ts";
import type { SharedFiles } from "./shared-files.ts";
import { FileType } from "./types.ts";

/** Of all files of a call together. */
export const SCRATCH_MAX_BYTES = 32 * 1024 * 1024;
/** Names of files, folders and links of a call. */
export const SCRATCH_MAX_NAMES = 4096;
const NS_PER_MS = 1_000_000;

/** What all nodes of one scratch share. */
export class Scratch {
  usedBytes = 0;
  nameCount = 0;
  lastIno = 0;
  readonly now: () => bigint;
  readonly shared: SharedFiles;

  /** @param now  the call's clock, ns */
  constructor(now: () => bigint, shared: SharedFiles) {
    this.now = now;
    this.shared = shared;
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

/** Where a node was found that is the tenant's, and that the call has not changed. */
export interface SharedPlace {
  readonly folder: MemoryFolder;
  readonly name: string;
}

/** Of a node that is not made here: its inode number, and its time in ms if it is shared. */
export interface Origin {
  readonly ino: number;
  readonly timeMs?: number;
}

export abstract class MemoryNode {
  readonly scratch: Scratch;
  readonly ino: number;
  abstract readonly type: FileType;
  abstract readonly sizeBytes: number;
  /** Null for what is the call's own. */
  place: SharedPlace | null = null;
  /** Names that it has. */
  linkCount = 0;
  /** Descriptors that it is open in. */
  openCount = 0;
  accessNs: bigint;
  modificationNs: bigint;
  changeNs: bigint;

  constructor(scratch: Scratch, origin?: Origin) {
    this.scratch = scratch;
    this.ino = origin?.ino ?? scratch.takeIno();
    const timeNs = origin === undefined ? scratch.now() : BigInt(Math.trunc((origin.timeMs ?? 0) * NS_PER_MS));
    this.accessNs = this.modificationNs = this.changeNs = timeNs;
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

  /** @throws WasiError nospc */
  setTimes({ accessNs, modificationNs }: FileTimes): void {
    this.own();
    this.accessNs = accessNs ?? this.accessNs;
    this.modificationNs = modificationNs ?? this.modificationNs;
    this.changeNs = this.scratch.now();
  }

  sync(): void {}

  /** What is the tenant's, and neither open nor changed, is looked up again when it is next asked for. */
  release(): void {
    if (this.place !== null && this.openCount === 0 && !this.hasNames) {
      this.place.folder.letGo(this.place.name);
    }
  }

  open(): void {
    this.openCount += 1;
  }

  close(): void {
    this.openCount -= 1;
    this.#forgetIfGone();
    for (let node: MemoryNode = this; node.place !== null; ) {
      const { folder }: SharedPlace = node.place;
      node.release();
      node = folder;
    }
  }

  /** Makes it the call's own, and the folders that it is in. @throws WasiError nospc */
  own(): void {
    const { place } = this;
    if (place !== null) {
      place.folder.own();
      place.folder.keep(place.name);
      this.place = null;
    }
  }

  /** It has one name more, or one fewer. */
  named(change: 1 | -1): void {
    this.linkCount += change;
    this.changeNs = this.scratch.now();
    this.#forgetIfGone();
  }

  /** Whether it is a folder in which the call has something. */
  protected get hasNames(): boolean {
    return false;
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

export class MemoryLink extends MemoryNode implements LinkNode {
  readonly kind = "link";
  readonly type = FileType.link;
  readonly target: string;
  readonly sizeBytes: number;

  constructor(scratch: Scratch, target: string, origin?: Origin) {
    super(scratch, origin);
    this.target = target;
    this.sizeBytes = Buffer.byteLength(target);
  }
}
