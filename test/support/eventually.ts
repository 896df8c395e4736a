/** Waiting for something that another process does, without a guess how long it takes. */
import { setTimeout as pause } from "node:timers/promises";

const LOOK_EVERY_MS = 20;
const DEADLINE_MS = 30_000;

/** Looks until `probe` gives something else than undefined and false. @throws Error naming `what` after the deadline */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs: number = DEADLINE_MS,
): Promise<T> {
  const giveUpMs = performance.now() + deadlineMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) {
      return found;
    }
    if (performance.now() > giveUpMs) {
      throw new Error(`${what}: not within ${deadlineMs} ms`);
    }
    await pause(LOOK_EVERY_MS);
  }
}
