/** Prepares uploads: each alone in a thread, or, for isolated tenants, in a process of its own. */
import { invariant, NeapError } from "../../state/errors.ts";
import { makeProgram, type ProcessStarter } from "../processes/index.ts";
import type { AbiTable } from "./abi-table.ts";
import type { ModuleLimits } from "./artefact.ts";
import { NO_REWRITING, type RewritingOptions } from "./rewriting/index.ts";
import { Rewriter } from "./rewriting/rewriter.ts";
import type { PreparedModule, UploadMessage } from "./upload-messages.ts";
import type { UploadJob } from "./upload-pipeline.ts";
import { type UploadListener, type UploadPlace, UploadProcess, UploadThreads } from "./upload-places.ts";

const UPLOADS_AT_A_TIME = 2;
const PROCESS = new URL("./upload-process.ts", import.meta.url);

export class Uploads {
  readonly #abi: AbiTable;
  readonly #starter: ProcessStarter | null;
  readonly #rewriter: Rewriter | null;
  readonly #threads = new UploadThreads();
  #program: Promise<Uint8Array> | undefined;
  #free = UPLOADS_AT_A_TIME;
  readonly #waiting: (() => void)[] = [];

  /** @param starter  null where no upload asks for processes: to be rewritten, or to be prepared in one */
  constructor(abi: AbiTable, starter: ProcessStarter | null) {
    this.#abi = abi;
    this.#starter = starter;
    this.#rewriter = starter && new Rewriter(starter);
  }

  /**
   * `module` may be detached. At most two are prepared at a time, the others wait their turn; `uploadTimeoutMs` begins with that.
   *
   * @param isolated  in a process that is confined as those of tenants are
   * @param kind  of a side module the artefact is what `encodeSideModule` makes, also when it is refused
   * @throws what `checkModule`, `Rewriter.rewrite` and `makeArtefact` throw
   * @throws MODULE_START_FAILED  also when the start function runs beyond `uploadTimeoutMs`
   * @throws MODULE_LIMIT  reading and compiling the module takes more time or memory than an upload has
   * @throws OVERLOADED  there is no process to be had
   */
  async prepare(
    module: ArrayBuffer,
    limits: ModuleLimits,
    rewriting: RewritingOptions = NO_REWRITING,
    isolated = false,
    kind: UploadJob["kind"] = "function",
  ): Promise<PreparedModule> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await this.#prepare(module, { kind, abi: [...this.#abi], limits, rewriting }, isolated);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#free += 1;
      } else {
        next();
      }
    }
  }

  async #prepare(module: ArrayBuffer, job: UploadJob, isolated: boolean): Promise<PreparedModule> {
    const { limits } = job;
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
    const leftMs = () => Math.max(0, endMs - performance.now());
    let timer = setTimeout(expire, limits.uploadTimeoutMs);
    const rewrite = async ({ module: wasm, request }: UploadMessage & { kind: "rewriting" }): Promise<void> => {
      clearTimeout(timer);
      invariant(this.#rewriter !== null, "where modules are rewritten, processes can be started");
      const rewritten = await this.#rewriter.rewrite(wasm, request, leftMs());
      timer = setTimeout(expire, leftMs());
      place?.rewritten(rewritten);
    };
    const hear = (message: UploadMessage): void => {
      switch (message.kind) {
        case "rewriting":
          rewrite(message).catch(reject);
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
    };
    const listener = { hear, fail: reject };
    const place = isolated ? await this.#process(module, job, listener) : this.#threads.begin(module, job, listener);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      await place.end();
    }
  }

  async #process(module: ArrayBuffer, job: UploadJob, listener: UploadListener): Promise<UploadPlace> {
    invariant(this.#starter !== null, "where tenants are isolated, processes can be started");
    this.#program ??= makeProgram([PROCESS], "(upload) => upload.serve()");
    return new UploadProcess(this.#starter, await this.#program, module, job, listener);
  }
}
