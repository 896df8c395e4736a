/** Two pools as one: calls of modules whose memory is shared, and ranks of worlds, go to the one that has workers for each of them. */
import type { ArenaMemory } from "../../../state/regions/index.ts";
import { type Artefact, usesThreads } from "../../modules/artefact.ts";
import type { IdleMemory } from "../pool/memory-budget.ts";
import {
  addedLoads,
  type CallPool,
  type SandboxCall,
  type SandboxHandler,
  type SandboxLoad,
  type SandboxPool,
  type SandboxStart,
} from "../sandbox.ts";

export class PoolWithTeams implements SandboxPool {
  readonly #pool: SandboxPool & Pick<IdleMemory, "idleBytes">;
  readonly #teams: CallPool & Pick<IdleMemory, "idleBytes">;

  constructor(pool: SandboxPool & Pick<IdleMemory, "idleBytes">, teams: CallPool & Pick<IdleMemory, "idleBytes">) {
    this.#pool = pool;
    this.#teams = teams;
  }

  get load(): SandboxLoad {
    return addedLoads([this.#pool, this.#teams]);
  }

  get idleBytes(): number {
    return this.#pool.idleBytes + this.#teams.idleBytes;
  }

  start(start: SandboxStart, handler: SandboxHandler): SandboxCall {
    return (start.ranks === undefined ? this.#of(start.artefact) : this.#teams).start(start, handler);
  }

  prepare(artefact: Artefact, tenant: string): void {
    this.#of(artefact).prepare(artefact, tenant);
  }

  createArena(tenant: string, maxPages: number): ArenaMemory {
    return this.#pool.createArena(tenant, maxPages);
  }

  reaches(tenant: string, arena: ArenaMemory): boolean {
    return this.#pool.reaches(tenant, arena);
  }

  forget(arena: ArenaMemory): void {
    this.#pool.forget(arena);
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#teams.close()]);
  }

  #of(artefact: Artefact): CallPool {
    return usesThreads(artefact) ? this.#teams : this.#pool;
  }
}
