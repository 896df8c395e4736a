/** Rewrites many modules in one thread, which is replaced when a pass fails: binaryen is not to be used again then. */
import { Worker } from "node:worker_threads";
import type { PassName, RewriteRequest } from "../../host/modules/rewriting/index.ts";

export interface RewriteJob {
  readonly bytes: Uint8Array;
  readonly request: RewriteRequest;
}

export type RewriteAnswer = { readonly bytes: Uint8Array<ArrayBuffer> } | { readonly failure: string };

export class Rewriter implements AsyncDisposable {
  #worker = newWorker();

  /** @throws Error with what the pass says */
  async rewrite(bytes: Uint8Array, passes: readonly PassName[]): Promise<Uint8Array<ArrayBuffer>> {
    const job: RewriteJob = { bytes, request: { passes, options: { suspending: [] } } };
    const { promise, resolve } = Promise.withResolvers<RewriteAnswer>();
    const fail = (error: unknown) => resolve({ failure: String(error) });
    this.#worker.once("message", resolve).once("error", fail);
    this.#worker.postMessage(job);
    const answer = await promise;
    this.#worker.off("message", resolve).off("error", fail);
    if ("bytes" in answer) {
      return answer.bytes;
    }
    await this.#worker.terminate();
    this.#worker = newWorker();
    throw new Error(`${passes.join(", ")}: ${answer.failure}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

function newWorker(): Worker {
  return new Worker(new URL("./rewriter-worker.ts", import.meta.url), { stderr: true, stdout: true });
}
