/** Bounds how long a caller waits for a part that runs elsewhere. */
import type { Timers } from "../../state/ports.ts";
import type { StoragePool } from "./offload.ts";

/**
 * A pool whose parts are cancelled after `timeoutMs`, so that their callers run them themselves. The reply is still waited for, as it
 * comes when nothing of the part is under way any more (F21); a pool that cannot answer is one whose connection ends.
 */
export function boundedPool(pool: StoragePool, timers: Timers, timeoutMs: number): StoragePool {
  return {
    name: pool.name,
    async run(request) {
      let isLate = false;
      const cancelTimer = timers.after(timeoutMs, () => {
        isLate = true;
        pool.cancel(request);
      });
      const reply = await pool.run(request);
      cancelTimer();
      return isLate && reply.kind === "lost" ? { ...reply, reason: `no answer within ${timeoutMs} ms` } : reply;
    },
    cancel: (request) => pool.cancel(request),
  };
}
