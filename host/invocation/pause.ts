/** Waiting for longer than one timer can. */
import type { Clock, Timers } from "../../state/ports.ts";

/** What a timer of the engine can wait for. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export interface Time {
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Runs `action` once after `delayMs`, however long that is; the returned call cancels it. */
export function after({ clock, timers }: Time, delayMs: number, action: () => void): () => void {
  let cancel = () => {};
  const arm = (restMs: number) => {
    const stepMs = Math.min(restMs, TIMER_MAX_MS);
    const armedMs = clock.monotonic();
    cancel = timers.after(stepMs, () => {
      // A timer may come late: what it is late by has passed as well.
      const leftMs = restMs - Math.max(stepMs, clock.monotonic() - armedMs);
      if (leftMs > 0) {
        arm(leftMs);
      } else {
        action();
      }
    });
  };
  arm(Math.max(0, delayMs));
  return () => cancel();
}

/** Does not keep the process alive. */
export function pause(time: Time, durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    after(time, durationMs, resolve);
  });
}
