/** Makes programs of processes away from the main thread: it takes some 100 ms (H27). */
import { serialize } from "node:v8";
import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../state/errors.ts";
import type { ProgramRequest } from "./program.ts";
import { modulesOf, programText } from "./program-text.ts";

invariant(parentPort !== null, "program-thread.ts runs as a worker");
// Node tells that stripping types by hand is experimental; sources that run unbuilt are stripped by the same code.
process.removeAllListeners("warning");
const { modules, run, forThreads } = workerData as ProgramRequest;
const bytes = run === undefined ? serialize(modulesOf(modules)) : new TextEncoder().encode(programText(modules, run, forThreads));
parentPort.postMessage(bytes, [bytes.buffer]);
