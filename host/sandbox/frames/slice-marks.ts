/**
 * What a worker shows of itself in shared memory, for the watchdog to read while the worker runs: which call it is in, since when,
 * and how many sandboxes it holds (H7). The worker is the only writer; the slice number is stored last.
 */

const SLICE = 0;
const CALL = 1;
const ATTEMPT = 2;
const IDLE_SANDBOXES = 3;
/** In 8-byte words. */
const CPU_MS = 2;
const IDLE_BYTES = 3;
const SIZE_BYTES = 32;

export const NO_CALL = -1;

/** What an executor shows of itself while it runs. */
export interface SliceMarks {
  /** The given attempt runs from now on. */
  mark(call: number, attempt: number, cpuMs: number): void;
  /** No guest runs. */
  markIdle(): void;
  idleSandboxes: number;
  /** What these keep resident. */
  idleBytes: number;
}

/** What the main thread sees of it. */
export interface SliceView {
  /** What the executor runs now. While it changes faster than this reads, no attempt is named. */
  read(): SliceMark;
  readonly idleSandboxes: number;
  readonly idleBytes: number;
}

export interface SliceMark {
  /** Changes whenever the worker resumes a guest, and whenever none is running. */
  readonly slice: number;
  /** The attempt that runs; undefined between slices. */
  readonly running: { readonly call: number; readonly attempt: number } | undefined;
  /** CPU time of that attempt before this slice, ms. */
  readonly cpuMs: number;
}

export function createSliceMarks(): SharedArrayBuffer {
  const marks = new SharedArrayBuffer(SIZE_BYTES);
  new Int32Array(marks)[CALL] = NO_CALL;
  return marks;
}

/** The worker's side. */
export class SliceMarker implements SliceMarks {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  #slice = 0;

  constructor(marks: SharedArrayBuffer) {
    this.#words = new Int32Array(marks);
    this.#floats = new Float64Array(marks);
  }

  mark(call: number, attempt: number, cpuMs: number): void {
    this.#words[CALL] = call;
    this.#words[ATTEMPT] = attempt;
    this.#floats[CPU_MS] = cpuMs;
    this.#slice = (this.#slice + 1) | 0;
    Atomics.store(this.#words, SLICE, this.#slice);
  }

  markIdle(): void {
    this.mark(NO_CALL, 0, 0);
  }

  set idleSandboxes(count: number) {
    this.#words[IDLE_SANDBOXES] = count;
  }

  set idleBytes(bytes: number) {
    this.#floats[IDLE_BYTES] = bytes;
  }
}

/** The main thread's side. */
export class SliceReader implements SliceView {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;

  constructor(marks: SharedArrayBuffer) {
    this.#words = new Int32Array(marks);
    this.#floats = new Float64Array(marks);
  }

  read(): SliceMark {
    const slice = Atomics.load(this.#words, SLICE);
    const call = this.#words[CALL] ?? NO_CALL;
    const attempt = this.#words[ATTEMPT] ?? 0;
    const cpuMs = this.#floats[CPU_MS] ?? 0;
    const steady = Atomics.load(this.#words, SLICE) === slice;
    return { slice, running: steady && call !== NO_CALL ? { call, attempt } : undefined, cpuMs };
  }

  get idleSandboxes(): number {
    return this.#words[IDLE_SANDBOXES] ?? 0;
  }

  get idleBytes(): number {
    return this.#floats[IDLE_BYTES] ?? 0;
  }
}
