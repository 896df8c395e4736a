/** Bounds how long a caller waits for a part that runs elsewhere. */
import type { Timers } from "../../state/ports.ts";
import type { StoragePool } from "./offload.ts";
import type { PartReply } from "./part.ts";

/**
 * A pool whose parts are `lost` after `timeoutMs`: they are cancelled there, and what they still answer is dropped (F21). The caller
 * runs the part itself.
 */
export function boundedPool(pool: StoragePool, timers: Timers, timeoutMs: number): StoragePool {
  return {
    name: pool.name,
    run(request) {
      const { promise, resolve, reject } = Promise.withResolvers<PartReply>();
      const cancelTimer = timers.after(timeoutMs, () => {
        pool.cancel(request);
        resolve({ kind: "lost", reason: `no answer within ${timeoutMs} ms` });
      });
      pool.run(request).then(resolve, reject);
      return promise.finally(cancelTimer);
    },
    cancel: (request) => pool.cancel(request),
  };
}
