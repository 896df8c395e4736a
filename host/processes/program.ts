/** Programs for processes that may read no file. */
import { Worker } from "node:worker_threads";
import { THREAD_ENVIRONMENT } from "./thread-environment.ts";

/**
 * No files, network, processes, threads, add-ons or inspector for JavaScript, in a process or in one thread of it. SQLite and FFI are built-in
 * modules that open files and load code beside the permission model: they are switched off.
 */
export const CONFINED_THREAD_ARGUMENTS = [
  "--permission",
  "--no-addons",
  "--no-experimental-sqlite",
  "--no-experimental-ffi",
  "--no-experimental-webstorage",
  "--no-experimental-websocket",
  "--no-warnings",
] as const;

/** Of a process. The program comes on standard input. */
export const CONFINED_ARGUMENTS = [
  ...CONFINED_THREAD_ARGUMENTS,
  "--disallow-code-generation-from-strings",
  "--disable-sigusr1",
] as const;

/**
 * For a process whose own program starts threads. What starts one chooses its flags, so that it could start threads with all permissions: no
 * guest may run where this flag holds, but in threads with CONFINED_THREAD_ARGUMENTS (H24).
 */
export const THREADS_ARGUMENT = "--allow-worker";

export interface ProgramRequest {
  /** URLs. */
  readonly modules: readonly string[];
  /** See `programText`; left out, the modules are serialized by `node:v8` for its `add`. */
  readonly run?: string;
  /** See `programText`. */
  readonly forThreads?: readonly string[];
}

/** Made in a thread of its own. @throws what reading a source throws */
export function makeProgram(modules: readonly URL[], run?: string, forThreads: readonly URL[] = []): Promise<Uint8Array> {
  const hrefs = (urls: readonly URL[]) => urls.map(({ href }) => href);
  const request: ProgramRequest = {
    modules: hrefs(modules),
    forThreads: hrefs(forThreads),
    ...(run !== undefined && { run }),
  };
  const thread = new Worker(new URL("./program-thread.ts", import.meta.url), { workerData: request, env: THREAD_ENVIRONMENT });
  return new Promise((resolve, reject) => {
    thread.once("message", resolve);
    thread.once("error", reject);
    thread.unref();
  });
}
