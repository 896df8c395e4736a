/** Sources of nondeterminism, given in as parameters, so that the same code runs for real and under a test's control. */

export interface Clock {
  /** Wall time in ms since 1970. May jump. */
  now(): number;
  /** Monotonic time in ms since an arbitrary start. */
  monotonic(): number;
}

/** One-shot timers, by the clock's monotonic time. */
export interface Timers {
  /** Runs `action` once after `delayMs`, with 0 in the event loop's next turn; the returned call cancels it. Never keeps the process alive. */
  after(delayMs: number, action: () => void): () => void;
}

/** Between slices of long work (H27): resolves when the thread has done whatever else it had to do. */
export function betweenSlices(timers: Timers): Promise<void> {
  return new Promise((resolve) => {
    timers.after(0, resolve);
  });
}

export interface Random {
  /** `sizeBytes` unpredictable bytes. */
  bytes(sizeBytes: number): Uint8Array;
}

/**
 * Named places where a test may stop the world: it is called, does nothing in production, and a test may take a snapshot of the
 * disk and abandon the host there, which is a crash at exactly that point.
 */
export interface Faults {
  at(point: FaultPoint): void;
}

export type FaultPoint =
  | "append:before"
  | "append:after"
  | "flush:before"
  | "flush:after"
  | "checkpoint:before"
  | "checkpoint:after"
  | "dispatch:before"
  | "dispatch:after"
  | "outside:before"
  | "outside:after"
  | "answer:before"
  | "answer:after";

export const noFaults: Faults = { at() {} };
