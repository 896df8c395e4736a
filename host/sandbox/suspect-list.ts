/** Functions that have lately run too long in one go: their calls run one at a time (H7). */
import type { Clock } from "../../state/ports.ts";

const SUSPECT_FOR_MS = 60_000;

export class SuspectList {
  readonly #clock: Clock;
  /** Until when, monotonic ms; the earliest first. */
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(hash: string): void {
    const now = this.#clock.monotonic();
    for (const [known, untilMs] of this.#until) {
      if (untilMs > now) {
        break;
      }
      this.#until.delete(known);
    }
    this.#until.delete(hash);
    this.#until.set(hash, now + SUSPECT_FOR_MS);
  }

  has(hash: string): boolean {
    const untilMs = this.#until.get(hash);
    return untilMs !== undefined && untilMs > this.#clock.monotonic();
  }
}
