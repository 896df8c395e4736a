/** CPU time of one call, summed over its slices (H4), and the marks by which the watchdog sees a slice (H7). */
import type { SliceMarks } from "../frames/slice-marks.ts";
import type { ThreadClock } from "./thread-clock.ts";

export class SliceClock {
  /** Of the slices that have ended, and of the one that runs up to the last `count`, ms. */
  cpuMs = 0;
  readonly #marker: SliceMarks;
  readonly #thread: ThreadClock;
  #call = -1;
  #attempt = 0;
  #startMs = Number.NaN;

  constructor(marker: SliceMarks, thread: ThreadClock) {
    this.#marker = marker;
    this.#thread = thread;
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
    this.#startMs = this.#thread.now();
    this.#marker.mark(this.#call, this.#attempt, this.cpuMs);
  }

  /** What the slice that runs has taken so far counts from now on. */
  count(): void {
    if (!Number.isNaN(this.#startMs)) {
      this.cpuMs += this.#thread.cpuSince(this.#startMs);
      this.#startMs = this.#thread.now();
    }
  }

  /** No guest code runs from now on. */
  stop(): void {
    if (!Number.isNaN(this.#startMs)) {
      this.cpuMs += this.#thread.cpuSince(this.#startMs);
      this.#startMs = Number.NaN;
      this.#marker.markIdle();
    }
  }
}
