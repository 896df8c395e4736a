/** The disk as the journal needs it: a port, so that tests can crash, fill and damage it, and the real one over node:fs. */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { hasCode, NeapError } from "../errors.ts";
import { lockFolder } from "./lock.ts";

/** One folder of files. All calls are synchronous and throw the system's error, with its `code`. */
export interface Disk {
  /** The folder, for messages. */
  readonly directory: string;
  /**
   * Creates the folder if there is none and takes it for this opening.
   *
   * @returns gives the folder back
   * @throws JOURNAL_LOCKED  another opening, in whatever process, holds it; FOLDER_UNUSABLE  names the folder and the system's error
   */
  lock(): () => void;
  list(): readonly string[];
  /** Opens a file that exists. */
  open(name: string): DiskFile;
  /** Opens a new file, or an old one emptied. */
  create(name: string): DiskFile;
  rename(from: string, to: string): void;
  remove(name: string): void;
  /** Makes what `create`, `rename` and `remove` did durable. */
  syncDirectory(): void;
  /** What may still be allocated. A hint: a write can find no room nevertheless. */
  freeBytes(): number;
}

export interface DiskFile {
  sizeBytes(): number;
  /** @throws when fewer bytes are there */
  read(position: number, sizeBytes: number): Buffer;
  /** Writes all of the bytes, growing the file where needed. */
  write(position: number, bytes: Uint8Array): void;
  /** The content is durable after this. After a failure it may never be, however often this is repeated (F12). */
  flush(): void;
  close(): void;
}

/** The folder `directory` of this machine. */
export function realDisk(directory: string): Disk {
  const at = (name: string): string => join(directory, name);
  return {
    directory,
    lock() {
      try {
        createFolder(resolve(directory));
        return lockFolder(directory);
      } catch (error) {
        throw error instanceof NeapError ? error : unusable(directory, error);
      }
    },
    list: () => readdirSync(directory),
    open: (name) => realFile(at(name), "r+"),
    create: (name) => realFile(at(name), "w+"),
    rename: (from, to) => renameSync(at(from), at(to)),
    remove: (name) => rmSync(at(name)),
    syncDirectory: () => syncFolder(directory),
    freeBytes() {
      const { bavail, bsize } = statfsSync(directory);
      return bavail * bsize;
    },
  };
}

function realFile(path: string, mode: string): DiskFile {
  const fd = openSync(path, mode, 0o600);
  return {
    sizeBytes: () => fstatSync(fd).size,
    read(position, sizeBytes) {
      const bytes = Buffer.allocUnsafe(sizeBytes);
      let done = 0;
      while (done < sizeBytes) {
        const count = readSync(fd, bytes, done, sizeBytes - done, position + done);
        if (count === 0) {
          throw new Error(`${path} ends before byte ${position + sizeBytes}`);
        }
        done += count;
      }
      return bytes;
    },
    write(position, bytes) {
      let done = 0;
      while (done < bytes.byteLength) {
        done += writeSync(fd, bytes, done, bytes.byteLength - done, position + done);
      }
    },
    flush: () => fdatasyncSync(fd),
    close: () => closeSync(fd),
  };
}

/** A new folder is durable only when the folder that names it is flushed. */
function createFolder(path: string): void {
  const missing: string[] = [];
  for (let folder = path; !existsSync(folder); folder = dirname(folder)) {
    missing.push(folder);
  }
  // One by one: Node's recursive mkdir never ends where the system answers ENOENT for a folder whose parent is there, as /proc does.
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) {
        throw error;
      }
    }
    syncFolder(dirname(folder));
  }
}

function unusable(directory: string, error: unknown): NeapError {
  const reason = error instanceof Error ? error.message : String(error);
  return new NeapError("FOLDER_UNUSABLE", `data folder ${directory} cannot be used: ${reason}`, { cause: error });
}

function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
