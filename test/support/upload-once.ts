/** What an upload does, without a host. */
import type { AbiTable, ModuleLimits } from "../../host/modules/index.ts";
import type { RewriteRequest, RewritingOptions } from "../../host/modules/rewriting/index.ts";
import { Rewriter } from "../../host/modules/rewriting/rewriter.ts";
import { Uploads } from "../../host/modules/uploads.ts";
import { ProcessStarter } from "../../host/processes/index.ts";

export function prepareOnce(module: ArrayBuffer, abi: AbiTable, limits: ModuleLimits, rewriting: RewritingOptions) {
  return withStarter((starter) => new Uploads(abi, starter).prepare(module, limits, rewriting));
}

export function rewriteOnce(module: Uint8Array, request: RewriteRequest, timeoutMs: number) {
  return withStarter((starter) => new Rewriter(starter).rewrite(module, request, timeoutMs));
}

async function withStarter<T>(run: (starter: ProcessStarter) => Promise<T>): Promise<T> {
  const starter = await ProcessStarter.open();
  try {
    return await run(starter);
  } finally {
    await starter.close();
  }
}
