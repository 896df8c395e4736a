/**
 * Runs attempts in worker threads.
 *
 * Owns: attempts from `start` to `onEnd`, workers from start to replacement. Does not own: what operations mean, retries.
 *
 * 1. Every attempt ends exactly once (`Attempt`), whatever its guest, its worker or `close` does.
 * 2. A guest that loops costs its own call: other calls of its worker end `displaced` at most, never failed (H7, H8).
 * 3. What an ended attempt's worker still says is not heard (H6); its slot is free only when the worker has let go of it, so every
 *    suspended guest is settled: by its cancellation, or by the end of its worker (H2).
 */
import { availableParallelism } from "node:os";
import type { Clock } from "../../state/ports.ts";
import type { Artefact } from "../modules/artefact.ts";
import { Attempt } from "./attempt.ts";
import { AttemptTable } from "./attempt-table.ts";
import { sandboxCeiling } from "./limits.ts";
import { ModuleCache } from "./module-cache.ts";
import { EMPTY, EndKind, type Frame, FrameType, guestStateBytes, KILL_REASONS } from "./protocol.ts";
import type { KillReason, SandboxCall, SandboxEnd, SandboxHandler, SandboxLoad, SandboxPool, SandboxStart } from "./sandbox.ts";
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
  /** Workers that may run slices of more than 25 ms at a time. Default: cores − 1, at least 1 (H7). */
  readonly longSlicesMax?: number;
  /** Sandboxes of this pool, running, suspended and idle. Default: `sandboxCeiling()`; several pools share it. */
  readonly sandboxesMax?: number;
  /** Attempts that wait for a sandbox; more are `killed: overloaded`. Default: 10,000. */
  readonly queueMax?: number;
  /** What idle sandboxes of one worker keep resident. Default: 128 MiB. */
  readonly idleMaxBytes?: number;
  /** Modules and snapshots kept compiled. Default: 256 MiB. */
  readonly modulesMaxBytes?: number;
}

const MIB = 1024 * 1024;

/** Resolves when the first worker serves. @throws what the module at `importsUrl` throws */
export async function createSandboxPool(options: SandboxPoolOptions): Promise<SandboxPool> {
  const pool = new ThreadPool(options);
  try {
    await pool.ready();
  } catch (error) {
    await pool.close();
    throw error;
  }
  return pool;
}

class ThreadPool implements SandboxPool {
  readonly #clock: Clock;
  readonly #queueMax: number;
  readonly #table = new AttemptTable();
  readonly #suspects: SuspectList;
  readonly #modules: ModuleCache;
  readonly #scheduler: Scheduler;
  readonly #watchdog: Watchdog;
  #compiling = 0;
  #closed = false;

