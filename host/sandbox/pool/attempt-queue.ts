/** Attempts that wait for a worker: nested calls before those that wait for them, of one depth first in, first out. */
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

export class DepthQueues {
  readonly #byDepth: AttemptQueue[] = [];

  get size(): number {
    let size = 0;
    for (const queue of this.#byDepth) {
      size += queue.size;
    }
    return size;
  }

  /** Of the attempt that `shift` would give; -1 when none waits. */
  get depth(): number {
    return this.#byDepth.findLastIndex((queue) => queue.size > 0);
  }

  push(attempt: Attempt): void {
    const { depth } = attempt.start;
    while (this.#byDepth.length <= depth) {
      this.#byDepth.push(new AttemptQueue());
    }
    this.#byDepth[depth]?.push(attempt);
  }

  shift(): Attempt | undefined {
    return this.#byDepth[this.depth]?.shift();
  }
}
