/** Runs the upload pipeline outside the calling thread. */
import { Worker } from "node:worker_threads";
import { hasCode, NeapError } from "../../state/errors.ts";
import type { AbiTable } from "./abi-table.ts";
import type { ModuleLimits } from "./artefact.ts";
import { NO_REWRITING, type RewritingOptions } from "./rewriting/index.ts";
import type { PreparedModule, UploadJob, UploadMessage } from "./upload-messages.ts";

const THREADS = 2;
/** Bounds what the pipeline's own tables of a hostile module may take; guest memory and module bytes are not part of it. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };

/** At most `THREADS` uploads are prepared at a time, the others wait their turn. */
export class UploadThreads {
  readonly #abi: AbiTable;
  #free = THREADS;
  readonly #waiting: (() => void)[] = [];

  constructor(abi: AbiTable) {
    this.#abi = abi;
  }

  /** As `prepareInThread`; `uploadTimeoutMs` begins with the upload's turn. */
  async prepare(module: ArrayBuffer, limits: ModuleLimits, rewriting: RewritingOptions = NO_REWRITING): Promise<PreparedModule> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await prepareInThread(module, this.#abi, limits, rewriting);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#free += 1;
      } else {
        next();
      }
    }
  }
}

/**
 * Prepares the module in a thread that is ended afterwards, whatever the module does. `module` is detached.
 *
 * @throws what `checkModule`, `rewriteInProcess` and `makeArtefact` throw
 * @throws MODULE_START_FAILED  also when the start function runs beyond `uploadTimeoutMs`
 * @throws MODULE_LIMIT  reading and compiling the module takes more time or memory than an upload has
 */
export function prepareInThread(
  module: ArrayBuffer,
  abi: AbiTable,
  limits: ModuleLimits,
  rewriting: RewritingOptions = NO_REWRITING,
): Promise<PreparedModule> {
  const job: UploadJob = { module, abi: [...abi], limits, rewriting };
  const worker = new Worker(new URL("./upload-worker.ts", import.meta.url), {
    workerData: job,
    transferList: [module],
    resourceLimits: THREAD_LIMITS,
    env: {},
    execArgv: [],
    name: "neap-upload",
  });
  const { promise, resolve, reject } = Promise.withResolvers<PreparedModule>();
  let starting = false;
  const expire = (): void => {
    const text = `longer than the ${limits.uploadTimeoutMs} ms an upload has (uploadTimeoutMs)`;
    reject(
      starting
        ? new NeapError("MODULE_START_FAILED", `the start function runs ${text}`)
        : new NeapError("MODULE_LIMIT", `reading and compiling the module takes ${text}`),
    );
  };
  const endMs = performance.now() + limits.uploadTimeoutMs;
  let timer = setTimeout(expire, limits.uploadTimeoutMs);

  worker.on("message", (message: UploadMessage) => {
    switch (message.kind) {
      case "rewriting":
        clearTimeout(timer);
        break;
      case "rewritten":
        timer = setTimeout(expire, Math.max(0, endMs - performance.now()));
        break;
      case "starting":
        starting = true;
        break;
      case "prepared":
        resolve(message.prepared);
        break;
      case "refused":
        reject(new NeapError(message.code, message.message));
        break;
    }
  });
  worker.on("error", (error) => {
    const outOfMemory = hasCode(error, "ERR_WORKER_OUT_OF_MEMORY");
    reject(outOfMemory ? new NeapError("MODULE_LIMIT", "the module takes more memory to read than an upload has") : error);
  });
  worker.on("exit", (status) => reject(new Error(`the upload's thread ended with status ${status} and without an answer`)));

  return promise.finally(() => {
    clearTimeout(timer);
    return worker.terminate();
  });
}
