/** One upload from its bytes to its artefact: the same in a thread of the host and in a process of its own. */
import type { AbiFunction } from "./abi-table.ts";
import type { ModuleLimits } from "./artefact.ts";
import { encodeArtefact } from "./artefact-codec.ts";
import { checkModule, checkRewriting, makeArtefact, rewritable } from "./preparation.ts";
import { type RewriteRequest, type RewritingOptions, rewriteRequest } from "./rewriting/index.ts";

export interface UploadJob {
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

/** The artefact, encoded. @throws what `checkModule`, `checkRewriting` and `makeArtefact` throw */
export async function runPipeline(module: Uint8Array<ArrayBuffer>, job: UploadJob, host: UploadHost): Promise<Uint8Array> {
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
