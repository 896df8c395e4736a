/** One upload from its bytes to its artefact: the same in a thread of the host and in a process of its own. */
import { NeapError } from "../../state/errors.ts";
import type { AbiFunction } from "./abi-table.ts";
import type { ModuleLimits } from "./artefact.ts";
import { encodeArtefact } from "./artefact-codec.ts";
import { checkModule, checkRewriting, makeArtefact, rewritable } from "./preparation.ts";
import { type RewriteRequest, type RewritingOptions, rewriteRequest } from "./rewriting/index.ts";
import { checkSideModule, editSideModule, encodeSideModule, makeSideModule } from "./side-modules/index.ts";

export interface UploadJob {
  readonly kind: "function" | "side module";
  readonly abi: readonly (readonly [string, AbiFunction])[];
  readonly limits: ModuleLimits;
  readonly rewriting: RewritingOptions;
}

/** What the pipeline asks and tells the host. */
export interface UploadHost {
  rewritten(module: Uint8Array<ArrayBuffer>, request: RewriteRequest): Promise<Uint8Array<ArrayBuffer>>;
  /** The module's own code is about to run. */
  starting(): void;
}

/**
 * The artefact, or the prepared side module, encoded.
 * @throws what `checkModule`, `checkRewriting` and `makeArtefact` throw, of a function
 */
export function runPipeline(module: Uint8Array<ArrayBuffer>, job: UploadJob, host: UploadHost): Promise<Uint8Array> {
  return job.kind === "function" ? runForFunction(module, job, host) : runForSideModule(module, job, host);
}

async function runForFunction(module: Uint8Array<ArrayBuffer>, job: UploadJob, host: UploadHost): Promise<Uint8Array> {
  const abi = new Map(job.abi);
  const checked = checkModule(module, abi, job.limits);
  checkRewriting(checked, job.rewriting);
  const { imports } = checked.valid;
  const suspending = imports.filter((name) => abi.get(name)?.suspends);
  const inline = imports.filter((name) => abi.get(name)?.inline);
  const request = rewriteRequest(job.rewriting, { suspending, inline }, module.byteLength);
  const wasm = request === undefined ? module : await host.rewritten(rewritable(checked, job.limits, job.rewriting), request);
  return encodeArtefact(makeArtefact(checked, wasm, job, () => host.starting()));
}

async function runForSideModule(module: Uint8Array<ArrayBuffer>, job: UploadJob, host: UploadHost): Promise<Uint8Array> {
  try {
    const checked = checkSideModule(module, new Map(job.abi), job.limits);
    const { suspending } = checked;
    const request = rewriteRequest(job.rewriting, { suspending, inline: [] }, module.byteLength);
    const wasm = request === undefined ? module : await host.rewritten(editSideModule(module), request);
    return encodeSideModule({ kind: "module", module: makeSideModule(checked, wasm) });
  } catch (error) {
    if (!(error instanceof NeapError)) {
      throw error;
    }
    return encodeSideModule({ kind: "refused", reason: error.message });
  }
}
