/** What an attempt waits for. */
import type { Timers } from "../../state/ports.ts";
import { Fenced } from "../../state/protocols/index.ts";
import { Suspended } from "./attempt.ts";

/**
 * W1. A wait ends with its attempt.
 * W2. A guest that waits for long gives its sandbox back, so that waiting is no reason to end it, and those it waits for find a place
 *     to run.
 */
export class AttemptWait {
  readonly #timers: Timers;
  /** Longer waits suspend the attempt. */
  readonly maxMs: number;
  #isClosed = false;
  #stop: (reason: Fenced | Suspended) => void = () => {};

  constructor(timers: Timers, maxMs: number) {
    this.#timers = timers;
    this.maxMs = maxMs;
  }

  /** The attempt was stopped. */
  close(): void {
    this.#isClosed = true;
    this.#stop(new Fenced("closed", "the attempt was stopped"));
  }

  /** @throws Fenced, Suspended  the attempt was stopped first, or the wait takes too long for a guest to keep its sandbox */
  async for<T>(awaited: Promise<T>): Promise<T> {
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    this.#stop = reject;
    if (this.#isClosed) {
      this.close();
    }
    const cancel = this.#timers.after(this.maxMs, () => reject(new Suspended(awaited)));
    try {
      return await Promise.race([awaited, stopped]);
    } finally {
      cancel();
    }
  }
}
