/**
 * The slice marks of the workers of a process (`slice-marks.ts`), in a file that only the two sides have open: there is no memory that two
 * processes share, and a worker that is in a long slice answers nobody. One write into the page cache per slice, 1.5 µs.
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
  readonly #position: number;
  readonly #blocks: boolean;
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

  /**
   * @param slot    which marks of the file
   * @param blocks  its thread may block before its next turn: nothing is left for that
   */
  constructor(file: number, slot: number, blocks: boolean) {
    this.#file = file;
    this.#position = slot * SIZE_BYTES;
    this.#blocks = blocks;
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
    if (this.#blocks) {
      this.#write();
    } else if (!this.#shows) {
      this.#shows = true;
      setImmediate(this.#show);
    }
  }

  #write(): void {
    this.#isShown = true;
    writeSync(this.#file, this.#bytes, 0, SIZE_BYTES, this.#position);
  }
}

/** The main thread's side, which makes the file. */
export class SliceFile {
  /** To be opened for the process, and to be taken away then. */
  readonly path: string;
  readonly #descriptor: number;
  readonly #idleMaxBytes: number;
  readonly #slots = new Map<number, SliceSlot>();
  #isClosed = false;

  /**
   * @param idleMaxBytes  what is believed at most of idle sandboxes
   * @throws the error of the last folder in which no file can be made
   */
  constructor(name: string, idleMaxBytes: number) {
    this.#idleMaxBytes = idleMaxBytes;
    [this.path, this.#descriptor] = openIn(FOLDERS, name);
  }

  /** Marks of a worker that has not begun: those of the one that had them before are gone. At most some hundred. */
  slot(number: number): SliceView {
    const position = number * SIZE_BYTES;
    const slot = new SliceSlot(this.#idleMaxBytes, (bytes) => {
      if (!this.#isClosed) {
        readSync(this.#descriptor, bytes, 0, SIZE_BYTES, position);
      }
    });
    this.#slots.set(number, slot);
    if (!this.#isClosed) {
      writeSync(this.#descriptor, slot.bytes, 0, SIZE_BYTES, position);
    }
    return slot;
  }

  get isOvergrown(): boolean {
    return !this.#isClosed && fstatSync(this.#descriptor).blocks * 512 > FILE_MAX_BYTES;
  }

  /** What was last shown stays to be seen. */
  close(): void {
    if (!this.#isClosed) {
      for (const slot of this.#slots.values()) {
        slot.read();
      }
      this.#isClosed = true;
      closeSync(this.#descriptor);
      rmSync(this.path, { force: true });
    }
  }
}

class SliceSlot implements SliceView {
  readonly bytes = Buffer.alloc(SIZE_BYTES);
  readonly #idleMaxBytes: number;
  readonly #refresh: (bytes: Uint8Array) => void;

  constructor(idleMaxBytes: number, refresh: (bytes: Uint8Array) => void) {
    this.#idleMaxBytes = idleMaxBytes;
    this.#refresh = refresh;
    this.bytes.writeInt32LE(NO_CALL, 4);
  }

  read(): SliceMark {
    const { bytes } = this;
    this.#refresh(bytes);
    const slice = bytes.readInt32LE(0);
    const call = bytes.readInt32LE(4);
    const steady = bytes.readInt32LE(24) === slice;
    const running = steady && call !== NO_CALL ? { call, attempt: bytes.readInt32LE(8) } : undefined;
    return { slice, running, cpuMs: finite(bytes.readDoubleLE(16)) };
  }

  get idleSandboxes(): number {
    this.#refresh(this.bytes);
    return Math.max(0, this.bytes.readInt32LE(12));
  }

  get idleBytes(): number {
    this.#refresh(this.bytes);
    return Math.min(Math.max(0, this.bytes.readInt32LE(28)) * KIB, this.#idleMaxBytes);
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
