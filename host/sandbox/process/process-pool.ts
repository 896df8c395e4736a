/** A pool whose workers are processes, for the calls of one tenant. */
import { availableParallelism } from "node:os";
import type { Clock } from "../../../state/ports.ts";
import type { MemoryBudget } from "../pool/memory-budget.ts";
import { BACKGROUND_ATTEMPTS_MAX, MODULES_MAX_BYTES, QUEUE_MAX, unlimitedMemory, WorkerPool } from "../pool/pool.ts";
import type { ProcessReserve } from "./process-reserve.ts";

export interface ProcessPoolOptions {
  readonly clock: Clock;
  /** Processes that run calls. */
  readonly workers: number;
  /** Further ones that may run slices of more than 25 ms at a time. Default: cores − 1, at least 1 (H7). */
  readonly longSlicesMax?: number;
  /** In each process, running, suspended and idle. */
  readonly sandboxesMax: number;
  readonly queueMax?: number;
  readonly modulesMaxBytes?: number;
  /** As that of `SandboxPoolOptions`. */
  readonly memory?: MemoryBudget;
}

/** Its processes come out of the reserve, and are nobody else's afterwards. */
export function processPool(reserve: ProcessReserve, options: ProcessPoolOptions): WorkerPool {
  return new WorkerPool({
    clock: options.clock,
    workers: options.workers,
    lanesMax: options.longSlicesMax ?? Math.max(1, availableParallelism() - 1),
    spares: 0,
    startsAtOnce: true,
    attemptsPerWorker: options.sandboxesMax,
    backgroundAttempts: Math.min(BACKGROUND_ATTEMPTS_MAX, options.sandboxesMax),
    queueMax: options.queueMax ?? QUEUE_MAX,
    modulesMaxBytes: options.modulesMaxBytes ?? MODULES_MAX_BYTES,
    memory: options.memory ?? unlimitedMemory(),
    compiles: false,
    startCarrier: () => reserve.take(),
  });
}
