/**
 * The slice marks of a process (`slice-marks.ts`), in a file that only the two sides have open: there is no memory that two
 * processes share, and a process that is in a long slice answers nobody. One write into the page cache per slice, 1.5 µs.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NO_CALL, type SliceMark, type SliceMarks, type SliceView } from "../frames/slice-marks.ts";

/** slice, call, attempt, idle sandboxes (i32), CPU ms (f64), slice again (i32), KiB of idle sandboxes (i32) */
const SIZE_BYTES = 32;
const KIB = 1024;
/** In memory where the system has a folder for that. */
const FOLDERS = ["/dev/shm", tmpdir()];
/** The process can write as much as it likes into it; a file of 32 bytes takes less on every system. */
const FILE_MAX_BYTES = 4 * 1024 * 1024;

/** The executor's side. */
export class SliceFileMarker implements SliceMarks {
  readonly #file: number;
  readonly #bytes = Buffer.alloc(SIZE_BYTES);
  #slice = 0;
  #idleSandboxes = 0;
  #idleBytes = 0;
  #isShown = true;
  #shows = false;
  readonly #show = (): void => {
    this.#shows = false;
    if (!this.#isShown) {
      this.#write();
    }
  };

  constructor(file: number) {
    this.#file = file;
    this.#bytes.writeInt32LE(NO_CALL, 4);
  }

  mark(call: number, attempt: number, cpuMs: number): void {
    this.#set(call, attempt, cpuMs);
    this.#write();
  }

  /** Shown at once: what the process does before its next slice, a collection of garbage above all, is no call's. */
  markIdle(): void {
    this.#set(NO_CALL, 0, 0);
    this.#write();
  }

  get idleSandboxes(): number {
    return this.#idleSandboxes;
  }

  set idleSandboxes(count: number) {
    this.#idleSandboxes = count;
    this.#bytes.writeInt32LE(count, 12);
    this.#showLater();
  }

  get idleBytes(): number {
    return this.#idleBytes;
  }

  set idleBytes(bytes: number) {
    this.#idleBytes = bytes;
    this.#bytes.writeInt32LE(Math.ceil(bytes / KIB), 28);
    this.#showLater();
  }

  #set(call: number, attempt: number, cpuMs: number): void {
    this.#slice = (this.#slice + 1) | 0;
    this.#bytes.writeInt32LE(this.#slice, 0);
    this.#bytes.writeInt32LE(call, 4);
    this.#bytes.writeInt32LE(attempt, 8);
    this.#bytes.writeDoubleLE(cpuMs, 16);
    this.#bytes.writeInt32LE(this.#slice, 24);
  }

  #showLater(): void {
    this.#isShown = false;
    if (!this.#shows) {
      this.#shows = true;
      setImmediate(this.#show);
    }
  }

  #write(): void {
    this.#isShown = true;
    writeSync(this.#file, this.#bytes, 0, SIZE_BYTES, 0);
  }
}

/** The main thread's side, which makes the file. */
export class SliceFile implements SliceView {
  /** To be opened for the process, and to be taken away then. */
  readonly path: string;
  readonly #descriptor: number;
  readonly #bytes = Buffer.alloc(SIZE_BYTES);
  readonly #idleMaxBytes: number;
  #isClosed = false;

  /**
   * @param idleMaxBytes  what is believed at most of idle sandboxes
   * @throws the error of the last folder in which no file can be made
   */
  constructor(name: string, idleMaxBytes: number) {
    this.#idleMaxBytes = idleMaxBytes;
    [this.path, this.#descriptor] = openIn(FOLDERS, name);
    this.#bytes.writeInt32LE(NO_CALL, 4);
    writeSync(this.#descriptor, this.#bytes, 0, SIZE_BYTES, 0);
  }

  read(): SliceMark {
    this.#read();
    const bytes = this.#bytes;
    const slice = bytes.readInt32LE(0);
    const call = bytes.readInt32LE(4);
    const steady = bytes.readInt32LE(24) === slice;
    const running = steady && call !== NO_CALL ? { call, attempt: bytes.readInt32LE(8) } : undefined;
    return { slice, running, cpuMs: finite(bytes.readDoubleLE(16)) };
  }

  get idleSandboxes(): number {
    this.#read();
    return Math.max(0, this.#bytes.readInt32LE(12));
  }

  get idleBytes(): number {
    this.#read();
    return Math.min(Math.max(0, this.#bytes.readInt32LE(28)) * KIB, this.#idleMaxBytes);
  }

  get isOvergrown(): boolean {
    return !this.#isClosed && fstatSync(this.#descriptor).blocks * 512 > FILE_MAX_BYTES;
  }

  close(): void {
    if (!this.#isClosed) {
      this.#read();
      this.#isClosed = true;
      closeSync(this.#descriptor);
      rmSync(this.path, { force: true });
    }
  }

  #read(): void {
    if (!this.#isClosed) {
      readSync(this.#descriptor, this.#bytes, 0, SIZE_BYTES, 0);
    }
  }
}

/** From another process: it may be anything. */
function finite(value: number): number {
  return Number.isFinite(value) && value >= 0 ? value : 0;
}

function openIn(folders: readonly string[], name: string): [path: string, descriptor: number] {
  let failure: unknown;
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      return [path, openSync(path, "wx+", 0o600)];
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
