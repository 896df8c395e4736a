export type { Defences, ProcessEnd, ProcessLimits, ProcessRequest } from "./messages.ts";
export { ProcessStarter, type StartedProcess, type StarterOptions } from "./process-starter.ts";
