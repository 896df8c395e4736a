/** The thread behind LoadThread. */
import { parentPort } from "node:worker_threads";
import { prng } from "../../support/prng.ts";
import { runLoad } from "./load-client.ts";
import type { LoadOrder } from "./load-thread.ts";

const draw = prng(1);

parentPort?.on("message", ({ bodies, laterBodies = [], ...options }: LoadOrder) => {
  const parts = [bodies, ...laterBodies];
  const startMs = performance.now();
  const body = () => {
    const part = Math.floor(((performance.now() - startMs) / options.durationMs) * parts.length);
    const choice = parts[Math.min(part, parts.length - 1)] ?? bodies;
    return choice[draw.below(choice.length)] ?? "";
  };
  const [first = ""] = bodies;
  runLoad({ ...options, body: parts.length === 1 && bodies.length === 1 ? first : body }).then(
    (result) => parentPort?.postMessage(result),
    (error: unknown) => parentPort?.postMessage(error),
  );
});
