/**
 * The lock of one region: many readers or one writer, first come first served (H10).
 *
 * L1. Nobody who comes later is served before somebody who waits: neither readers nor writers starve.
 * L2. A holder holds it once; what it holds ends with `release`, whatever becomes of the holder.
 */

export type LockMode = "read" | "write";

/** `abandoned`: the writer before ended without giving it back, so what it was writing may be half done. */
export type Taken = "taken" | "abandoned";

export interface Place {
  readonly taken: Promise<Taken>;
  /** Leaves the queue. Nothing happens when the lock was taken or the place was left before. */
  leave(): void;
}

interface Waiting {
  readonly holder: object;
  readonly mode: LockMode;
  readonly resolve: (taken: Taken) => void;
}

export class RegionLock {
  readonly #holders = new Set<object>();
  #mode: LockMode = "read";
  #queue: Waiting[] = [];
  #isAbandoned = false;

  /** Whether `holder` holds it or waits for it. */
  has(holder: object): boolean {
    return this.#holders.has(holder) || this.#queue.some((one) => one.holder === holder);
  }

  /** A holder may be there once. */
  take(holder: object, mode: LockMode): Place {
    const { promise, resolve } = Promise.withResolvers<Taken>();
    const waiting = { holder, mode, resolve };
    this.#queue.push(waiting);
    this.#serve();
    return {
      taken: promise,
      leave: () => {
        this.#queue = this.#queue.filter((one) => one !== waiting);
        this.#serve();
      },
    };
  }

  /**
   * @param asked  the holder gives it back; else it has ended
   * @returns false when it does not hold it
   */
  release(holder: object, asked: boolean): boolean {
    if (!this.#holders.delete(holder)) {
      return false;
    }
    if (this.#mode === "write") {
      this.#isAbandoned = !asked;
    }
    this.#serve();
    return true;
  }

  #serve(): void {
    for (let next = this.#queue[0]; next !== undefined && this.#mayTake(next.mode); next = this.#queue[0]) {
      this.#queue.shift();
      this.#mode = next.mode;
      this.#holders.add(next.holder);
      next.resolve(this.#isAbandoned ? "abandoned" : "taken");
      if (next.mode === "write") {
        this.#isAbandoned = false;
      }
    }
  }

  #mayTake(mode: LockMode): boolean {
    return this.#holders.size === 0 || (mode === "read" && this.#mode === "read");
  }
}
