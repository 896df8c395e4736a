/**
 * The throw-away process of one upload of an isolated tenant. On its descriptor 3 come, each with its size before it, the job as JSON, the
 * module, and later what was rewritten. Its messages are a byte that says which (`UPLOAD_KINDS`), and one or two such pieces.
 */
import { Socket } from "node:net";
import { NeapError } from "../../state/errors.ts";
import { SocketBytes, sized, write } from "./socket-bytes.ts";
import { UPLOAD_KINDS, type UploadMessage } from "./upload-messages.ts";
import { runPipeline, type UploadJob } from "./upload-pipeline.ts";

/** It is told by the host. */
const ANY_SIZE = 2 ** 32;

export async function serve(): Promise<void> {
  const socket = new Socket({ fd: 3, readable: true, writable: true });
  const bytes = new SocketBytes(socket);
  const send = (kind: UploadMessage["kind"], ...pieces: readonly Uint8Array[]) =>
    write(socket, Uint8Array.of(UPLOAD_KINDS.indexOf(kind)), ...pieces.flatMap(sized));
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const job: UploadJob = JSON.parse(Buffer.from(await bytes.takeSized(ANY_SIZE)).toString());
  const module = await bytes.takeSized(ANY_SIZE);
  try {
    const artefact = await runPipeline(module, job, {
      rewritten: (wasm, request) => {
        send("rewriting", json(request), wasm);
        return bytes.takeSized(ANY_SIZE);
      },
      // On its way at once: the module's code may never let the event loop go on.
      starting: () => send("starting"),
    });
    send("prepared", artefact);
  } catch (error) {
    if (!(error instanceof NeapError)) {
      throw error;
    }
    send("refused", json({ code: error.code, message: error.message }));
  }
}
