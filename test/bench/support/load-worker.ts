/** The thread behind LoadThread. */
import { parentPort } from "node:worker_threads";
import { prng } from "../../support/prng.ts";
import { runLoad } from "./load-client.ts";
import type { LoadOrder } from "./load-thread.ts";

const draw = prng(1);

parentPort?.on("message", ({ bodies, ...options }: LoadOrder) => {
  const [first = ""] = bodies;
  const body = bodies.length === 1 ? first : () => bodies[draw.below(bodies.length)] ?? first;
  runLoad({ ...options, body }).then(
    (result) => parentPort?.postMessage(result),
    (error: unknown) => parentPort?.postMessage(error),
  );
});
