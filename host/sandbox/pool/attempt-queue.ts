/** Attempts that wait for a worker: nested calls before those that wait for them, of one depth first in, first out. */
import type { Attempt } from "./attempt.ts";

export class AttemptQueue {
  /** In the order of their coming. None stays that has had its turn, or will not: it may hold a long input or output. */
  readonly #waiting = new Set<Attempt>();

  get size(): number {
    return this.#waiting.size;
  }

  push(attempt: Attempt): void {
    attempt.queue = this;
    this.#waiting.add(attempt);
  }

  shift(): Attempt | undefined {
    const [first] = this.#waiting;
    if (first !== undefined) {
      this.withdraw(first);
    }
    return first;
  }

  /** The attempt's turn will not come. */
  withdraw(attempt: Attempt): void {
    if (this.#waiting.delete(attempt)) {
      attempt.queue = undefined;
    }
  }
}

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
