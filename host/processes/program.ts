/** Programs for processes that may read no file. */
import { Worker } from "node:worker_threads";

/**
 * No files, network, processes, threads, add-ons or inspector for JavaScript. SQLite and FFI are built-in modules that open files and
 * load code beside the permission model: they are switched off. The program comes on standard input.
 */
export const CONFINED_ARGUMENTS = [
  "--permission",
  "--no-addons",
  "--no-experimental-sqlite",
  "--no-experimental-ffi",
  "--no-experimental-webstorage",
  "--no-experimental-websocket",
  "--disallow-code-generation-from-strings",
  "--disable-sigusr1",
  "--no-warnings",
] as const;

export interface ProgramRequest {
  /** URLs. */
  readonly modules: readonly string[];
  /** See `programText`; left out, the modules become JSON for its `add`. */
  readonly run?: string;
}

/** Made in a thread of its own. @throws what reading a source throws */
export function makeProgram(modules: readonly URL[], run?: string): Promise<Uint8Array> {
  const request: ProgramRequest = { modules: modules.map(({ href }) => href), ...(run !== undefined && { run }) };
  const thread = new Worker(new URL("./program-thread.ts", import.meta.url), { workerData: request, env: {} });
  return new Promise((resolve, reject) => {
    thread.once("message", resolve);
    thread.once("error", reject);
    thread.unref();
  });
}
