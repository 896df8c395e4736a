/**
 * Folders of this machine that a program may use.
 *
 * F1. A folder is held open, and everything in it is reached as `/proc/self/fd/<number>/<name>`: the name is looked up in that very
 *     folder, wherever it is by then, as openat(2) does. A name that is a link is never followed by the system, so whoever changes
 *     the tree meanwhile cannot lead a program out of it. Where there is no /proc (not Linux), the folder's path stands in its place,
 *     and the tree must not be changed by others.
 * F2. Only files, folders and links are opened: a pipe or a device could block, or be more than a file.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import {
  type FileAccess,
  type FileNode,
  type FileStat,
  type FileTimes,
  type FolderEntry,
  type FolderNode,
  type FsNode,
  fail,
  type LinkNode,
} from "../abi/wasi/index.ts";
import { ExactTimes, typeOf } from "./exact-times.ts";
import { system } from "./host-errno.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const HAS_PROC = existsSync("/proc/self/fd");
const times = new ExactTimes();

/** The folder at a path of the machine's user. @throws WasiError */
export function hostFolder(path: string): FolderNode {
  const fd = system(() => openSync(path, O_RDONLY | O_DIRECTORY));
  return new HostFolder(path, fd);
}

abstract class HostNode {
  /** A path that leads to it as long as the folder it was found in is held. */
  protected readonly path: string;
  protected fd: number | undefined;
  #openCount = 0;

  constructor(path: string, fd?: number) {
    this.path = path;
    this.fd = fd;
  }

  stat(): FileStat {
    return times.stat(this.stats());
  }

  release(): void {
    if (this.#openCount === 0 && this.fd !== undefined) {
      closeSync(this.fd);
      this.fd = undefined;
    }
  }

  open(_access: FileAccess): void {
    this.#openCount += 1;
  }

  close(): void {
    this.#openCount -= 1;
    this.release();
  }

  sync(): void {
    const { fd } = this;
    if (fd !== undefined) {
      system(() => fsyncSync(fd));
    }
  }

  setTimes(wanted: FileTimes): void {
    const { fd, path } = this;
    const stats = this.stats();
    const set = (accessS: number, modificationS: number) =>
      fd === undefined ? lutimesSync(path, accessS, modificationS) : futimesSync(fd, accessS, modificationS);
    system(() => times.set(stats, wanted, set, () => this.stats()));
  }

  protected stats(): BigIntStats {
    const { fd, path } = this;
    return system(() => (fd === undefined ? lstatSync(path, { bigint: true }) : fstatSync(fd, { bigint: true })));
  }
}

class HostLink extends HostNode implements LinkNode {
  readonly kind = "link";

  get target(): string {
    return system(() => readlinkSync(this.path));
  }
}

class HostFile extends HostNode implements FileNode {
  readonly kind = "file";

  override open(access: FileAccess): void {
    const how = access.writes ? (access.reads ? O_RDWR : O_WRONLY) : O_RDONLY;
    this.fd ??= system(() => openSync(this.path, how | O_NOFOLLOW | O_NONBLOCK));
    super.open(access);
    if (!this.stats().isFile()) {
      this.close();
      fail("notsup");
    }
  }

  read(room: Uint8Array, offset: number): number {
    return this.#with((fd) => (room.byteLength === 0 ? 0 : readSync(fd, room, 0, room.byteLength, offset)));
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#with((fd) => {
      for (let done = 0; done < bytes.byteLength; ) {
        done += writeSync(fd, bytes, done, bytes.byteLength - done, offset + done);
      }
    });
  }

  resize(sizeBytes: number): void {
    this.#with((fd) => ftruncateSync(fd, sizeBytes));
  }

  #with<T>(run: (fd: number) => T): T {
    const { fd } = this;
    return fd === undefined ? fail("badf") : system(() => run(fd));
  }
}

class HostFolder extends HostNode implements FolderNode {
  readonly kind = "folder";
  /** Names as they were when a program last began to list them. A name keeps its number while it stays. */
  readonly #numbers = new Map<string, number>();
  #lastNumber = 0;

  lookup(name: string): FsNode | undefined {
    const path = this.#pathOf(name);
    const stats = system(() => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
    if (stats === undefined) {
      return undefined;
    }
    if (stats.isDirectory()) {
      const fd = system(() => openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      return new HostFolder(path, fd);
    }
    return stats.isSymbolicLink() ? new HostLink(path) : new HostFile(path);
  }

  createFile(name: string): FileNode {
    const path = this.#pathOf(name);
    const fd = system(() => openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666));
    return new HostFile(path, fd);
  }

  createFolder(name: string): void {
    system(() => mkdirSync(this.#pathOf(name)));
  }

  createLink(name: string, target: string): void {
    system(() => symlinkSync(target, this.#pathOf(name)));
  }

  link(from: FolderNode, fromName: string, name: string): void {
    const path = placeIn(from, fromName);
    system(() => linkSync(path, this.#pathOf(name)));
  }

  unlink(name: string): void {
    system(() => unlinkSync(this.#pathOf(name)));
  }

  removeFolder(name: string): void {
    system(() => rmdirSync(this.#pathOf(name)));
  }

  rename(name: string, to: FolderNode, toName: string): void {
    const path = placeIn(to, toName);
    system(() => renameSync(this.#pathOf(name), path));
  }

  *entries(after: number): Iterable<FolderEntry> {
    if (after === 0) {
      this.#list();
    }
    for (const [name, number] of this.#numbers) {
      const entry = number > after ? this.#entry(name, number) : undefined;
      if (entry !== undefined) {
        yield entry;
      }
    }
  }

  /** @internal for the other folder of a link or rename */
  pathOf(name: string): string {
    return this.#pathOf(name);
  }

  #list(): void {
    const names = new Set(system(() => readdirSync(this.#place())));
    for (const name of this.#numbers.keys()) {
      if (!names.has(name)) {
        this.#numbers.delete(name);
      }
    }
    for (const name of names) {
      if (!this.#numbers.has(name)) {
        this.#lastNumber += 1;
        this.#numbers.set(name, this.#lastNumber);
      }
    }
  }

  /** Undefined for one that is gone since. */
  #entry(name: string, next: number): FolderEntry | undefined {
    try {
      const stats = lstatSync(this.#pathOf(name), { bigint: true });
      return { name, ino: stats.ino, type: typeOf(stats), next };
    } catch {
      return undefined;
    }
  }

  #place(): string {
    return HAS_PROC && this.fd !== undefined ? `/proc/self/fd/${this.fd}` : this.path;
  }

  #pathOf(name: string): string {
    return `${this.#place()}/${name}`;
  }
}

function placeIn(folder: FolderNode, name: string): string {
  return folder instanceof HostFolder ? folder.pathOf(name) : fail("xdev");
}
