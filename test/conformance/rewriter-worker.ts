import { parentPort } from "node:worker_threads";
import { runPasses } from "../../host/modules/rewriting/chain.ts";
import type { RewriteAnswer, RewriteJob } from "./rewriter.ts";

parentPort?.on("message", ({ bytes, request }: RewriteJob) => {
  parentPort?.postMessage(answerTo(bytes, request));
});

function answerTo(bytes: Uint8Array, request: RewriteJob["request"]): RewriteAnswer {
  try {
    return { bytes: Uint8Array.from(runPasses(bytes, request)) };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}
