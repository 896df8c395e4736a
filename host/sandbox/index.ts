export type { CreateImports, Guest, GuestCall, GuestImport, GuestImports } from "./guest.ts";
export { GuestExit, GuestFault } from "./guest.ts";
export { sandboxCeiling } from "./limits.ts";
export { MemoryBudget, type MemoryBudgetOptions } from "./memory-budget.ts";
export { createSandboxPool, type SandboxPoolOptions } from "./pool.ts";
export { IsolatingPool, type IsolationChoice, ProcessReserve, TenantIsolation } from "./process/index.ts";
export type {
  FrozenStart,
  GuestState,
  KillReason,
  OperationReply,
  PartStart,
  SandboxCall,
  SandboxEnd,
  SandboxHandler,
  SandboxLimits,
  SandboxLoad,
  SandboxPool,
  SandboxStart,
} from "./sandbox.ts";
