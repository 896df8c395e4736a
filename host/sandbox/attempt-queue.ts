/** Attempts that wait for a worker, first in, first out. */
import type { Attempt } from "./attempt.ts";

export class AttemptQueue {
  /** Withdrawn ones stay in it until their turn comes. */
  #waiting: Attempt[] = [];
  #first = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(attempt: Attempt): void {
    attempt.queue = this;
    this.#waiting.push(attempt);
    this.#size += 1;
  }

  shift(): Attempt | undefined {
    while (this.#first < this.#waiting.length) {
      const attempt = this.#waiting[this.#first];
      this.#first += 1;
      if (this.#first === this.#waiting.length || this.#first === COMPACT_AT) {
        this.#waiting = this.#waiting.slice(this.#first);
        this.#first = 0;
      }
      if (attempt?.queue === this) {
        attempt.queue = undefined;
        this.#size -= 1;
        return attempt;
      }
    }
    return undefined;
  }

  /** The attempt's turn will not come. */
  withdraw(attempt: Attempt): void {
    if (attempt.queue === this) {
      attempt.queue = undefined;
      this.#size -= 1;
    }
  }
}

const COMPACT_AT = 1024;
