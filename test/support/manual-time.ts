import type { Clock, Timers } from "../../state/ports.ts";

/** A clock that moves only when told to, and timers that follow it; those of 0 ms need no time. */
export class ManualTime implements Clock, Timers {
  #nowMs: number;
  #elapsedMs = 0;
  #timers: { readonly dueMs: number; readonly action: () => void }[] = [];

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, action: () => void): () => void {
    if (delayMs === 0) {
      const turn = setImmediate(action);
      return () => clearImmediate(turn);
    }
    const timer = { dueMs: this.#elapsedMs + delayMs, action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Lets time pass and runs what is due, in order. */
  advance(durationMs: number): void {
    this.#nowMs += durationMs;
    this.#elapsedMs += durationMs;
    const due = this.#timers.filter((one) => one.dueMs <= this.#elapsedMs).sort((a, b) => a.dueMs - b.dueMs);
    this.#timers = this.#timers.filter((one) => one.dueMs > this.#elapsedMs);
    for (const { action } of due) {
      action();
    }
  }

  /** Sets the wall clock, also back. */
  jumpTo(nowMs: number): void {
    this.#nowMs = nowMs;
  }
}
