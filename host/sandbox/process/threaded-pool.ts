/**
 * A pool whose workers are threads of one process, for the calls of one tenant whose guests share memory: those that reach memory regions,
 * those that have several threads, and ranks of worlds, which have a worker each.
 *
 * Owns: the process, started when it is first needed and again when it was lost. Does not own: attempts (WorkerPool,
 * TeamPool), which bytes of a memory are whose.
 *
 * 1. A memory lives as long as the process that it was made in. When that is lost, attempts that were started with it are displaced.
 * 2. A guest that loops loses its thread, not the process: the memory stays, and so do the calls in other threads (H8).
 */
import { availableParallelism } from "node:os";
import { NeapError } from "../../../state/errors.ts";
import type { ArenaMemory } from "../../../state/regions/index.ts";
import { type Artefact, usesThreads } from "../../modules/artefact.ts";
import type { Carrier } from "../frames/carrier.ts";
import { Blame } from "../pool/blame.ts";
import {
  IDLE_MAX_BYTES,
  MODULES_MAX_BYTES,
  QUEUE_MAX,
  sharesOf,
  THREADS_MAX,
  unlimitedMemory,
  WorkerPool,
} from "../pool/pool.ts";
import { displaced } from "../pool/sandbox-end.ts";
import { SuspectList } from "../pool/suspect-list.ts";
import {
  addedLoads,
  type CallPool,
  endedAtOnce,
  type SandboxCall,
  type SandboxHandler,
  type SandboxLoad,
  type SandboxPool,
  type SandboxStart,
} from "../sandbox.ts";
import { TeamPool } from "../threads/index.ts";
import type { ProcessPoolOptions } from "./process-pool.ts";
import { NoProcess, type ProcessReserve } from "./process-reserve.ts";
import type { ProcessData } from "./process-worker.ts";
import { ThreadedProcess } from "./threaded-process.ts";

/** Between two starts of the process, so that calls which wreck it each time do not keep the system busy. */
const START_PAUSE_MS = 250;

export class ThreadedPool implements SandboxPool {
  readonly #reserve: ProcessReserve;
  readonly #options: ProcessPoolOptions;
  readonly #blame: Blame;
  /** Each is there only once a call needs it. */
  #workers: WorkerPool | undefined;
  #teams: TeamPool | undefined;
  #process: ThreadedProcess | undefined;
  /** When it was last started, or will be, monotonic. */
  #startMs = Number.NEGATIVE_INFINITY;

  /** @param options  its workers are threads, and `sandboxesMax` is of all together */
  constructor(reserve: ProcessReserve, options: ProcessPoolOptions) {
    this.#reserve = reserve;
    this.#options = options;
    this.#blame = new Blame(new SuspectList(options.clock));
  }

  async ready(): Promise<void> {
    await this.#withWorkers().ready();
  }

  get load(): SandboxLoad {
    return addedLoads(this.#pools);
  }

  /** What lies ready. */
  get idleBytes(): number {
    return (this.#workers?.idleBytes ?? 0) + (this.#teams?.idleBytes ?? 0);
  }

  /** Whether there is a process. */
  get isRunning(): boolean {
    return this.#process !== undefined && !this.#process.isEnded;
  }

  /** Whether there is a memory that somebody may come back to. */
  get keepsMemory(): boolean {
    return this.#process !== undefined && this.#process.arenas > 0;
  }

  start(start: SandboxStart, handler: SandboxHandler): SandboxCall {
    if (start.arena !== undefined && !this.reaches(start.tenant, start.arena)) {
      return endedAtOnce(handler, displaced(0));
    }
    return (start.ranks === undefined ? this.#of(start.artefact) : this.#withTeams()).start(start, handler);
  }

  prepare(artefact: Artefact, tenant: string): void {
    this.#of(artefact).prepare(artefact, tenant);
  }

  createArena(_tenant: string, maxPages: number): ArenaMemory {
    try {
      return this.#current().createArena(maxPages);
    } catch (cause) {
      throw new NeapError("OVERLOADED", "the system has no process for the tenant's memory regions", { cause });
    }
  }

  reaches(_tenant: string, arena: ArenaMemory): boolean {
    return this.#process?.has(arena) ?? false;
  }

  forget(arena: ArenaMemory): void {
    this.#workers?.forget(arena);
    this.#process?.drop(arena);
  }

  async close(): Promise<void> {
    const closed = this.#pools.map((pool) => pool.close());
    await this.#process?.terminate();
    await Promise.all(closed);
  }

  get #pools(): CallPool[] {
    return [this.#workers, this.#teams].filter((pool) => pool !== undefined);
  }

  #of(artefact: Artefact): CallPool {
    return usesThreads(artefact) ? this.#withTeams() : this.#withWorkers();
  }

  #withWorkers(): WorkerPool {
    const { workers, longSlicesMax, sandboxesMax } = this.#options;
    const lanesMax = longSlicesMax ?? Math.max(1, availableParallelism() - 1);
    const shares = sharesOf(sandboxesMax, workers + lanesMax);
    this.#workers ??= new WorkerPool({
      ...this.#common,
      ...{ workers, lanesMax, ...shares },
      spares: 1,
      startsAtOnce: true,
      startCarrier: () => this.#startThread({ sandboxesMax: shares.attemptsPerWorker, idleMaxBytes: IDLE_MAX_BYTES }),
    });
    return this.#workers;
  }

  #withTeams(): TeamPool {
    this.#teams ??= new TeamPool({
      ...this.#common,
      threadsMax: THREADS_MAX,
      startCarrier: (sandboxesMax) => this.#startThread({ sandboxesMax, idleMaxBytes: IDLE_MAX_BYTES }),
    });
    return this.#teams;
  }

  get #common() {
    const { clock, queueMax = QUEUE_MAX, modulesMaxBytes = MODULES_MAX_BYTES, memory = unlimitedMemory() } = this.#options;
    return { clock, queueMax, modulesMaxBytes, memory, blame: this.#blame, compiles: false };
  }

  #startThread(data: ProcessData): Carrier {
    try {
      return this.#current().startThread(data);
    } catch (error) {
      return new NoProcess(error);
    }
  }

  /** @throws when the system has no file to give */
  #current(): ThreadedProcess {
    const known = this.#process;
    if (known !== undefined && !known.isEnded) {
      return known;
    }
    const nowMs = this.#options.clock.monotonic();
    this.#startMs = Math.max(nowMs, this.#startMs + START_PAUSE_MS);
    const process = new ThreadedProcess(this.#reserve.takeThreaded(this.#startMs - nowMs), this.#options.clock);
    this.#process = process;
    void process.lost.then((arenas) => {
      for (const arena of arenas) {
        this.#workers?.displaceWaiting(arena);
        this.#workers?.forget(arena);
      }
    });
    return process;
  }
}
