/** The thread behind LoadThread. */
import { parentPort } from "node:worker_threads";
import { prng } from "../../support/prng.ts";
import { runLoad } from "./load-client.ts";
import type { LoadOrder } from "./load-thread.ts";

const draw = prng(1);

parentPort?.on("message", (order: LoadOrder) => {
  runLoad({ ...order, draw: (limit) => draw.below(limit) }).then(
    (result) => parentPort?.postMessage(result),
    (error: unknown) => parentPort?.postMessage(error),
  );
});
