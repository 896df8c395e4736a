export type { Defences, ProcessEnd, ProcessLimits, ProcessRequest } from "./messages.ts";
export { ProcessStarter, type StartedProcess, type StarterOptions } from "./process-starter.ts";
export { CONFINED_ARGUMENTS, CONFINED_THREAD_ARGUMENTS, makeProgram, THREADS_ARGUMENT } from "./program.ts";
export { nameOf, type ThreadProgram } from "./program-text.ts";
export { THREAD_ENVIRONMENT } from "./thread-environment.ts";
