/** The processes of a node's tenants: how they are started here, who gets them, what GET /v1/security tells of them. */
import type { Clock } from "../state/ports.ts";
import type { ResolvedConfig } from "./config/index.ts";
import type { SecurityStatus } from "./http/index.ts";
import type { ProcessStarter } from "./processes/index.ts";
import {
  IsolatingPool,
  type IsolationChoice,
  type MemoryBudget,
  ProcessReserve,
  type SandboxPool,
  sandboxCeiling,
  TenantIsolation,
} from "./sandbox/index.ts";
import type { Metrics } from "./telemetry/index.ts";
import { ALL_OTHERS } from "./tenancy/index.ts";

export interface TenantProcesses {
  /** The tenant is known from now on. */
  note(tenant: string): void;
  /** Whether the tenant, known from now on, has processes of its own. */
  isIsolated(tenant: string): boolean;
  /** A pool that uses `threads` for tenants that are not isolated, and closes it with itself. */
  around(threads: SandboxPool): SandboxPool;
  security(): SecurityStatus;
  /** Ends every process; after the pools. */
  close(): Promise<void>;
}

const MIB = 1024 * 1024;
/** JavaScript's heap holds wrappers of sandboxes only: some 4,000 of them at most. */
const HEAP_MAX_MEGABYTES = 64;
const SANDBOXES_MAX = 4_000;
const IDLE_MAX_BYTES = 128 * MIB;
/** Around the greatest state, value or output of a guest: the stack of a call that was stopped in the middle, above all. */
const BODY_OVERHEAD_BYTES = 16 * MIB;
/** Of a process whose guests share memory: workers, and what calls may start. */
const THREADS_MAX = 128;
const WASM_PAGE_BYTES = 65_536;

/** Undefined when no tenant may be isolated. Resolves when it is known which defences this machine has. */
export async function openIsolation(
  { isolation, tenants, limits, regions }: ResolvedConfig,
  importsUrl: URL,
  { starter, clock, metrics }: { readonly starter: ProcessStarter; readonly clock: Clock; readonly metrics: Metrics },
  memory: MemoryBudget,
): Promise<TenantProcesses | undefined> {
  const choices = Array.from(tenants.values(), (rules) => rules.isolation);
  if (isolation.choice === "threads" && choices.every((choice) => choice === undefined || choice === "threads")) {
    return undefined;
  }
  const greatest = (limit: "memoryMaxPages" | "outputMaxBytes") =>
    Math.max(limits[limit], ...Array.from(tenants.values(), (rules) => rules.limits?.[limit] ?? 0));
  const sandboxesMax = Math.min(SANDBOXES_MAX, limits.activeMaxCalls, sandboxCeiling());
  const defences = await starter.defences;
  const reserve = new ProcessReserve({
    starter,
    importsUrl,
    size: isolation.reserve,
    sandboxesMax,
    idleMaxBytes: IDLE_MAX_BYTES,
    heapMaxMegabytes: HEAP_MAX_MEGABYTES,
    rssMaxBytes: isolation.rssMaxBytes,
    threaded: { sharedMaxBytes: regions.tenantMaxBytes, threadsMax: THREADS_MAX },
    bodyMaxBytes: greatest("memoryMaxPages") * WASM_PAGE_BYTES + greatest("outputMaxBytes") + BODY_OVERHEAD_BYTES,
  });
  const others = tenants.get(ALL_OTHERS)?.isolation ?? isolation.choice;
  const choiceOf = (tenant: string): IsolationChoice => tenants.get(tenant)?.isolation ?? others;
  const known = new TenantIsolation(choiceOf);
  const pools: IsolatingPool[] = [];
  metrics.gauge("neap_worker_processes", "Processes of tenants, those that lie ready included.", () => reserve.processes);
  metrics.gauge("neap_worker_process_rss_bytes", "What these processes hold resident.", () => reserve.rssBytes);
  if (others === "process") {
    reserve.fill();
  }
  return {
    note: (tenant) => known.note(tenant),
    isIsolated: (tenant) => {
      known.note(tenant);
      return known.isIsolated(tenant);
    },
    around: (threads) => {
      const pool = new IsolatingPool({
        threads,
        isolation: known,
        reserve,
        clock,
        processes: { workers: isolation.processes, sandboxesMax, queueMax: limits.queuedMaxCalls, memory },
        tenantsMax: isolation.tenantsMax,
        idleMs: isolation.idleMs,
      });
      pools.push(pool);
      return pool;
    },
    security: () => ({
      isolation: isolation.choice,
      tenants: known.tenants,
      processes: reserve.processes,
      processRssBytes: reserve.rssBytes,
      processesWithThreads: reserve.processesWithThreads,
      processDefences: {
        ...defences,
        emptyEnvironment: true,
        heapMaxMegabytes: HEAP_MAX_MEGABYTES,
        rssMaxBytes: isolation.rssMaxBytes,
      },
      isIsolated: (tenant) => known.isIsolated(tenant),
      mayStartThreads: (tenant) => pools.some((pool) => pool.hasThreads(tenant)),
    }),
    close: () => reserve.close(),
  };
}
