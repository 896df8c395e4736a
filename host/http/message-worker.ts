/** The thread behind MessageThread. */
import { parentPort } from "node:worker_threads";
import { NeapError } from "../../state/errors.ts";
import { checkInput } from "./arguments.ts";
import { parseLongFaasmMessage } from "./faasm-message.ts";
import type { MessageAnswer, MessageJob } from "./message-thread.ts";

parentPort?.on("message", (job: MessageJob) => {
  const { answer, transfer } = answerOf(job);
  parentPort?.postMessage(answer, transfer);
});

function answerOf(job: MessageJob): { answer: MessageAnswer; transfer: ArrayBuffer[] } {
  try {
    const bytes = Buffer.concat(job.blocks);
    if (job.kind === "arguments") {
      checkInput(job.entryPoint, bytes);
      return { answer: { kind: "checked" }, transfer: [] };
    }
    const message = parseLongFaasmMessage(bytes);
    if (message.input === null) {
      return { answer: { kind: "parsed", message }, transfer: [] };
    }
    // A buffer of its own, as that of a short input is shared.
    const input = new Uint8Array(message.input);
    return { answer: { kind: "parsed", message: { ...message, input } }, transfer: [input.buffer] };
  } catch (error) {
    if (!(error instanceof NeapError)) {
      throw error;
    }
    return { answer: { kind: "refused", code: error.code, message: error.message }, transfer: [] };
  }
}
