/** CPU time of one call, summed over its slices (H4), and the marks by which the watchdog sees a slice (H7). */
import type { SliceMarks } from "./slice-marks.ts";

export class SliceClock {
  /** Of the slices that have ended, ms. */
  cpuMs = 0;
  readonly #marker: SliceMarks;
  readonly #now: () => number;
  #call = -1;
  #attempt = 0;
  #startMs = Number.NaN;

  constructor(marker: SliceMarks, now: () => number) {
    this.#marker = marker;
    this.#now = now;
  }

  /** From now on it counts for this attempt. */
  reset(call: number, attempt: number): void {
    this.#call = call;
    this.#attempt = attempt;
    this.cpuMs = 0;
  }

  /** Guest code runs from now on; another slice of the call ends. */
  start(): void {
    this.stop();
    this.#startMs = this.#now();
    this.#marker.mark(this.#call, this.#attempt, this.cpuMs);
  }

  /** No guest code runs from now on. */
  stop(): void {
    if (!Number.isNaN(this.#startMs)) {
      this.cpuMs += this.#now() - this.#startMs;
      this.#startMs = Number.NaN;
      this.#marker.markIdle();
    }
  }
}
