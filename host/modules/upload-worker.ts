/** The thread of uploads, one after the other. It outlives a module whose code has run and ended, as workers of calls do. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type MessagePort, parentPort } from "node:worker_threads";
import { invariant, NeapError } from "../../state/errors.ts";
import { WASM_PAGE_BYTES } from "./artefact.ts";
import { decodeArtefact } from "./artefact-codec.ts";
import { moduleHash } from "./preparation.ts";
import type { UploadMessage } from "./upload-messages.ts";
import { runPipeline, type UploadJob } from "./upload-pipeline.ts";

/** An upload; `port` is for its messages. */
export interface UploadRequest {
  readonly buffer: ArrayBuffer;
  readonly job: UploadJob;
  readonly port: MessagePort;
}

/** What is told over it. */
export interface UploadTold {
  readonly message: UploadMessage;
  /** The thread is for no further upload. */
  readonly isSpent: boolean;
}

/** Of memories of guests, which the engine does not count and so may not collect. */
const HELD_MAX_BYTES = 32 * 1024 * 1024;

invariant(parentPort !== null, "upload-worker.ts runs as a worker");
let heldBytes = 0;

parentPort.on("message", async ({ buffer, job, port }: UploadRequest) => {
  const send = (message: UploadMessage, ...transfer: readonly ArrayBufferLike[]): void =>
    port.postMessage(
      { message, isSpent: heldBytes > HELD_MAX_BYTES } satisfies UploadTold,
      transfer.filter((one) => one instanceof ArrayBuffer),
    );
  let hasStarted = false;
  try {
    // It may have been grown while it was received.
    const module = new Uint8Array(buffer.resizable ? buffer.transferToFixedLength() : buffer);
    const artefact = await runPipeline(module, job, {
      rewritten: async (wasm, request) => {
        send({ kind: "rewriting", module: wasm, request });
        const [rewritten] = await once(port, "message");
        return rewritten;
      },
      starting: () => {
        hasStarted = true;
        send({ kind: "starting" });
      },
    });
    const hash = moduleHash(module, job.limits, job.rewriting);
    if (job.kind === "function") {
      heldBytes += decodeArtefact(artefact, hash).snapshot.pages * WASM_PAGE_BYTES;
    }
    const uploadHash = createHash("sha256").update(module).digest("hex");
    send({ kind: "prepared", prepared: { hash, uploadHash, module, artefact } }, module.buffer, artefact.buffer);
  } catch (error) {
    if (!(error instanceof NeapError)) {
      throw error;
    }
    if (hasStarted) {
      // Nobody knows what its memory has grown to.
      heldBytes = Number.POSITIVE_INFINITY;
    }
    send({ kind: "refused", code: error.code, message: error.message });
  }
  port.close();
});
