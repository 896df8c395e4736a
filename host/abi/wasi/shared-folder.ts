/** "faasm://": the tenant's shared files themselves. What is done here, all functions of the tenant see: files when they are closed or synced. */
import { Errno, errnoOf, fail, WasiError } from "./errno.ts";
import type { FileStat, FolderEntry, FolderNode } from "./file-system.ts";
import { FolderListing } from "./folder-listing.ts";
import { MemoryFile } from "./memory-file.ts";
import type { Scratch } from "./memory-node.ts";
import { type FileVersion, inoOf, type SharedFiles } from "./shared-files.ts";
import { FileType } from "./types.ts";

/** The name in the call's "/" below which they are: "faasm://a" is the path "faasm:/a". No list shows it. */
export const SHARED_ROOT = "faasm:";
const DEVICE = 2n;

export class SharedFile extends MemoryFile {
  /** Null for one that was removed. */
  path: string | null;
  /** As it was last seen among the tenant's. */
  stored: FileVersion;
  /** The version that its bytes were made from; null when nothing of it is left. */
  madeFrom: number | null = null;
  /** Its bytes are not the tenant's yet. */
  isDirty = false;

  /** @param ino  that it has had from the first name on under which the call has opened it */
  constructor(scratch: Scratch, stored: FileVersion, ino = inoOf(stored.path)) {
    super(scratch, { ino, timeMs: stored.timeMs });
    this.stored = stored;
    this.path = stored.path;
    this.base = stored;
  }

  override stat(): FileStat {
    return { ...super.stat(), device: DEVICE, linkCount: 1n };
  }

  override setTimes(): never {
    return fail("notsup");
  }

  override write(bytes: Uint8Array, offset: number): void {
    super.write(bytes, offset);
    this.isDirty ||= bytes.byteLength > 0;
  }

  override resize(sizeBytes: number): void {
    super.resize(sizeBytes);
    this.madeFrom = sizeBytes === 0 ? null : this.madeFrom;
    this.isDirty = true;
  }

  /** @throws WasiError stale: another call has replaced what the bytes were made from; fbig */
  override sync(): void {
    if (this.isDirty && this.path !== null) {
      const { path } = this;
      const errno = errnoOf(() => this.#published(this.scratch.shared.publish(path, this.bytes, this.madeFrom)));
      this.isDirty = false;
      if (errno !== 0) {
        throw new WasiError(errno);
      }
    }
  }

  /** At the end of the call. @throws WasiError as `sync` */
  async finish(): Promise<void> {
    if (this.isDirty && this.path !== null) {
      this.#published(await this.scratch.shared.store(this.path, this.bytes, this.madeFrom));
    }
  }

  override open(): void {
    super.open();
    if (this.path !== null) {
      this.scratch.shared.live.set(this.path, this);
    }
  }

  /** Closes it whatever it throws. @throws WasiError as `sync` */
  override close(): void {
    const errno = errnoOf(() => this.sync());
    if (this.openCount === 1 && this.path !== null) {
      this.scratch.shared.live.delete(this.path);
    }
    super.close();
    if (errno !== 0) {
      throw new WasiError(errno);
    }
  }

  /** It has another name. */
  movedTo(stored: FileVersion): void {
    this.stored = stored;
    this.path = stored.path;
    this.base = this.base === null ? null : stored;
    this.madeFrom = this.madeFrom === null ? null : stored.version;
    if (this.openCount > 0) {
      this.scratch.shared.live.set(stored.path, this);
    }
  }

  protected override bring(): void {
    const { base } = this;
    super.bring();
    this.madeFrom = base?.version ?? this.madeFrom;
  }

  #published(stored: FileVersion): void {
    this.isDirty = false;
    this.stored = stored;
    this.madeFrom = this.madeFrom === null ? null : stored.version;
  }
}

export class SharedFolder implements FolderNode {
  readonly kind = "folder";
  /** "" or a path with a slash at its end. */
  readonly path: string;
  readonly listing = new FolderListing();
  readonly #scratch: Scratch;
  readonly #shared: SharedFiles;

  constructor(scratch: Scratch, path: string) {
    this.path = path;
    this.#scratch = scratch;
    this.#shared = scratch.shared;
  }

  lookup(name: string): SharedFile | SharedFolder | undefined {
    const path = this.path + name;
    const live = this.#shared.live.get(path);
    if (live !== undefined) {
      return live;
    }
    const found = this.#shared.find(path);
    switch (found?.kind) {
      case "file":
        return new SharedFile(this.#scratch, found.file);
      case "folder":
        return new SharedFolder(this.#scratch, `${path}/`);
      default:
        return undefined;
    }
  }

  createFile(name: string, exclusive: boolean): SharedFile {
    const file = new SharedFile(this.#scratch, this.#shared.create(this.path + name, exclusive));
    if (file.sizeBytes === 0) {
      file.base = null;
    }
    return file;
  }

  createFolder(name: string): void {
    this.#shared.createFolder(this.path + name);
  }

  createLink(): never {
    return fail("notsup");
  }

  link(): never {
    return fail("notsup");
  }

  unlink(name: string): void {
    this.#shared.remove(this.path + name);
    this.#forget(this.path + name);
  }

  removeFolder(name: string): void {
    const path = `${this.path}${name}/`;
    if (this.#shared.list(path, "").length > 0) {
      fail("notempty");
    }
    this.#shared.remove(path);
  }

  /** Of a file. It is at its new name before it leaves the old one. */
  rename(name: string, to: FolderNode, toName: string): void {
    const file = this.lookup(name) ?? fail("noent");
    if (!(to instanceof SharedFolder) || file.kind === "folder") {
      throw new WasiError(Errno.xdev);
    }
    const [from, path] = [this.path + name, to.path + toName];
    if (from === path) {
      return;
    }
    if (to.lookup(toName)?.kind === "folder") {
      fail("isdir");
    }
    file.sync();
    const moved = this.#shared.move(file.stored, path);
    this.#forget(path);
    this.#shared.live.delete(from);
    file.movedTo(moved);
  }

  *entries(after: number): Iterable<FolderEntry> {
    yield* this.listing.shared(this.#shared, this.path, after, 0, () => false);
  }

  stat(): FileStat {
    const unknown = { sizeBytes: 0n, accessNs: 0n, modificationNs: 0n, changeNs: 0n };
    return { device: DEVICE, ino: BigInt(inoOf(this.path.slice(0, -1))), type: FileType.folder, linkCount: 1n, ...unknown };
  }

  setTimes(): never {
    return fail("notsup");
  }

  open(): void {}

  close(): void {}

  sync(): void {}

  release(): void {}

  /** What is open of that name has none any more. */
  #forget(path: string): void {
    const live = this.#shared.live.get(path);
    if (live !== undefined) {
      live.path = null;
      this.#shared.live.delete(path);
    }
  }
}
