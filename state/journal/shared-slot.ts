/**
 * The memory that the journal and its log thread share: one frame and one segment order, each with a word that says whose turn it
 * is, how much is released, and whether to stop. Nothing else passes between the two while the journal is open.
 *
 *     0          64                128
 *     +----------+-----------------+---------------
 *     | words    | segment header  | frame
 *     +----------+-----------------+---------------
 */
import { WRITER_BUFFER_BYTES } from "./frame-writer.ts";
import { SEGMENT_HEADER_BYTES } from "./segment.ts";

export const Word = {
  /** Changed by the journal after any of its other words, so that the thread wakes up. */
  wake: 0,
  /** Frames handed over, modulo 2^32. */
  submitted: 1,
  /** Frames durable, modulo 2^32. Set by the thread; the journal waits for it. */
  written: 2,
  segment: 3,
  offset: 4,
  sizeBytes: 5,
  /** One of `Order`. The journal waits for its end. */
  order: 6,
  /** 1: the thread ends when it has written what was submitted. */
  stop: 7,
  /** Segments with numbers below this are released; modulo 2^32. */
  released: 8,
  /** 1: somebody waits for the segment that is being made. */
  hurried: 9,
} as const;

/** The journal goes from none to running, and from done or full to none; the thread from running to done or full. */
export const Order = { none: 0, running: 1, done: 2, full: 3 } as const;

const WORDS_BYTES = 64;

export class SharedSlot {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly header: Buffer;
  readonly frame: Buffer;

  /** @param memory  of another thread's slot; without it a new one is made */
  constructor(memory = new SharedArrayBuffer(WORDS_BYTES + SEGMENT_HEADER_BYTES + WRITER_BUFFER_BYTES)) {
    this.memory = memory;
    this.words = new Int32Array(memory, 0, WORDS_BYTES / Int32Array.BYTES_PER_ELEMENT);
    this.header = Buffer.from(memory, WORDS_BYTES, SEGMENT_HEADER_BYTES);
    this.frame = Buffer.from(memory, WORDS_BYTES + SEGMENT_HEADER_BYTES, WRITER_BUFFER_BYTES);
  }

  wake(): void {
    Atomics.add(this.words, Word.wake, 1);
    Atomics.notify(this.words, Word.wake);
  }
}
