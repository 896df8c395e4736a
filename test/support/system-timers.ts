import type { Timers } from "../../state/ports.ts";

/** The machine's own, or those that a test has put in their place. */
export const systemTimers: Timers = {
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs).unref();
    return () => clearTimeout(timer);
  },
};
