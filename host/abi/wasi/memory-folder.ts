/**
 * Folders of one call. What they hold is bounded, and a function of what the guest did and was told: inode numbers are counted, times
 * come from the call's clock.
 *
 * A folder may lie over one of the tenant's: a name that the call has not taken or removed is looked up there, and becomes the call's
 * own when it is changed (read-global, write-local). Until then it is kept only while it is open or walked through.
 *
 * Names are changed by the guest alone, whose imports run to their end one after the other: between looking up a name and using what
 * was found nothing can happen, so no walk along a path can be raced.
 */
import { Errno, fail, WasiError } from "./errno.ts";
import type { FolderEntry, FolderNode, FsNode } from "./file-system.ts";
import { FolderListing } from "./folder-listing.ts";
import { MemoryFile } from "./memory-file.ts";
import { MemoryLink, MemoryNode, type Origin, type Scratch } from "./memory-node.ts";
import { inoOf } from "./shared-files.ts";
import { SHARED_ROOT, SharedFolder } from "./shared-folder.ts";
import { FileType } from "./types.ts";

export type MemoryFsNode = MemoryFile | MemoryLink | MemoryFolder;

interface Entry {
  readonly node: MemoryFsNode;
  /** Its place in the order they came, which is never used twice. */
  readonly at: number;
  /** The folder below has something of that name. */
  readonly hides: boolean;
}

export class MemoryFolder extends MemoryNode implements FolderNode {
  readonly kind = "folder";
  readonly type = FileType.folder;
  readonly sizeBytes = 0;
  /** The folder that has it; null for the root, and for one that was removed. */
  parent: MemoryFolder | null = null;
  /** The shared folder that it lies over: "" or a path with a slash at its end; null for none. */
  readonly lower: string | null;
  /** In the order they came. */
  readonly names = new Map<string, Entry>();
  /** Names of the folder below that are not to be seen here. */
  readonly gone = new Set<string>();
  readonly listing = new FolderListing();
  lastAt = 0;

  constructor(scratch: Scratch, lower: string | null, origin?: Origin) {
    super(scratch, origin);
    this.lower = lower;
  }

  lookup(name: string): MemoryFsNode | SharedFolder | undefined {
    const entry = this.names.get(name);
    if (entry !== undefined) {
      return entry.node;
    }
    if (this.lower === null || this.gone.has(name)) {
      return undefined;
    }
    return this.lower === "" && name === SHARED_ROOT ? new SharedFolder(this.scratch, "") : this.#lookupBelow(name);
  }

  createFile(name: string): MemoryFile {
    this.#takeName();
    const file = new MemoryFile(this.scratch);
    this.#add(name, file);
    return file;
  }

  createFolder(name: string): void {
    this.#takeName();
    this.#add(name, new MemoryFolder(this.scratch, null));
  }

  createLink(name: string, target: string): void {
    this.#takeName();
    this.#add(name, new MemoryLink(this.scratch, target));
  }

  link(from: FolderNode, fromName: string, name: string): void {
    const node = memoryFolder(from).lookup(fromName) ?? fail("noent");
    if (node instanceof SharedFolder) {
      throw new WasiError(Errno.perm);
    }
    node.own();
    this.#takeName();
    this.#add(name, node);
  }

  unlink(name: string): void {
    this.#remove(name);
  }

  removeFolder(name: string): void {
    const node = this.lookup(name);
    if (node instanceof SharedFolder) {
      fail("busy");
    }
    if (node?.kind === "folder" && !node.isEmpty()) {
      fail("notempty");
    }
    this.#remove(name);
  }

  rename(name: string, to: FolderNode, toName: string): void {
    const target = memoryFolder(to);
    const node = this.lookup(name) ?? fail("noent");
    const replaced = target.lookup(toName);
    if (node instanceof SharedFolder || replaced instanceof SharedFolder) {
      throw new WasiError(Errno.busy);
    }
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
    }
    node.own();
    target.own();
    const hides = this.names.get(name)?.hides === true;
    if (hides) {
      this.scratch.takeName();
      this.gone.add(name);
    }
    if (replaced !== undefined) {
      target.#remove(toName);
    }
    this.names.delete(name);
    this.changed();
    target.#add(toName, node);
    node.named(-1);
  }

  *entries(after: number): Iterable<FolderEntry> {
    if (this.lower === null) {
      yield* this.#own(after);
    } else {
      yield* this.listing.entries(this, this.#own(after), after);
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

  /** Asks the folder below only if the call has nothing here. */
  isEmpty(): boolean {
    return this.names.size === 0 && (this.lower === null || this.listing.isEmpty(this));
  }

  /** A name that the call has not changed, and that nothing needs any more. */
  letGo(name: string): void {
    this.names.delete(name);
  }

  /** A name becomes the call's own. @throws WasiError nospc */
  keep(name: string): void {
    const { node } = this.names.get(name) ?? fail("stale");
    this.scratch.takeName();
    this.lastAt += 1;
    this.names.set(name, { node, at: this.lastAt, hides: true });
  }

  protected override get hasNames(): boolean {
    return this.names.size > 0 || this.gone.size > 0;
  }

  *#own(after: number): Iterable<FolderEntry> {
    for (const [name, { node, at }] of this.names) {
      if (at > after && node.place === null) {
        yield { name, ino: BigInt(node.ino), type: node.type, next: at };
      }
    }
  }

  #lookupBelow(name: string): MemoryFsNode | undefined {
    const path = `${this.lower}${name}`;
    const found = this.scratch.shared.find(path);
    if (found === undefined) {
      return undefined;
    }
    const ino = inoOf(path);
    const node =
      found.kind === "file"
        ? MemoryFile.of(this.scratch, found.file, { ino, timeMs: found.file.timeMs })
        : new MemoryFolder(this.scratch, `${path}/`, { ino });
    node.linkCount = 1;
    node.place = { folder: this, name };
    if (node.kind === "folder") {
      node.parent = this;
    }
    this.names.set(name, { node, at: 0, hides: true });
    return node;
  }

  /** @throws WasiError noent for a folder that was removed and is still open: nothing in it could be reached */
  #takeName(): void {
    if (this.linkCount === 0) {
      fail("noent");
    }
    this.own();
    this.scratch.takeName();
  }

  #add(name: string, node: MemoryFsNode): void {
    const hides = this.gone.delete(name);
    if (hides) {
      this.scratch.nameCount -= 1;
    }
    this.lastAt += 1;
    this.names.set(name, { node, at: this.lastAt, hides });
    if (node.kind === "folder") {
      node.parent = this;
    }
    node.named(1);
    this.changed();
  }

  /** @throws WasiError noent, nospc */
  #remove(name: string): void {
    const node = this.names.get(name)?.node ?? this.lookup(name) ?? fail("noent");
    if (node instanceof SharedFolder) {
      throw new WasiError(Errno.busy);
    }
    node.own();
    const hides = this.names.get(name)?.hides === true;
    this.names.delete(name);
    if (hides) {
      this.gone.add(name);
    } else {
      this.scratch.nameCount -= 1;
    }
    if (node.kind === "folder") {
      node.parent = null;
    }
    this.changed();
    node.named(-1);
  }
}

function checkReplace(node: FsNode, replaced: MemoryFsNode): void {
  if (replaced.kind === "folder") {
    if (node.kind !== "folder") {
      fail("isdir");
    }
    if (!replaced.isEmpty()) {
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
