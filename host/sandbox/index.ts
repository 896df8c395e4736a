/**
 * Runs WebAssembly in worker threads and tenants' processes; knows no state. The contract is `sandbox.ts` for those above, `guest.ts` for
 * host/abi. On the main thread: `pool/`, one class per thing a pool decides. In a worker: `executor/`. What they say to each other, and
 * what carries it: `frames/`; into processes: `process/`. Memories for regions: `arenas/`.
 * Calls whose guest has several threads: `threads/`.
 */
export { ThreadArena } from "./arenas/index.ts";
export type { CreateImports, Guest, GuestCall, GuestImport, GuestImports } from "./guest.ts";
export { GuestExit, GuestFault } from "./guest.ts";
export { sandboxCeiling } from "./limits.ts";
export { MemoryBudget, type MemoryBudgetOptions } from "./pool/memory-budget.ts";
export { createSandboxPool, type SandboxPoolOptions } from "./pool/pool.ts";
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
