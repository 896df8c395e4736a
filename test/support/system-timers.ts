import type { Timers } from "../../state/ports.ts";

/** The machine's own, as the host has them, or those that a test has put in their place. */
export const systemTimers: Timers = {
  after(delayMs, action) {
    if (delayMs === 0) {
      const turn = setImmediate(action).unref();
      return () => clearImmediate(turn);
    }
    const timer = setTimeout(action, delayMs).unref();
    return () => clearTimeout(timer);
  },
};
