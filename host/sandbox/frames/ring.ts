/**
 * A byte ring in shared memory from one writer thread to one reader thread.
 *
 * Owns: positions, wrap-around, sleeping and waking. Does not own: what the bytes mean (`channel.ts`).
 *
 * 1. Every control word has one writer; nothing is ever locked (H10).
 * 2. A frame is contiguous and starts at a multiple of 8; a PAD word sends the reader back to the start of the buffer.
 * 3. A frame becomes visible by one store of HEAD, its room free by one store of TAIL.
 * 4. A side goes to sleep by saying so in a word and then waiting for HEAD (or TAIL) to leave the value it has seen. The other side
 *    stores first and then looks for that word, so no wake-up is lost. It may send one too many: a side that is told so before it
 *    waits sleeps nevertheless, so a wake-up never stands for a later store.
 */

/** Control words, a cache line apart. */
const HEAD = 0;
const READER_NAP = 16;
const TAIL = 32;
const WRITER_NAP = 48;
const CONTROL_BYTES = 256;
const PAD = -1;
/** About 60 µs: an answer of the main thread is often that near. See docs/decisions/0013-wake-ups.md. */
const LOOKS_BEFORE_SLEEP = 1_500;

export const RING_FRAME_ALIGNMENT_BYTES = 8;

/** @param sizeBytes a power of two: the room for frames; a single frame may take half of it */
export function createRing(sizeBytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_BYTES + sizeBytes);
}

class RingSide {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly floats: Float64Array;
  protected readonly control: Int32Array;
  protected readonly sizeBytes: number;

  constructor(ring: SharedArrayBuffer) {
    this.sizeBytes = ring.byteLength - CONTROL_BYTES;
    this.control = new Int32Array(ring, 0, CONTROL_BYTES / 4);
    this.bytes = new Uint8Array(ring, CONTROL_BYTES);
    this.words = new Int32Array(ring, CONTROL_BYTES);
    this.floats = new Float64Array(ring, CONTROL_BYTES);
  }

  /** Blocks this thread until `word` is no longer `seen`. */
  protected nap(napWord: number, word: number, seen: number): void {
    Atomics.store(this.control, napWord, 1);
    Atomics.wait(this.control, word, seen);
    Atomics.store(this.control, napWord, 0);
  }

  /** As `nap`, without blocking; undefined when `word` has moved already. */
  protected napAsync(napWord: number, word: number, seen: number): Promise<void> | undefined {
    Atomics.store(this.control, napWord, 1);
    const wait = Atomics.waitAsync(this.control, word, seen);
    if (!wait.async) {
      Atomics.store(this.control, napWord, 0);
      return undefined;
    }
    return wait.value.then(() => {
      Atomics.store(this.control, napWord, 0);
    });
  }

  protected wakeOther(napWord: number, word: number): void {
    if (Atomics.load(this.control, napWord) !== 0) {
      Atomics.notify(this.control, word);
    }
  }
}

export class RingWriter extends RingSide {
  #head = 0;
  #published = 0;
  #tail = 0;

  /** Byte offset of `sizeBytes` contiguous free bytes, or −1 when the reader has not made room yet. Nothing is visible before `publish`. */
  reserve(sizeBytes: number): number {
    const needed = align(sizeBytes);
    const index = this.#published & (this.sizeBytes - 1);
    const toEnd = this.sizeBytes - index;
    const total = needed > toEnd ? toEnd + needed : needed;
    if (total > this.#free()) {
      this.#tail = Atomics.load(this.control, TAIL);
      if (total > this.#free()) {
        return -1;
      }
    }
    this.#head = (this.#published + total) | 0;
    if (needed > toEnd) {
      this.words[index >> 2] = PAD;
      return 0;
    }
    return index;
  }

  /** Makes the reserved bytes a frame of the reader, which sees it unless it sleeps. */
  publish(): void {
    this.#published = this.#head;
    Atomics.store(this.control, HEAD, this.#head);
  }

  /** Wakes the reader if it sleeps. */
  wake(): void {
    this.wakeOther(READER_NAP, HEAD);
  }

  /** Blocks until the reader has freed something since the last `reserve`. */
  waitForRoom(): void {
    this.nap(WRITER_NAP, TAIL, this.#tail);
  }

  /** Resolves when the reader has freed something since the last `reserve`; undefined when it has already. */
  roomAsync(): Promise<void> | undefined {
    return this.napAsync(WRITER_NAP, TAIL, this.#tail);
  }

  #free(): number {
    return this.sizeBytes - ((this.#published - this.#tail) | 0);
  }
}

export class RingReader extends RingSide {
  #tail = 0;
  #head = 0;

  /** Byte offset of the oldest frame not yet released, or −1. */
  next(): number {
    if (this.#tail === this.#head) {
      this.#head = Atomics.load(this.control, HEAD);
      if (this.#tail === this.#head) {
        return -1;
      }
    }
    const index = this.#tail & (this.sizeBytes - 1);
    if (this.words[index >> 2] === PAD) {
      this.#tail = (this.#tail + this.sizeBytes - index) | 0;
      return 0;
    }
    return index;
  }

  /** Gives the room of the frame that `next` returned back to the writer. */
  release(sizeBytes: number): void {
    this.#tail = (this.#tail + align(sizeBytes)) | 0;
    Atomics.store(this.control, TAIL, this.#tail);
    this.wakeOther(WRITER_NAP, TAIL);
  }

  /**
   * Blocks until a frame is there. Only after `next` has returned −1, as for `sleepAsync`.
   * @param isOwed  the other side owes an answer: it is looked for before this thread sleeps
   */
  sleep(isOwed: boolean): void {
    for (let looks = isOwed ? LOOKS_BEFORE_SLEEP : 0; looks > 0; looks -= 1) {
      if (Atomics.load(this.control, HEAD) !== this.#head) {
        return;
      }
      Atomics.pause();
    }
    this.nap(READER_NAP, HEAD, this.#head);
  }

  /** Resolves when a frame may be there; undefined when it is already. Does not keep the event loop alive. */
  sleepAsync(): Promise<void> | undefined {
    return this.napAsync(READER_NAP, HEAD, this.#head);
  }

  /** Lets a pending `sleepAsync` of this side resolve, as the writer will not: it was terminated. */
  wakeSelf(): void {
    Atomics.notify(this.control, HEAD);
  }
}

function align(sizeBytes: number): number {
  return (sizeBytes + RING_FRAME_ALIGNMENT_BYTES - 1) & -RING_FRAME_ALIGNMENT_BYTES;
}
