/** The throw-away thread of one upload: nothing of the guest's outlives it. */
import { createHash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { NeapError } from "../../state/errors.ts";
import { encodeArtefact } from "./artefact-codec.ts";
import { checkModule, checkRewriting, makeArtefact, rewritable } from "./preparation.ts";
import { rewriteRequest } from "./rewriting/index.ts";
import type { UploadJob, UploadMessage } from "./upload-messages.ts";

/** The clock of a thread began with the process. */
const startMs = performance.now();
const job: UploadJob = workerData;

function send(message: UploadMessage, transfer: readonly ArrayBufferLike[] = []): void {
  parentPort?.postMessage(
    message,
    [...transfer].filter((buffer) => buffer instanceof ArrayBuffer),
  );
}

try {
  const module = new Uint8Array(job.module.resizable ? job.module.transferToFixedLength() : job.module);
  const abi = new Map(job.abi);
  const checked = checkModule(module, abi, job.limits);
  checkRewriting(checked, job.rewriting);
  const { imports } = checked.valid;
  const suspending = imports.filter((name) => abi.get(name)?.suspends);
  const inline = imports.filter((name) => abi.get(name)?.inline);
  const request = rewriteRequest(job.rewriting, { suspending, inline }, module.byteLength);
  let wasm = module;
  if (request !== undefined) {
    send({ kind: "rewriting" });
    const { rewriteInProcess } = await import("./rewriting/rewrite-process.ts");
    const leftMs = startMs + job.limits.uploadTimeoutMs - performance.now();
    wasm = await rewriteInProcess(rewritable(checked, job.limits), request, leftMs);
    send({ kind: "rewritten" });
  }
  const prepared = makeArtefact(checked, wasm, job, () => send({ kind: "starting" }));
  const artefact = encodeArtefact(prepared);
  const uploadHash = createHash("sha256").update(module).digest("hex");
  const answer = { hash: prepared.hash, uploadHash, module, artefact };
  send({ kind: "prepared", prepared: answer }, [module.buffer, artefact.buffer]);
} catch (error) {
  if (!(error instanceof NeapError)) {
    throw error;
  }
  send({ kind: "refused", code: error.code, message: error.message });
}
