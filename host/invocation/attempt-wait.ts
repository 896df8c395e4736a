/** What an attempt waits for. */
import type { Timers } from "../../state/ports.ts";
import { Fenced } from "../../state/protocols/index.ts";
import { Suspended } from "./attempt.ts";

/** Lets an attempt wait without its sandbox, and go on where it was. */
export interface Parker {
  /** The attempt's sandbox is given back as soon as it can be; false when it cannot be without ending the attempt. */
  park(until: Promise<unknown>): boolean;
  /** What the attempt has read holds nothing back from being collected until it goes on; false: it does. */
  letGo(): Promise<boolean>;
  /** The attempt goes on. @throws Fenced */
  goOn(): Promise<void>;
}

/** An attempt that holds versions back while it waits without its sandbox ends after that, and a replay goes on later (F25). */
const HOLD_MAX_MS = 60_000;

/**
 * W1. A wait ends with its attempt.
 * W2. A guest that waits for long gives its sandbox back, so that waiting is no reason to end it, and those it waits for find a place
 *     to run.
 */
export class AttemptWait {
  readonly #timers: Timers;
  /** Longer waits go on without a sandbox. */
  readonly #maxMs: number;
  readonly #parker: Parker;
  #isClosed = false;
  #waits = 0;
  #stop: (reason: unknown) => void = () => {};

  constructor(timers: Timers, maxMs: number, parker: Parker) {
    this.#timers = timers;
    this.#maxMs = maxMs;
    this.#parker = parker;
  }

  /** Somebody is waited for: a time, a call, a lock. */
  get isWaiting(): boolean {
    return this.#waits > 0;
  }

  /** The attempt was stopped. */
  close(): void {
    this.#isClosed = true;
    this.#stop(new Fenced("closed", "the attempt was stopped"));
  }

  /**
   * @param knownMs  how long it takes, if that is known
   * @throws Fenced, Suspended  the attempt was stopped first, or the wait takes too long for a guest to keep its sandbox
   */
  async for<T>(awaited: Promise<T>, knownMs = 0): Promise<T> {
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    this.#stop = reject;
    if (this.#isClosed) {
      this.close();
    }
    let parked: Promise<boolean> | null = null;
    const giveUp = () => reject(new Suspended(awaited));
    let cancel = () => {};
    const outstay = () => {
      if (!this.#parker.park(awaited)) {
        giveUp();
        return;
      }
      cancel = this.#timers.after(HOLD_MAX_MS, giveUp);
      parked = this.#parker.letGo();
      parked.then(
        (holdsNothing) => holdsNothing && cancel(),
        () => {},
      );
    };
    if (knownMs > this.#maxMs) {
      outstay();
    } else {
      cancel = this.#timers.after(this.#maxMs, outstay);
    }
    this.#waits += 1;
    try {
      const value = await Promise.race([awaited, stopped]);
      if (parked !== null && (await parked)) {
        await this.#parker.goOn();
      }
      return value;
    } finally {
      this.#waits -= 1;
      cancel();
      // Whoever goes on with the attempt shall find what it has logged.
      await parked;
    }
  }
}
