/**
 * Where the calls of one isolated tenant run: in processes without threads, and those whose guests share memory in one that has some
 * (H24). Each is there only once a call needs it.
 */
import type { ArenaMemory } from "../../../state/regions/index.ts";
import { type Artefact, usesRegions, usesThreads } from "../../modules/artefact.ts";
import {
  addedLoads,
  type SandboxCall,
  type SandboxHandler,
  type SandboxLoad,
  type SandboxPool,
  type SandboxStart,
} from "../sandbox.ts";
import { type ProcessPoolOptions, processPool } from "./process-pool.ts";
import type { ProcessReserve } from "./process-reserve.ts";
import { ThreadedPool } from "./threaded-pool.ts";

export class TenantPools implements SandboxPool {
  readonly #reserve: ProcessReserve;
  readonly #options: ProcessPoolOptions;
  #plain: SandboxPool | undefined;
  #threaded: ThreadedPool | undefined;
  /** When it was last seen at work, monotonic. */
  usedMs: number;

  constructor(reserve: ProcessReserve, options: ProcessPoolOptions, usedMs: number) {
    this.#reserve = reserve;
    this.#options = options;
    this.usedMs = usedMs;
  }

  get load(): SandboxLoad {
    return addedLoads(this.#pools);
  }

  /** Whether there are calls. */
  get isBusy(): boolean {
    const { active, queued } = this.load;
    return active + queued > 0;
  }

  /** Whether a process may start threads. */
  get hasThreads(): boolean {
    return this.#threaded?.isRunning ?? false;
  }

  /** Whether a memory is kept for calls to come. */
  get keepsMemory(): boolean {
    return this.#threaded?.keepsMemory ?? false;
  }

  start(start: SandboxStart, handler: SandboxHandler): SandboxCall {
    return this.#of(start.artefact).start(start, handler);
  }

  prepare(artefact: Artefact, tenant: string): void {
    this.#of(artefact).prepare(artefact, tenant);
  }

  createArena(tenant: string, maxPages: number): ArenaMemory {
    return this.#withThreads().createArena(tenant, maxPages);
  }

  reaches(tenant: string, arena: ArenaMemory): boolean {
    return this.#threaded?.reaches(tenant, arena) ?? false;
  }

  forget(arena: ArenaMemory): void {
    this.#threaded?.forget(arena);
  }

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.close()));
  }

  get #pools(): SandboxPool[] {
    return [this.#plain, this.#threaded].filter((pool) => pool !== undefined);
  }

  #of(artefact: Artefact): SandboxPool {
    if (usesRegions(artefact) || usesThreads(artefact)) {
      return this.#withThreads();
    }
    this.#plain ??= processPool(this.#reserve, this.#options);
    return this.#plain;
  }

  #withThreads(): ThreadedPool {
    this.#threaded ??= new ThreadedPool(this.#reserve, this.#options);
    return this.#threaded;
  }
}
