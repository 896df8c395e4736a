/**
 * A pool that runs each tenant's attempts where they may run: in threads of this process, or in processes of that tenant alone.
 *
 * Owns: which tenants have processes, and when those end. Does not own: the processes (ProcessReserve), the attempts (WorkerPool).
 *
 * 1. An attempt of an isolated tenant runs in a process that has run nobody else's.
 * 2. No tenant's calls wait for another one's processes: each tenant has a pool, with queue and watchdog, of its own.
 * 3. At most `tenantsMax` tenants have processes. Those of one without calls end for another's; else the other's calls are `overloaded`.
 */
import type { Clock } from "../../../state/ports.ts";
import type { Artefact } from "../../modules/artefact.ts";
import type { WorkerPool } from "../pool/pool.ts";
import type { SandboxCall, SandboxHandler, SandboxLoad, SandboxPool, SandboxStart } from "../sandbox.ts";
import { type ProcessPoolOptions, processPool } from "./process-pool.ts";
import type { ProcessReserve } from "./process-reserve.ts";
import type { TenantIsolation } from "./tenant-isolation.ts";

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

interface TenantPool {
  readonly pool: WorkerPool;
  /** When it was last seen at work, monotonic. */
  usedMs: number;
}

const LOOKS_PER_IDLE_TIME = 4;

export class IsolatingPool implements SandboxPool {
  readonly #options: IsolatingPoolOptions;
  readonly #pools = new Map<string, TenantPool>();
  readonly #look: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: IsolatingPoolOptions) {
    this.#options = options;
    this.#look = setInterval(() => this.#endIdle(), options.idleMs / LOOKS_PER_IDLE_TIME).unref();
  }

  get load(): SandboxLoad {
    const loads = [this.#options.threads, ...Array.from(this.#pools.values(), ({ pool }) => pool)].map(({ load }) => load);
    const sum = (part: keyof SandboxLoad) => loads.reduce((total, load) => total + load[part], 0);
    return {
      workers: sum("workers"),
      active: sum("active"),
      computing: sum("computing"),
      queued: sum("queued"),
      idle: sum("idle"),
    };
  }

  start(start: SandboxStart, handler: SandboxHandler): SandboxCall {
    const pool = this.#poolOf(start.tenant);
    return pool === undefined ? this.#refuse(handler) : pool.start(start, handler);
  }

  prepare(artefact: Artefact, tenant: string): void {
    this.#poolOf(tenant)?.prepare(artefact, tenant);
  }

  sharesMemory(tenant: string): boolean {
    return !this.#isIsolated(tenant);
  }

  forget(arena: WebAssembly.Memory): void {
    this.#options.threads.forget(arena);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#look);
    const pools = Array.from(this.#pools.values(), ({ pool }) => pool.close());
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
      return known.pool;
    }
    if (this.#pools.size >= tenantsMax && !this.#endOneIdle()) {
      return undefined;
    }
    const pool = processPool(reserve, { clock, ...processes });
    this.#pools.set(tenant, { pool, usedMs });
    return pool;
  }

  #isIsolated(tenant: string): boolean {
    const { isolation } = this.#options;
    isolation.note(tenant);
    return isolation.isIsolated(tenant) && !this.#isClosed;
  }

  #refuse(handler: SandboxHandler): SandboxCall {
    const message = `${this.#options.tenantsMax} tenants have processes, and all of them have calls`;
    queueMicrotask(() => handler.onEnd({ kind: "killed", reason: "overloaded", message, cpuMs: 0 }));
    return { reply() {}, acknowledge() {}, cancel() {}, freeze() {} };
  }

  #endIdle(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const [tenant, one] of this.#pools) {
      if (isBusy(one)) {
        one.usedMs = nowMs;
      } else if (nowMs - one.usedMs >= this.#options.idleMs) {
        this.#end(tenant, one);
      }
    }
  }

  /** The one that has been idle for longest; false when there is none. */
  #endOneIdle(): boolean {
    const idle = Array.from(this.#pools).filter(([, one]) => !isBusy(one));
    const [oldest] = idle.sort(([, a], [, b]) => a.usedMs - b.usedMs);
    if (oldest === undefined) {
      return false;
    }
    this.#end(...oldest);
    return true;
  }

  #end(tenant: string, { pool }: TenantPool): void {
    this.#pools.delete(tenant);
    void pool.close();
  }
}

function isBusy({ pool }: TenantPool): boolean {
  const { active, queued } = pool.load;
  return active + queued > 0;
}
