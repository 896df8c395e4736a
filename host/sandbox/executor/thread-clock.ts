/**
 * Time and CPU time of a worker's thread. Asking the system for CPU time costs as much as a short slice, so it is asked once in a
 * while, and at the end of slices that were long.
 */

const SAMPLE_EVERY_MS = 1;

export interface ThreadTimes {
  /** Monotonic, ms. */
  now(): number;
  /** CPU time of this thread since its start, ms. */
  cpu(): number;
}

export class ThreadClock {
  readonly #times: ThreadTimes;
  #sampledMs = Number.NEGATIVE_INFINITY;
  #sampledCpuMs = 0;

  constructor(times: ThreadTimes) {
    this.#times = times;
  }

  /** Monotonic, ms. */
  now(): number {
    return this.#times.now();
  }

  /** A turn of the message loop begins. */
  turn(): void {
    const nowMs = this.now();
    if (nowMs - this.#sampledMs >= SAMPLE_EVERY_MS) {
      this.#sample(nowMs);
    }
  }

  /**
   * CPU time of a stretch that ends now, ms: its wall time, but not what the thread was kept waiting in it if it is longer than
   * 2 ms. Never too little; too much by what the thread did in the 1 ms, or the turn, before it.
   */
  cpuSince(startMs: number): number {
    const nowMs = this.now();
    const wallMs = nowMs - startMs;
    if (wallMs <= 2 * SAMPLE_EVERY_MS) {
      return wallMs;
    }
    const beforeMs = this.#sampledCpuMs;
    this.#sample(nowMs);
    return Math.min(wallMs, this.#sampledCpuMs - beforeMs);
  }

  #sample(nowMs: number): void {
    this.#sampledMs = nowMs;
    this.#sampledCpuMs = this.#times.cpu();
  }
}

/** Of the thread that asks. */
export function threadClock(): ThreadClock {
  return new ThreadClock({
    now: () => performance.now(),
    cpu: () => {
      const { user, system } = process.threadCpuUsage();
      return (user + system) / 1000;
    },
  });
}
