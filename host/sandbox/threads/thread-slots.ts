/**
 * Threads that can be joined, in words that all threads of a call share: which one it is, whether it has ended and with what value, and
 * where its stack lies, which the next thread in its slot gets.
 */

export const SLOTS = 64;
const STATE = 0;
const THREAD = 1;
const VALUE = 2;
const STACK_PAGE = 3;
const WORDS_OF_SLOT = 4;
export const SLOT_WORDS = SLOTS * WORDS_OF_SLOT;

const State = { free: 0, runs: 1, runsDetached: 2, ended: 3, claimed: 4 } as const;

export class ThreadSlots {
  readonly #words: Int32Array;

  /** @param words  SLOT_WORDS of them, zero when the call begins */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Takes a slot for a thread that is about to start. @returns its index; -1: there is none */
  claim(): number {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (Atomics.compareExchange(this.#words, at(slot, STATE), State.free, State.claimed) === State.free) {
        return slot;
      }
    }
    return -1;
  }

  /** First page of the stack of a slot that was claimed. @returns -1 when there is no memory for it */
  stackPage(slot: number, pages: number, grow: (pages: number) => number): number {
    const known = this.#words[at(slot, STACK_PAGE)] ?? 0;
    const page = known > 0 ? known : grow(pages);
    this.#words[at(slot, STACK_PAGE)] = Math.max(0, page);
    return page;
  }

  /** The claimed slot is that of a thread, before it starts. */
  begin(slot: number, thread: number, isDetached: boolean): void {
    Atomics.store(this.#words, at(slot, THREAD), thread);
    Atomics.store(this.#words, at(slot, STATE), isDetached ? State.runsDetached : State.runs);
  }

  /** The thread has not started. */
  giveBack(slot: number): void {
    Atomics.store(this.#words, at(slot, STATE), State.free);
  }

  /** The thread of the slot has ended; its stack is free as soon as it is joined. */
  end(slot: number, value: number): void {
    const state = at(slot, STATE);
    Atomics.store(this.#words, at(slot, VALUE), value);
    if (Atomics.compareExchange(this.#words, state, State.runs, State.ended) !== State.runs) {
      Atomics.store(this.#words, state, State.free);
    }
    Atomics.notify(this.#words, state);
  }

  /** Waits for the end of a thread. @returns null when there is none to be joined */
  join(thread: number): number | null {
    const slot = this.#slotOf(thread);
    if (slot < 0) {
      return null;
    }
    const state = at(slot, STATE);
    while (Atomics.load(this.#words, state) === State.runs) {
      Atomics.wait(this.#words, state, State.runs);
    }
    const value = this.#words[at(slot, VALUE)] ?? 0;
    return Atomics.compareExchange(this.#words, state, State.ended, State.free) === State.ended ? value : null;
  }

  /** Nobody will join the thread. False when there is none. */
  detach(thread: number): boolean {
    const slot = this.#slotOf(thread);
    if (slot < 0) {
      return false;
    }
    const state = at(slot, STATE);
    const was = Atomics.compareExchange(this.#words, state, State.runs, State.runsDetached);
    if (was === State.ended) {
      Atomics.store(this.#words, state, State.free);
    }
    return true;
  }

  #slotOf(thread: number): number {
    for (let slot = 0; slot < SLOTS; slot++) {
      const state = Atomics.load(this.#words, at(slot, STATE));
      if (Atomics.load(this.#words, at(slot, THREAD)) === thread && (state === State.runs || state === State.ended)) {
        return slot;
      }
    }
    return -1;
  }
}

function at(slot: number, word: number): number {
  return slot * WORDS_OF_SLOT + word;
}
