export type { InvocationContext, InvocationLimits } from "./context.ts";
export type {
  CallAnswer,
  CallBytes,
  CallDescription,
  CallGraphNode,
  CallInput,
  CallRequest,
  CallResult,
  CallStatus,
  CallTrace,
  Invocations,
  PartTrace,
  StoredBytes,
} from "./invocation.ts";
export { PartHost, type PartHostOptions } from "./part-host.ts";
export { createInvocations, type InvocationService } from "./service.ts";
