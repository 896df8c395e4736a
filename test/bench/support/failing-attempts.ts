/**
 * Loaded into a host before it starts (`NODE_OPTIONS=--import=…`): once the process gets SIGUSR2 attempts lose their sandbox at
 * operations drawn at random, as if another call had displaced them, and are run again from the log. FAILURES_PER_OPERATION is
 * the probability.
 */
import { isMainThread } from "node:worker_threads";
import { prng } from "../../support/prng.ts";

if (isMainThread) {
  const { Attempt } = await import("../../../host/invocation/attempt.ts");
  const probability = Number(process.env.FAILURES_PER_OPERATION);
  const random = prng(1);
  const carryOut = Attempt.prototype.onOperation;
  process.once("SIGUSR2", () => {
    Attempt.prototype.onOperation = function onOperation(operation, args, waits) {
      if (random.below(1_000_000) < probability * 1_000_000) {
        this.stop({ kind: "displaced" });
      } else {
        carryOut.call(this, operation, args, waits);
      }
    };
  });
}
