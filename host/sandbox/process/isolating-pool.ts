/**
 * A pool that runs each tenant's attempts where they may run: in threads of this process, or in processes of that tenant alone.
 *
 * Owns: which tenants have processes, and when those end. Does not own: the processes (ProcessReserve), the attempts (WorkerPool).
 *
 * 1. An attempt of an isolated tenant runs in a process that has run nobody else's.
 * 2. No tenant's calls wait for another one's processes: each tenant has a pool, with queue and watchdog, of its own.
 * 3. At most `tenantsMax` tenants have processes. Those of one without calls end for another's; else the other's calls are `overloaded`.
 */
import { NeapError } from "../../../state/errors.ts";
import type { Clock } from "../../../state/ports.ts";
import type { ArenaMemory } from "../../../state/regions/index.ts";
import type { Artefact } from "../../modules/artefact.ts";
import {
  addedLoads,
  endedAtOnce,
  type SandboxCall,
  type SandboxEnd,
  type SandboxHandler,
  type SandboxLoad,
  type SandboxPool,
  type SandboxStart,
} from "../sandbox.ts";
import type { ProcessPoolOptions } from "./process-pool.ts";
import type { ProcessReserve } from "./process-reserve.ts";
import type { TenantIsolation } from "./tenant-isolation.ts";
import { TenantPools } from "./tenant-pools.ts";

export interface IsolatingPoolOptions {
  /** For tenants that are not isolated; closed with this pool. */
  readonly threads: SandboxPool;
  readonly isolation: TenantIsolation;
  /** Several pools may share it; not closed with them. */
  readonly reserve: ProcessReserve;
  readonly clock: Clock;
  /** Of each tenant. */
  readonly processes: Omit<ProcessPoolOptions, "clock">;
  readonly tenantsMax: number;
  /** A tenant's processes end when it has had no calls for so long. */
  readonly idleMs: number;
}

const LOOKS_PER_IDLE_TIME = 4;

export class IsolatingPool implements SandboxPool {
  readonly #options: IsolatingPoolOptions;
  readonly #pools = new Map<string, TenantPools>();
  readonly #look: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: IsolatingPoolOptions) {
    this.#options = options;
    this.#look = setInterval(() => this.#endIdle(), options.idleMs / LOOKS_PER_IDLE_TIME).unref();
  }

  get load(): SandboxLoad {
    return addedLoads([this.#options.threads, ...this.#pools.values()]);
  }

  start(start: SandboxStart, handler: SandboxHandler): SandboxCall {
    const pool = this.#poolOf(start.tenant);
    return pool?.start(start, handler) ?? endedAtOnce(handler, this.#overloaded);
  }

  prepare(artefact: Artefact, tenant: string): void {
    this.#poolOf(tenant)?.prepare(artefact, tenant);
  }

  /** Whether the tenant has a process that may start threads. */
  hasThreads(tenant: string): boolean {
    return this.#pools.get(tenant)?.hasThreads ?? false;
  }

  createArena(tenant: string, maxPages: number): ArenaMemory {
    const pool = this.#poolOf(tenant);
    if (pool === undefined) {
      throw new NeapError("OVERLOADED", this.#tooMany);
    }
    return pool.createArena(tenant, maxPages);
  }

  reaches(tenant: string, arena: ArenaMemory): boolean {
    const pool = this.#isIsolated(tenant) ? this.#pools.get(tenant) : this.#options.threads;
    return pool?.reaches(tenant, arena) ?? false;
  }

  forget(arena: ArenaMemory): void {
    for (const pool of [this.#options.threads, ...this.#pools.values()]) {
      pool.forget(arena);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#look);
    const pools = Array.from(this.#pools.values(), (pool) => pool.close());
    await Promise.all([this.#options.threads.close(), ...pools]);
  }

  /** Undefined when too many tenants have processes. */
  #poolOf(tenant: string): SandboxPool | undefined {
    const { threads, reserve, clock, processes, tenantsMax } = this.#options;
    if (!this.#isIsolated(tenant)) {
      return threads;
    }
    const known = this.#pools.get(tenant);
    const usedMs = clock.monotonic();
    if (known !== undefined) {
      known.usedMs = usedMs;
      return known;
    }
    if (this.#pools.size >= tenantsMax && !this.#endOneIdle()) {
      return undefined;
    }
    const pools = new TenantPools(reserve, { clock, ...processes }, usedMs);
    this.#pools.set(tenant, pools);
    return pools;
  }

  #isIsolated(tenant: string): boolean {
    const { isolation } = this.#options;
    isolation.note(tenant);
    return isolation.isIsolated(tenant) && !this.#isClosed;
  }

  get #tooMany(): string {
    return `${this.#options.tenantsMax} tenants have processes, and all of them have calls`;
  }

  get #overloaded(): SandboxEnd {
    return { kind: "killed", reason: "overloaded", message: this.#tooMany, cpuMs: 0 };
  }

  #endIdle(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const [tenant, one] of this.#pools) {
      if (one.isBusy || one.keepsMemory) {
        one.usedMs = nowMs;
      } else if (nowMs - one.usedMs >= this.#options.idleMs) {
        this.#end(tenant, one);
      }
    }
  }

  /** The one that has been idle for longest, of those first that keep no memory; false when there is none. */
  #endOneIdle(): boolean {
    const idle = Array.from(this.#pools).filter(([, one]) => !one.isBusy);
    const [oldest] = idle.sort(([, a], [, b]) => Number(a.keepsMemory) - Number(b.keepsMemory) || a.usedMs - b.usedMs);
    if (oldest === undefined) {
      return false;
    }
    this.#end(...oldest);
    return true;
  }

  #end(tenant: string, pools: TenantPools): void {
    this.#pools.delete(tenant);
    void pools.close();
  }
}
