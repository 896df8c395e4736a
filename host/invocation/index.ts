export type { InvocationLimits } from "./context.ts";
export type {
  CallAnswer,
  CallDescription,
  CallGraphNode,
  CallInput,
  CallRequest,
  CallResult,
  CallStatus,
  CallTrace,
  Invocations,
  PartTrace,
} from "./invocation.ts";
export { PartHost, type PartHostOptions } from "./part-host.ts";
export { createInvocations, type InvocationService } from "./service.ts";
