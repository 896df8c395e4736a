export type { Defences, ProcessEnd, ProcessLimits, ProcessRequest } from "./messages.ts";
export { ProcessStarter, type StartedProcess, type StarterOptions } from "./process-starter.ts";
export { CONFINED_ARGUMENTS, makeProgram } from "./program.ts";
export { nameOf } from "./program-text.ts";
