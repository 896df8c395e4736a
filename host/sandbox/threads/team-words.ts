/**
 * What the threads of a call share beside the guest's memory. Each word is changed by one atomic operation at a time: nobody waits for
 * anybody (H10).
 */
import { THREAD_KEYS_MAX } from "../guest.ts";
import { CREW_BYTES } from "./crew.ts";
import { SLOT_WORDS, ThreadSlots } from "./thread-slots.ts";

const LIVE = 0;
const STARTED = 1;
const LOG_BYTES = 2;
const OUTPUT_BYTES = 3;
const KEYS = 4;
const HANDLES = 5;
/** What imports make a mutex of; nothing here waits for it. */
const CRITICAL = 6;
const CRITICAL_WORDS = 6;
const FIRST_SLOT = CRITICAL + CRITICAL_WORDS;
/** Of the destructor of each key. */
const FIRST_KEY = FIRST_SLOT + SLOT_WORDS;
const WORDS = FIRST_KEY + THREAD_KEYS_MAX + 1;
const OUTPUT_FIRST_BYTES = 64 * 1024;

export interface TeamMemory {
  readonly words: SharedArrayBuffer;
  /** Grows up to the limit of the call's output. */
  readonly output: SharedArrayBuffer;
  readonly crew: SharedArrayBuffer;
}

/** Of a call that begins: it has one thread. */
export function createTeamMemory(outputMaxBytes: number): TeamMemory {
  const words = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
  new Int32Array(words)[LIVE] = 1;
  const firstBytes = Math.min(OUTPUT_FIRST_BYTES, outputMaxBytes);
  const output = new SharedArrayBuffer(firstBytes, { maxByteLength: outputMaxBytes });
  return { words, output, crew: new SharedArrayBuffer(CREW_BYTES) };
}

export class TeamWords {
  readonly #words: Int32Array;
  readonly #output: SharedArrayBuffer;
  readonly slots: ThreadSlots;
  readonly critical: Int32Array;

  constructor({ words, output }: TeamMemory) {
    this.#words = new Int32Array(words);
    this.critical = this.#words.subarray(CRITICAL, FIRST_SLOT);
    this.slots = new ThreadSlots(this.#words.subarray(FIRST_SLOT, FIRST_KEY));
    this.#output = output;
  }

  /** Threads that were started and have not ended, the main thread included. */
  get live(): number {
    return Atomics.load(this.#words, LIVE);
  }

  /** Counts one more thread. Returns its number, from 1 on; 0 when there are `threadsMax`. */
  start(threadsMax: number): number {
    for (let live = this.live; live < threadsMax; live = this.live) {
      if (Atomics.compareExchange(this.#words, LIVE, live, live + 1) === live) {
        return Atomics.add(this.#words, STARTED, 1) + 1;
      }
    }
    return 0;
  }

  /** Keys are given out once. @returns 0 when there is none left */
  createKey(destructor: number): number {
    const key = Atomics.add(this.#words, KEYS, 1) + 1;
    if (key < 1 || key > THREAD_KEYS_MAX) {
      Atomics.sub(this.#words, KEYS, 1);
      return 0;
    }
    Atomics.store(this.#words, FIRST_KEY + key, destructor);
    return key;
  }

  /** Index in the table; 0: it has none. */
  destructorOf(key: number): number {
    return Atomics.load(this.#words, FIRST_KEY + key);
  }

  deleteKey(key: number): void {
    if (key > 0 && key <= THREAD_KEYS_MAX) {
      Atomics.store(this.#words, FIRST_KEY + key, 0);
    }
  }

  /** Numbers that each are given out once, from 1 on. */
  nextHandle(): number {
    return Atomics.add(this.#words, HANDLES, 1) + 1;
  }

  /** A thread touches the guest's memory no more. */
  end(): void {
    Atomics.sub(this.#words, LIVE, 1);
  }

  /** How much was printed before, up to `maxBytes` and these. */
  addLog(sizeBytes: number, maxBytes: number): number {
    const before = Atomics.load(this.#words, LOG_BYTES);
    return before > maxBytes ? before : Atomics.add(this.#words, LOG_BYTES, sizeBytes);
  }

  /** Puts bytes behind the output. Returns how many there would be; when that is too many, nothing has happened. */
  append(bytes: Uint8Array): number {
    for (;;) {
      const at = Atomics.load(this.#words, OUTPUT_BYTES);
      const end = at + bytes.byteLength;
      if (end > this.#output.maxByteLength) {
        return end;
      }
      if (Atomics.compareExchange(this.#words, OUTPUT_BYTES, at, end) === at) {
        this.#growTo(end);
        new Uint8Array(this.#output).set(bytes, at);
        return end;
      }
    }
  }

  get outputBytes(): number {
    return Atomics.load(this.#words, OUTPUT_BYTES);
  }

  /** A copy. What a thread has not come to the end of writing is zeros. */
  output(): Uint8Array {
    const sizeBytes = this.outputBytes;
    const bytes = new Uint8Array(sizeBytes);
    bytes.set(new Uint8Array(this.#output).subarray(0, sizeBytes));
    return bytes;
  }

  #growTo(end: number): void {
    while (this.#output.byteLength < end) {
      try {
        this.#output.grow(Math.min(this.#output.maxByteLength, Math.max(end, 2 * this.#output.byteLength)));
      } catch {
        // Another thread has grown it beyond that meanwhile.
      }
    }
  }
}
