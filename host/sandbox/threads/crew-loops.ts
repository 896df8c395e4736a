/**
 * Loops whose turns the threads of a parallel region take as they come. Some threads may be loops ahead of others: each loop has a place
 * of its own, which is free again when all have come to its end.
 */

const PLACES = 8;
/** Words of a place: the loop that is there, counted from the region's first, and threads that have come to its end. */
const LOOP = 0;
const ENDED = 1;
const WORDS_OF_PLACE = 2;
const WORDS = PLACES * WORDS_OF_PLACE;
const WORD_BYTES = Int32Array.BYTES_PER_ELEMENT;

export const LOOP_BYTES = WORDS * WORD_BYTES + PLACES * BigInt64Array.BYTES_PER_ELEMENT;

interface Loop {
  readonly number: number;
  readonly total: bigint;
  readonly threads: number;
}

export class CrewLoops {
  readonly #words: Int32Array;
  /** Turns that are taken, of each place. */
  readonly #taken: BigUint64Array;
  #count = 0;
  #loop: Loop | null = null;
  /** Turns that are taken, of a loop whose thread is alone. */
  #alone = 0n;
  /** What runs around the regions in which the thread is alone. */
  readonly #outer: { readonly loop: Loop | null; readonly alone: bigint }[] = [];

  /** @param at  offset of LOOP_BYTES, a multiple of 8 */
  constructor(shared: SharedArrayBuffer, at: number) {
    this.#words = new Int32Array(shared, at, WORDS);
    this.#taken = new BigUint64Array(shared, at + WORDS * WORD_BYTES, PLACES);
  }

  /** @param isFirst  of the thread that begins it, before any other knows of it */
  beginRegion(isFirst: boolean): void {
    this.#count = 0;
    this.#loop = null;
    this.#outer.length = 0;
    if (isFirst) {
      for (let place = 0; place < PLACES; place++) {
        Atomics.store(this.#words, place * WORDS_OF_PLACE + LOOP, place);
        Atomics.store(this.#words, place * WORDS_OF_PLACE + ENDED, 0);
        Atomics.store(this.#taken, place, 0n);
      }
    }
  }

  enterAlone(): void {
    this.#outer.push({ loop: this.#loop, alone: this.#alone });
    this.#loop = null;
  }

  leaveAlone(): void {
    const { loop, alone } = this.#outer.pop() ?? { loop: null, alone: 0n };
    this.#loop = loop;
    this.#alone = alone;
  }

  begin(total: bigint, threads: number): void {
    this.#loop = { number: threads === 1 ? 0 : this.#count++, total, threads };
    this.#alone = 0n;
    if (threads > 1) {
      const word = placeOf(this.#loop) * WORDS_OF_PLACE + LOOP;
      for (let at = Atomics.load(this.#words, word); at !== this.#loop.number; at = Atomics.load(this.#words, word)) {
        Atomics.wait(this.#words, word, at);
      }
    }
  }

  take(want: (left: bigint) => bigint): { from: bigint; count: bigint } | null {
    const loop = this.#loop;
    if (loop === null) {
      return null;
    }
    for (;;) {
      const from = loop.threads === 1 ? this.#alone : Atomics.load(this.#taken, placeOf(loop));
      const left = loop.total - from;
      if (left <= 0n) {
        this.#end(loop);
        return null;
      }
      const wanted = want(left);
      const isRest = wanted >= left;
      const count = isRest ? left : wanted;
      if (loop.threads === 1) {
        this.#alone = from + count;
        return { from, count };
      }
      if (Atomics.compareExchange(this.#taken, placeOf(loop), from, from + count) === from) {
        return { from, count };
      }
    }
  }

  #end(loop: Loop): void {
    this.#loop = null;
    if (loop.threads === 1) {
      return;
    }
    const place = placeOf(loop);
    const [words, at] = [this.#words, place * WORDS_OF_PLACE];
    if (Atomics.add(words, at + ENDED, 1) + 1 === loop.threads) {
      Atomics.store(this.#taken, place, 0n);
      Atomics.store(words, at + ENDED, 0);
      Atomics.store(words, at + LOOP, loop.number + PLACES);
      Atomics.notify(words, at + LOOP);
    }
  }
}

function placeOf({ number }: Loop): number {
  return number % PLACES;
}
