/**
 * Runs attempts in workers: threads, or processes of one tenant.
 *
 * Owns: attempts from `start` to `onEnd`, workers from start to replacement. Does not own: what operations mean, retries, what
 * carries frames to a worker.
 *
 * 1. Every attempt ends exactly once (`Attempt`), whatever its guest, its worker or `close` does.
 * 2. A guest that loops costs its own call: other calls of its worker end `displaced` at most, never failed (H7, H8).
 * 3. What an ended attempt's worker still says is not heard (H6); its slot is free only when the worker has let go of it, so every
 *    suspended guest is settled: by its cancellation, or by the end of its worker (H2).
 * 4. When a worker is lost, the attempt that is to blame is killed (`blame.ts`), and the others are displaced.
 */
import { availableParallelism } from "node:os";
import type { Clock } from "../../../state/ports.ts";
import type { ArenaMemory } from "../../../state/regions/index.ts";
import { type Artefact, usesRegions, WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import { ThreadArena } from "../arenas/index.ts";
import { cpuTimeText } from "../executor/guest-call.ts";
import type { Carrier, CarrierEnd } from "../frames/carrier.ts";
import { type Frame, FrameType } from "../frames/protocol.ts";
import { ThreadCarrier } from "../frames/thread-carrier.ts";
import { endGuestsSoon, sandboxCeiling } from "../limits.ts";
import type { KillReason, SandboxCall, SandboxEnd, SandboxHandler, SandboxLoad, SandboxPool, SandboxStart } from "../sandbox.ts";
import { PoolWithTeams, TeamPool } from "../threads/index.ts";
import { Attempt } from "./attempt.ts";
import { AttemptTable } from "./attempt-table.ts";
import { Blame } from "./blame.ts";
import { wrongIn } from "./distrust.ts";
import { IdleWorkers } from "./idle-workers.ts";
import { MemoryBudget } from "./memory-budget.ts";
import { ModuleCache } from "./module-cache.ts";
import { bytesOf, decodeEnd, displaced, lost, refusedFor } from "./sandbox-end.ts";
import { SandboxGates } from "./sandbox-gates.ts";
import { SandboxWorker } from "./sandbox-worker.ts";
import { Scheduler } from "./scheduler.ts";
import type { RunningSlice } from "./slice-watch.ts";
import { SuspectList } from "./suspect-list.ts";
import { Watchdog } from "./watchdog.ts";

export interface SandboxPoolOptions {
  /** Of the pool's threads. */
  readonly name: string;
  /** The module whose export `createImports` makes the imports of each sandbox. */
  readonly importsUrl: URL;
  readonly clock: Clock;
  /** Threads that run calls; one more is kept warm. Default: cores − 1, at least 1. */
  readonly workers?: number;
  /** Whether they start now, or with the first call, which waits for them. Default: now. */
  readonly startsAtOnce?: boolean;
  /** Workers that may run slices of more than 25 ms at a time. Default: cores − 1, at least 1 (H7). */
  readonly longSlicesMax?: number;
  /** Sandboxes of this pool, running, suspended and idle. Default: `sandboxCeiling()`; several pools share it. */
  readonly sandboxesMax?: number;
  /** Attempts that wait for a sandbox; more are `killed: overloaded`. Default: 10,000. */
  readonly queueMax?: number;
  /** Threads that calls of modules with a shared memory have at once, each in a worker of its own. Default: 64. */
  readonly threadsMax?: number;
  /** What idle sandboxes of one worker keep resident. Default: 128 MiB. */
  readonly idleMaxBytes?: number;
  /** Modules and snapshots kept compiled. Default: 256 MiB. */
  readonly modulesMaxBytes?: number;
  /** What attempts of this pool, and of all others with the same one, may have. Default: no limit. */
  readonly memory?: MemoryBudget;
}

const MIB = 1024 * 1024;
/** How long a process may take to say that a cancelled call has ended. */
const RELEASE_MAX_MS = 3_000;
/** What a call may compute on that was asked to stop in the middle: it may be in a storage part. */
const FREEZE_MAX_CPU_MS = 100;
export const QUEUE_MAX = 10_000;
export const MODULES_MAX_BYTES = 256 * MIB;
export const IDLE_MAX_BYTES = 128 * MIB;
export const THREADS_MAX = 64;

/** What a pool is made of, whatever carries frames to its workers. */
export interface WorkerPoolOptions {
  readonly clock: Clock;
  readonly workers: number;
  readonly lanesMax: number;
  readonly spares: 0 | 1;
  readonly startsAtOnce: boolean;
  readonly attemptsPerWorker: number;
  /** In the worker where preemptible calls go that compute for long: they take turns there. */
  readonly backgroundAttempts: number;
  readonly queueMax: number;
  readonly modulesMaxBytes: number;
  readonly memory: MemoryBudget;
  /** That of other pools whose workers are lost with its own. Default: its own. */
  readonly blame?: Blame;
  /** Compiles modules here, once for all workers. */
  readonly compiles: boolean;
  readonly startCarrier: () => Carrier;
}

/** Of its sandboxes, a pool keeps so many for preemptible calls that compute for long. */
const BACKGROUND_SHARE = 0.1;
export const BACKGROUND_ATTEMPTS_MAX = 64;

/** A pool of threads, and of those that calls start. Resolves when its workers serve, if they start now. @throws what the module at `importsUrl` throws */
export async function createSandboxPool(options: SandboxPoolOptions): Promise<SandboxPool> {
  endGuestsSoon();
  const coresForGuests = Math.max(1, availableParallelism() - 1);
  const workers = options.workers ?? coresForGuests;
  const lanesMax = options.longSlicesMax ?? coresForGuests;
  const sandboxesMax = options.sandboxesMax ?? sandboxCeiling();
  const { backgroundAttempts, attemptsPerWorker } = sharesOf(sandboxesMax, workers + lanesMax);
  let spawned = 0;
  const { name, importsUrl, clock } = options;
  const common = {
    clock,
    queueMax: options.queueMax ?? QUEUE_MAX,
    modulesMaxBytes: options.modulesMaxBytes ?? MODULES_MAX_BYTES,
    memory: options.memory ?? unlimitedMemory(),
  };
  const idleMaxBytes = options.idleMaxBytes ?? IDLE_MAX_BYTES;
  const pool = new WorkerPool({
    ...common,
    workers,
    lanesMax,
    spares: 1,
    startsAtOnce: options.startsAtOnce ?? true,
    attemptsPerWorker,
    backgroundAttempts,
    compiles: true,
    startCarrier: () => {
      spawned += 1;
      return new ThreadCarrier({ name: `${name}-${spawned}`, importsUrl, sandboxesMax: attemptsPerWorker, idleMaxBytes });
    },
  });
  try {
    await pool.ready();
  } catch (error) {
    await pool.close();
    throw error;
  }
  const threadsMax = options.threadsMax ?? THREADS_MAX;
  const teams = new TeamPool({
    ...common,
    threadsMax,
    compiles: true,
    startCarrier: (sandboxesMax) => {
      spawned += 1;
      return new ThreadCarrier({ name: `${name}-team-${spawned}`, importsUrl, sandboxesMax, idleMaxBytes });
    },
  });
  return new PoolWithTeams(pool, teams);
}

/** Of the sandboxes that a process may have, for each worker that runs calls. */
export function sharesOf(sandboxesMax: number, workers: number): { backgroundAttempts: number; attemptsPerWorker: number } {
  const backgroundAttempts = Math.min(BACKGROUND_ATTEMPTS_MAX, Math.ceil(sandboxesMax * BACKGROUND_SHARE));
  return { backgroundAttempts, attemptsPerWorker: Math.max(1, Math.floor((sandboxesMax - backgroundAttempts) / workers)) };
}

export function unlimitedMemory(): MemoryBudget {
  const infinite = Number.POSITIVE_INFINITY;
  return new MemoryBudget({ maxBytes: infinite, keepAliveMs: infinite, isShort: () => false });
}

export class WorkerPool implements SandboxPool {
  readonly #clock: Clock;
  readonly #queueMax: number;
  readonly #table = new AttemptTable();
  readonly #gates = new SandboxGates();
  readonly #blame: Blame;
  readonly #modules: ModuleCache;
  readonly #scheduler: Scheduler;
  readonly #watchdog: Watchdog;
  readonly #memory: MemoryBudget;
  readonly #idle = new IdleWorkers(() => this.#scheduler.workers());
  readonly #leaveMemory: () => void;
  /** Attempts that wait for room for their memory. */
  readonly #withoutRoom = new Set<Attempt>();
  #preparing = 0;
  #closed = false;

  constructor(options: WorkerPoolOptions) {
    const { workers, lanesMax, spares, startsAtOnce, attemptsPerWorker, backgroundAttempts } = options;
    this.#clock = options.clock;
    this.#queueMax = options.queueMax;
    this.#memory = options.memory;
    this.#leaveMemory = options.memory.join(this.#idle);
    this.#blame = options.blame ?? new Blame(new SuspectList(options.clock));
    this.#modules = new ModuleCache(options.modulesMaxBytes, options.compiles, (entry) => {
      for (const worker of this.#scheduler.workers()) {
        worker.unload(entry);
      }
    });
    this.#scheduler = new Scheduler({
      workers,
      lanesMax,
      spares,
      startsAtOnce,
      attemptsPerWorker,
      backgroundAttempts,
      isBusy: ({ attempts }) => Array.from(attempts).some((attempt) => !attempt.waiting || attempt.ended),
      isSuspect: (attempt) => this.#isSuspect(attempt),
      spawn: () => this.#spawn(options.startCarrier()),
    });
    this.#watchdog = new Watchdog({
      clock: options.clock,
      table: this.#table,
      workers: () => this.#scheduler.workers(),
      onExpired: (attempt) => this.#kill(attempt, "wallTime", `the call ran longer than ${attempt.start.limits.wallTimeMs} ms`),
      onExhausted: (attempt) => this.#kill(attempt, "cpuTime", cpuTimeText(attempt.start.limits.cpuTimeMs)),
      onLongSlice: (worker, slice) => this.#demote(worker, slice),
      onLongCall: (attempt) => this.#moveToBackground(attempt),
      onOverdue: (worker, slice) => this.#abandon(worker, this.#table.get(slice.call, slice.attempt)),
    });
  }

  async ready(): Promise<void> {
    await Promise.all(Array.from(this.#scheduler.normalWorkers(), (worker) => worker.ready));
  }

  get load(): SandboxLoad {
    let active = 0;
    let computing = 0;
    let idle = 0;
    for (const worker of this.#scheduler.workers()) {
      active += worker.active;
      for (const { waiting } of worker.attempts) {
        computing += waiting ? 0 : 1;
      }
      idle += worker.marks.idleSandboxes;
    }
    const workers = [...this.#scheduler.normalWorkers()].length;
    return { workers, active, computing, queued: this.#queued + this.#gates.waiting, idle };
  }

  start(start: SandboxStart, handler: SandboxHandler): SandboxCall {
    const module = this.#modules.get(start.artefact, start.arena);
    module.users += 1;
    const deadlineMs = this.#clock.monotonic() + start.limits.wallTimeMs;
    const attempt = this.#table.add((place) => new Attempt(place, module, start, handler, deadlineMs, this.#cancel));
    this.#watchdog.watch(attempt);
    const refused = this.#refusal(start);
    if (refused !== undefined) {
      queueMicrotask(() => this.#kill(attempt, ...refused));
    } else if (module.isReady) {
      this.#enqueue(attempt);
    } else {
      this.#prepared(attempt, module.compiled(), "the module does not compile", () => this.#enqueue(attempt));
    }
    return attempt;
  }

  prepare(artefact: Artefact): void {
    if (usesRegions(artefact)) {
      // Its sandboxes are each of one tenant's memory, which may not be there yet.
      return;
    }
    const module = this.#modules.get(artefact);
    module.users += 1;
    const end = (): void => {
      module.users -= 1;
    };
    module.compiled().then(() => {
      end();
      this.#scheduler.leastLoaded(0)?.prepare(module);
    }, end);
  }

  createArena(_tenant: string, maxPages: number): ArenaMemory {
    return new ThreadArena(maxPages);
  }

  reaches(_tenant: string, arena: ArenaMemory): boolean {
    return arena instanceof ThreadArena;
  }

  forget(arena: ArenaMemory): void {
    this.#modules.forget(arena);
  }

  /** The process is gone that held the memory: what was started with it and waits for a worker begins anew. */
  displaceWaiting(arena: ArenaMemory): void {
    for (const attempt of Array.from(this.#table.all())) {
      if (attempt.start.arena === arena && attempt.worker === undefined) {
        this.#end(attempt, displaced(attempt.cpuMs));
      }
    }
  }

  get idleBytes(): number {
    return this.#idle.idleBytes;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#leaveMemory();
    const attempts = [...this.#table.all()];
    for (const attempt of attempts) {
      this.#kill(attempt, "closed", "the host is stopping");
      this.#release(attempt);
    }
    this.#watchdog.stop();
    this.#scheduler.close();
    await Promise.all(Array.from(this.#scheduler.workers(), (worker) => worker.terminate()));
    gone(attempts);
  }

  get #queued(): number {
    return this.#scheduler.queued + this.#preparing + this.#withoutRoom.size;
  }

  /** Its function may have one more sandbox, then its tenant, then there is room for its memory, then it waits for a worker. */
  #enqueue(attempt: Attempt): void {
    if (this.#gates.enter(attempt)) {
      this.#askForRoom(attempt);
    }
  }

  #askForRoom(attempt: Attempt): void {
    const { tenant, depth, part } = attempt.start;
    const memory = {
      group: tenant,
      depth: depth + (part === undefined ? 0 : 1),
      bytes: bytesOf(attempt.start),
      admit: () => {
        this.#withoutRoom.delete(attempt);
        if (attempt.input === undefined) {
          this.#prepared(attempt, attempt.readInput(), "the input cannot be read", () => this.#scheduler.enqueue(attempt));
        } else {
          this.#scheduler.enqueue(attempt);
        }
      },
      end: (reason: KillReason, message: string) => this.#kill(attempt, reason, message),
    };
    attempt.memory = memory;
    this.#withoutRoom.add(attempt);
    if (this.#memory.enter(memory)) {
      memory.admit();
    }
  }

  #refusal(start: SandboxStart): [KillReason, string] | undefined {
    const { artefact, depth, part } = start;
    if (this.#closed) {
      return ["closed", "the host is stopping"];
    }
    // A nested call has been let in with its root.
    if (depth === 0 && this.#queued >= this.#queueMax) {
      return ["overloaded", `${this.#queued} calls wait for a sandbox, at most ${this.#queueMax} may`];
    }
    if (part !== undefined && part.snapshotHash !== artefact.snapshot.hash) {
      return ["cancelled", `the part was made on snapshot ${part.snapshotHash}, this module's is ${artefact.snapshot.hash}`];
    }
    return refusedFor(this.#memory, start);
  }

  /** Goes on when the attempt has what it begins with, if it has not ended by then. */
  async #prepared(attempt: Attempt, ready: Promise<void>, failed: string, next: () => void): Promise<void> {
    this.#preparing += 1;
    let failure: unknown;
    try {
      await ready;
    } catch (error) {
      failure = error;
    }
    this.#preparing -= 1;
    if (failure !== undefined) {
      this.#kill(attempt, "workerLost", `${failed}: ${failure}`);
    } else if (!attempt.ended) {
      next();
    }
  }

  readonly #cancel = (attempt: Attempt): void => this.#kill(attempt, "cancelled", "the attempt was cancelled");

  #kill(attempt: Attempt, reason: KillReason, message: string): void {
    this.#end(attempt, { kind: "killed", reason, message, cpuMs: attempt.cpuMs });
  }

  /** Ends an attempt from this side: in a worker it is cancelled, and overdue there if it goes on (H3). */
  #end(attempt: Attempt, end: SandboxEnd): void {
    if (attempt.ended) {
      return;
    }
    if (attempt.worker === undefined) {
      this.#scheduler.withdraw(attempt);
      this.#release(attempt);
      queueMicrotask(() => attempt.gone());
    } else {
      attempt.worker.channel.send({ type: FrameType.cancel, call: attempt.slot, attempt: attempt.attempt });
      this.#expectRelease(attempt, attempt.worker);
    }
    attempt.end(end);
  }

  /** A thread that does not let go of a cancelled call is in a slice, and seen there. A process may have other reasons. */
  #expectRelease(attempt: Attempt, worker: SandboxWorker): void {
    if (!worker.sharesMemory) {
      const abandon = () => {
        if (worker.attempts.has(attempt) && this.#scheduler.has(worker)) {
          this.#abandon(worker, attempt);
        }
      };
      setTimeout(abandon, RELEASE_MAX_MS).unref();
    }
  }

  /** The attempt is in no worker any more. */
  #release(attempt: Attempt, end?: SandboxEnd): void {
    if (this.#table.remove(attempt)) {
      attempt.module.users -= 1;
      if (attempt.worker !== undefined) {
        attempt.worker.released(attempt);
      }
      this.#withoutRoom.delete(attempt);
      attempt.leaveMemory(this.#memory, end);
      for (const next of this.#gates.leave(attempt)) {
        this.#askForRoom(next);
      }
    }
  }

  // workers

  #spawn(carrier: Carrier): SandboxWorker {
    const worker = new SandboxWorker({ carrier, clock: this.#clock, onFrame: this.#hear, onExit: this.#lost });
    worker.ready.then(
      () => this.#scheduler.dispatch(),
      () => {},
    );
    return worker;
  }

  readonly #hear = (worker: SandboxWorker, frame: Frame): void => {
    const attempt = this.#table.get(frame.call, frame.attempt);
    if (attempt?.worker !== worker) {
      return;
    }
    const wrong = worker.sharesMemory || attempt.ended ? undefined : wrongIn(frame, attempt);
    if (wrong === undefined) {
      this.#take(attempt, frame);
    } else {
      worker.breached();
      this.#abandon(worker, attempt, lost(`the worker broke the protocol: ${wrong}`, attempt.cpuMs));
    }
  };

  #take(attempt: Attempt, frame: Frame): void {
    if (frame.type === FrameType.end) {
      const end = attempt.endWithin(this.#memory, decodeEnd(frame));
      this.#release(attempt, end);
      this.#scheduler.dispatch();
      attempt.end(end);
      attempt.gone();
    } else if (attempt.ended) {
      return;
    } else if (frame.type === FrameType.operation) {
      this.#resize(attempt, frame.b);
      if (attempt.ended) {
        return;
      }
      attempt.onOperation(frame.code, frame.body, frame.a === 1, frame.x);
      if (this.#scheduler.queuedSuspects > 0) {
        this.#scheduler.dispatch();
      }
    } else if (frame.type === FrameType.memory) {
      this.#resize(attempt, frame.b);
    } else if (frame.type === FrameType.log) {
      attempt.handler.onLog(Buffer.from(frame.body).toString());
    }
  }

  #resize({ memory }: Attempt, pages: number): void {
    if (memory !== undefined && pages * WASM_PAGE_BYTES !== memory.bytes) {
      this.#memory.resized(memory, Math.max(0, pages) * WASM_PAGE_BYTES);
    }
  }

  /** H7: the others of a worker in a long slice start anew elsewhere; beyond the allowed number of such workers its own call, too. */
  #demote(worker: SandboxWorker, slice: RunningSlice): void {
    const running = this.#table.get(slice.call, slice.attempt);
    if (running !== undefined) {
      this.#blame.suspects.add(running.module.artefact.hash);
    }
    worker.renice();
    if (!this.#scheduler.demote(worker)) {
      this.#abandon(worker, running);
      return;
    }
    for (const attempt of Array.from(worker.attempts)) {
      if (attempt !== running) {
        this.#end(attempt, displaced(attempt.cpuMs));
      }
    }
  }

  /**
   * A preemptible call computes for long: it goes on where it is in nobody's way, or begins anew there when it cannot be stopped in the
   * middle, and so do those of its function from now on.
   */
  #moveToBackground(attempt: Attempt): void {
    if (this.#scheduler.isBackground(attempt.worker)) {
      return;
    }
    this.#blame.suspects.add(attempt.module.artefact.hash);
    if (attempt.start.mayFreeze === true && attempt.freezeMaxCpuMs === undefined) {
      attempt.freezeMaxCpuMs = attempt.cpuMs + FREEZE_MAX_CPU_MS;
      attempt.freeze();
    } else if (attempt.cpuMs >= (attempt.freezeMaxCpuMs ?? 0)) {
      this.#end(attempt, displaced(attempt.cpuMs));
    }
  }

  readonly #lost = (worker: SandboxWorker, end: CarrierEnd): void => {
    if (this.#closed || !this.#scheduler.has(worker)) {
      return;
    }
    const { running, cpuMs } = worker.marks.read();
    const ran = running && this.#table.get(running.call, running.attempt);
    const culprit = this.#blame.culprit(worker.attempts, ran, end);
    // The marks have the slices that were over, the watchdog's last look the one that ran.
    const took = Math.max(culprit?.cpuMs ?? 0, culprit === ran ? cpuMs : 0);
    this.#abandon(worker, culprit, lost(end.message, took));
  };

  #isSuspect({ module }: Attempt): boolean {
    return this.#blame.suspects.has(module.artefact.hash);
  }

  /** Gives up a worker. @param end  of the call that ran, if it has not ended; left out, and all others: it is displaced */
  #abandon(worker: SandboxWorker, culprit: Attempt | undefined, end?: SandboxEnd): void {
    if (culprit !== undefined) {
      this.#blame.suspects.add(culprit.module.artefact.hash);
    }
    this.#scheduler.remove(worker);
    const attempts = Array.from(worker.attempts);
    // Until the thread has ended, its guests write what they like into the regions they have locked.
    worker.terminate().then(() => gone(attempts));
    for (const attempt of attempts) {
      this.#release(attempt);
    }
    for (const attempt of attempts) {
      attempt.end((attempt === culprit ? end : undefined) ?? displaced(attempt.cpuMs));
    }
    this.#scheduler.dispatch();
  }
}

function gone(attempts: readonly Attempt[]): void {
  for (const attempt of attempts) {
    attempt.gone();
  }
}
