/**
 * What descriptors and paths need of a place where files are kept: folders, files and symbolic links, each with single names below
 * it. Who implements it knows nothing of paths, descriptors and rights; names are never "", "." or "..", and hold no "/" or NUL.
 *
 * Every method may throw a WasiError. Times are ns since 1970.
 */
import type { FileType } from "./types.ts";

export interface FileStat {
  readonly device: bigint;
  readonly ino: bigint;
  readonly type: FileType;
  readonly linkCount: bigint;
  readonly sizeBytes: bigint;
  readonly accessNs: bigint;
  readonly modificationNs: bigint;
  readonly changeNs: bigint;
}

/** Undefined: stays as it is. */
export interface FileTimes {
  readonly accessNs?: bigint | undefined;
  readonly modificationNs?: bigint | undefined;
}

interface AnyNode {
  stat(): FileStat;
  setTimes(times: FileTimes): void;
  /** The walk that found it is over. What a descriptor has opened stays open. */
  release(): void;
}

/** What a descriptor can be opened on. Each `open` is followed by one `close`. */
interface OpenableNode extends AnyNode {
  open(access: FileAccess): void;
  close(): void;
  sync(): void;
}

export interface FileAccess {
  readonly reads: boolean;
  readonly writes: boolean;
}

/** Bytes under a name, or under none any more. */
export interface FileNode extends OpenableNode {
  readonly kind: "file";
  /** Bytes copied: fewer than there is room for at the end of the file, and where the rest would be very much. */
  read(room: Uint8Array, offset: number): number;
  /** Writes all, or throws and has written nothing. A gap behind the old end becomes zeros. */
  write(bytes: Uint8Array, offset: number): void;
  resize(sizeBytes: number): void;
}

export interface LinkNode extends AnyNode {
  readonly kind: "link";
  readonly target: string;
}

export interface FolderEntry {
  readonly name: string;
  readonly ino: bigint;
  readonly type: FileType;
  /** Where `entries` goes on behind this one. */
  readonly next: number;
}

export interface FolderNode extends OpenableNode {
  readonly kind: "folder";
  /** Undefined when there is none of that name. Links are not followed. */
  lookup(name: string): FsNode | undefined;
  /** Of a name that nothing has. `exclusive`: @throws WasiError exist when somebody else has taken it meanwhile */
  createFile(name: string, exclusive: boolean): FileNode;
  createFolder(name: string): void;
  createLink(name: string, target: string): void;
  /** Gives what `from` calls `fromName`, which is no folder, a second name here. */
  link(from: FolderNode, fromName: string, name: string): void;
  /** Of what is no folder. */
  unlink(name: string): void;
  /** Of an empty folder. */
  removeFolder(name: string): void;
  /** As rename(2): replaces a file or an empty folder of the new name at one moment. */
  rename(name: string, to: FolderNode, toName: string): void;
  /** Behind `after`, 0 for all. An entry that stays is seen once, however the folder changes between two calls. */
  entries(after: number): Iterable<FolderEntry>;
}

export type FsNode = FileNode | LinkNode | FolderNode;