  constructor(options: SandboxPoolOptions) {
    const coresForGuests = Math.max(1, availableParallelism() - 1);
    const workers = options.workers ?? coresForGuests;
    const lanesMax = options.longSlicesMax ?? coresForGuests;
    const attemptsPerWorker = Math.max(1, Math.floor((options.sandboxesMax ?? sandboxCeiling()) / (workers + lanesMax + 1)));
    this.#clock = options.clock;
    this.#queueMax = options.queueMax ?? 10_000;
    this.#suspects = new SuspectList(options.clock);
    this.#modules = new ModuleCache(options.modulesMaxBytes ?? 256 * MIB, (entry) => {
      for (const worker of this.#scheduler.workers()) {
        worker.unload(entry);
      }
    });
    let spawned = 0;
    this.#scheduler = new Scheduler({
      workers,
      lanesMax,
      attemptsPerWorker,
      isBusy: (worker) => worker.active > 0 && this.#attemptsIn(worker).some((attempt) => !attempt.waiting || attempt.ended),
      isSuspect: ({ module }) => this.#suspects.has(module.artefact.hash),
      spawn: () => {
        spawned += 1;
        return this.#spawn(options, `${options.name}-${spawned}`, attemptsPerWorker);
      },
    });
    this.#watchdog = new Watchdog({
      clock: options.clock,
      table: this.#table,
      workers: () => this.#scheduler.workers(),
      onExpired: (attempt) => this.#kill(attempt, "wallTime", `the call ran longer than ${attempt.start.limits.wallTimeMs} ms`),
      onLongSlice: (worker, slice) => this.#demote(worker, slice),
      onLongCall: (attempt) => this.#moveToBackground(attempt),
      onOverdue: (worker, slice) => this.#abandon(worker, slice, DISPLACED),
    });
  }

  async ready(): Promise<void> {
    await Promise.all(Array.from(this.#scheduler.normalWorkers(), (worker) => worker.ready));
  }

  get load(): SandboxLoad {
    let active = 0;
    let idle = 0;
    for (const worker of this.#scheduler.workers()) {
      active += worker.active;
      idle += worker.marks.idleSandboxes;
    }
    return { workers: [...this.#scheduler.normalWorkers()].length, active, queued: this.#queued, idle };
  }

  start(start: SandboxStart, handler: SandboxHandler): SandboxCall {
    const module = this.#modules.get(start.artefact);
    module.users += 1;
    const deadlineMs = this.#clock.monotonic() + start.limits.wallTimeMs;
    const attempt = this.#table.add((place) => new Attempt(place, module, start, handler, deadlineMs, this.#cancel));
    this.#watchdog.watch(attempt);
    const refused = this.#refusal(start);
    if (refused !== undefined) {
      queueMicrotask(() => this.#kill(attempt, ...refused));
    } else if (module.module !== undefined) {
      this.#scheduler.enqueue(attempt);
    } else {
      this.#enqueueCompiled(attempt);
    }
    return attempt;
  }

  prepare(artefact: Artefact): void {
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

  async close(): Promise<void> {
    this.#closed = true;
    for (const attempt of this.#table.all()) {
      this.#kill(attempt, "closed", "the host is stopping");
      this.#release(attempt);
    }
    this.#watchdog.stop();
    this.#scheduler.close();
    await Promise.all(Array.from(this.#scheduler.workers(), (worker) => worker.terminate()));
  }

  get #queued(): number {
    return this.#scheduler.queued + this.#compiling;
  }

  #refusal({ artefact, depth, part }: SandboxStart): [KillReason, string] | undefined {
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
    return undefined;
  }

  async #enqueueCompiled(attempt: Attempt): Promise<void> {
    this.#compiling += 1;
    let failure: unknown;
    try {
      await attempt.module.compiled();
    } catch (error) {
      failure = error;
    }
    this.#compiling -= 1;
    if (failure !== undefined) {
      this.#kill(attempt, "workerLost", `the module does not compile: ${failure}`);
    } else if (!attempt.ended) {
      this.#scheduler.enqueue(attempt);
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
    } else {
      attempt.worker.channel.send({ type: FrameType.cancel, call: attempt.slot, attempt: attempt.attempt });
    }
    attempt.end(end);
  }

  /** The attempt is in no worker any more. */
  #release(attempt: Attempt): void {
    if (this.#table.remove(attempt)) {
      attempt.module.users -= 1;
      if (attempt.worker !== undefined) {
        attempt.worker.released(attempt);
      }
    }
  }

  // workers

  #spawn(options: SandboxPoolOptions, name: string, sandboxesMax: number): SandboxWorker {
    const worker = new SandboxWorker({
      name,
      importsUrl: options.importsUrl,
      clock: this.#clock,
      sandboxesMax,
      idleMaxBytes: options.idleMaxBytes ?? 128 * MIB,
      onFrame: (frame) => this.#take(frame),
      onExit: (cause) => this.#lost(worker, cause),
    });
    worker.ready.then(
      () => this.#scheduler.dispatch(),
      () => {},
    );
    return worker;
  }

  #take(frame: Frame): void {
    const attempt = this.#table.get(frame.call, frame.attempt);
    if (attempt === undefined) {
      return;
    }
    if (frame.type === FrameType.end) {
      const end = decodeEnd(frame);
      this.#release(attempt);
      this.#scheduler.dispatch();
      attempt.end(end);
    } else if (attempt.ended) {
      return;
    } else if (frame.type === FrameType.operation) {
      attempt.onOperation(frame.code, frame.body, frame.a === 1, frame.x);
      if (this.#scheduler.queuedSuspects > 0) {
        this.#scheduler.dispatch();
      }
    } else if (frame.type === FrameType.log) {
      attempt.handler.onLog(Buffer.from(frame.body).toString());
    }
  }

  /** H7: the others of a worker in a long slice start anew elsewhere; beyond the allowed number of such workers its own call, too. */
  #demote(worker: SandboxWorker, slice: RunningSlice): void {
    const running = this.#table.get(slice.call, slice.attempt);
    if (running !== undefined) {
      this.#suspects.add(running.module.artefact.hash);
    }
    worker.renice();
    if (!this.#scheduler.demote(worker)) {
      this.#abandon(worker, slice, DISPLACED);
      return;
    }
    for (const attempt of this.#attemptsIn(worker)) {
      if (attempt !== running) {
        this.#end(attempt, DISPLACED);
      }
    }
  }

  /** A preemptible call computes for long: it begins anew where it is in nobody's way, and so do those of its function from now on. */
  #moveToBackground(attempt: Attempt): void {
    if (!this.#scheduler.isBackground(attempt.worker)) {
      this.#suspects.add(attempt.module.artefact.hash);
      this.#end(attempt, DISPLACED);
    }
  }

  readonly #lost = (worker: SandboxWorker, cause: unknown): void => {
    if (this.#closed || !this.#scheduler.has(worker)) {
      return;
    }
    const message = `the worker thread ended: ${cause instanceof Error ? cause.message : "it exited"}`;
    const { running, cpuMs } = worker.marks.read();
    this.#abandon(worker, running, { kind: "killed", reason: "workerLost", message, cpuMs });
  };

  /** Gives up a worker: `end` is for the call that ran, if it has not ended, all others are displaced. */
  #abandon(worker: SandboxWorker, running: { call: number; attempt: number } | undefined, end: SandboxEnd): void {
    const culprit = running && this.#table.get(running.call, running.attempt);
    if (culprit !== undefined) {
      this.#suspects.add(culprit.module.artefact.hash);
    }
    this.#scheduler.remove(worker);
    worker.terminate();
    const attempts = this.#attemptsIn(worker);
    for (const attempt of attempts) {
      this.#release(attempt);
    }
    for (const attempt of attempts) {
      attempt.end(attempt === culprit ? end : DISPLACED);
    }
    this.#scheduler.dispatch();
  }

  #attemptsIn(worker: SandboxWorker): Attempt[] {
    return Array.from(this.#table.all()).filter((attempt) => attempt.worker === worker);
  }
}

const DISPLACED: SandboxEnd = { kind: "displaced" };

function decodeEnd({ code, a, x: cpuMs, body }: Frame): SandboxEnd {
  switch (code) {
    case EndKind.returned:
      return { kind: "returned", value: a, output: body, cpuMs };
    case EndKind.returnedWithState:
      return { kind: "returned", value: a, output: EMPTY, cpuMs, state: guestStateBytes.decode(body) };
    case EndKind.trapped:
      return { kind: "trapped", message: Buffer.from(body).toString(), cpuMs };
    default:
      return { kind: "killed", reason: KILL_REASONS[a] ?? "workerLost", message: Buffer.from(body).toString(), cpuMs };
  }
}
