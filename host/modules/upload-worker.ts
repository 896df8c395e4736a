/** The throw-away thread of one upload: nothing of the guest's outlives it. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { invariant, NeapError } from "../../state/errors.ts";
import { moduleHash } from "./preparation.ts";
import type { UploadMessage } from "./upload-messages.ts";
import { runPipeline, type UploadJob } from "./upload-pipeline.ts";

invariant(parentPort !== null, "upload-worker.ts runs as a worker");
const host = parentPort;
const { buffer, job } = workerData as { readonly buffer: ArrayBuffer; readonly job: UploadJob };

function send(message: UploadMessage, ...transfer: readonly ArrayBufferLike[]): void {
  host.postMessage(
    message,
    transfer.filter((buffer) => buffer instanceof ArrayBuffer),
  );
}

try {
  // It may have been grown while it was received.
  const module = new Uint8Array(buffer.resizable ? buffer.transferToFixedLength() : buffer);
  const artefact = await runPipeline(module, job, {
    rewritten: async (wasm, request) => {
      send({ kind: "rewriting", module: wasm, request });
      const [rewritten] = await once(host, "message");
      return rewritten;
    },
    starting: () => send({ kind: "starting" }),
  });
  const hash = moduleHash(module, job.limits, job.rewriting);
  const uploadHash = createHash("sha256").update(module).digest("hex");
  send({ kind: "prepared", prepared: { hash, uploadHash, module, artefact } }, module.buffer, artefact.buffer);
} catch (error) {
  if (!(error instanceof NeapError)) {
    throw error;
  }
  send({ kind: "refused", code: error.code, message: error.message });
}
