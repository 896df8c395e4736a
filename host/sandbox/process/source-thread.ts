/** Makes the program of tenant processes away from the main thread: it takes some 100 ms (H27). */
import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../../state/errors.ts";
import { workerSource } from "./worker-source.ts";

export interface SourceRequest {
  readonly importsUrl: string;
}

invariant(parentPort !== null, "source-thread.ts runs as a worker");
// Node tells that stripping types by hand is experimental; sources that run unbuilt are stripped by the same code.
process.removeAllListeners("warning");
const { importsUrl } = workerData as SourceRequest;
parentPort.postMessage(workerSource(new URL(importsUrl)));
