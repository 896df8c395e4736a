/**
 * Which attempt runs where.
 *
 * Workers have one of four roles. `normal`: many calls at once, suspended ones cost no thread. `spare`: started and idle, to take the
 * place of a worker that is stuck or lost. `lane`: one call at a time, of functions that have recently run long slices; a normal worker
 * that gets stuck becomes one, and stays one, as its priority cannot be raised again. `background`: at most one, at the lowest priority
 * too, for all calls of preemptible functions that have recently computed for long: they give way to each other.
 *
 * 1. At most `lanesMax` lanes: so many long slices may run at a time (H7).
 * 2. A worker holds at most `attemptsPerWorker` attempts (H2); what does not fit waits, nested calls first. Beyond that it holds one
 *    nested call for each depth, and a deeper one only: so of the calls that others wait for, the deepest always runs, and no number
 *    of callers can keep their own callees out.
 * 3. An attempt is in a queue, in one worker, or ended.
 */
import type { Attempt } from "./attempt.ts";
import { DepthQueues } from "./attempt-queue.ts";
import type { SandboxWorker } from "./sandbox-worker.ts";

/** A worker that could not even start is not replaced at once. */
const FAILED_START_PAUSE_MS = 1_000;
/** Where there are no spares: to start a worker costs the main thread too much to do it for each call that wrecks one. */
const STARTS_MAX = 4;
const STARTS_WITHIN_MS = 1_000;

export interface SchedulerOptions {
  readonly workers: number;
  readonly lanesMax: number;
  /** 0 where a worker is at hand whenever one is asked for. */
  readonly spares: 0 | 1;
  /** Whether the first workers start with the pool, or with its first attempt. */
  readonly startsAtOnce: boolean;
  readonly attemptsPerWorker: number;
  /** The same of the background worker. */
  readonly backgroundAttempts: number;
  readonly spawn: () => SandboxWorker;
  /** Functions whose calls run in a lane, by content hash. */
  readonly isSuspect: (attempt: Attempt) => boolean;
  /** Whether an attempt in the worker is not suspended: a call that waits for its own children must not keep them from a lane. */
  readonly isBusy: (worker: SandboxWorker) => boolean;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #normal = new Set<SandboxWorker>();
  readonly #lanes = new Set<SandboxWorker>();
  readonly #spares = new Set<SandboxWorker>();
  readonly #queue = new DepthQueues();
  readonly #suspects = new DepthQueues();
  /** Suspects that are preemptible. */
  readonly #long = new DepthQueues();
  #background: SandboxWorker | undefined;
  /** When the last workers were started, where there are no spares. */
  readonly #startsMs: number[] = [];
  #waitsToStart = false;
  #isReplenishedLater = false;
  #isStarted: boolean;
  #closed = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#isStarted = options.startsAtOnce;
    this.#replenish();
  }

  get queued(): number {
    return this.#queue.size + this.#suspects.size + this.#long.size;
  }

  /** Attempts that wait for a lane. */
  get queuedSuspects(): number {
    return this.#suspects.size;
  }

  /** All workers, whatever their role. */
  *workers(): Iterable<SandboxWorker> {
    yield* this.#normal;
    yield* this.#lanes;
    yield* this.#spares;
    if (this.#background !== undefined) {
      yield this.#background;
    }
  }

  normalWorkers(): Iterable<SandboxWorker> {
    return this.#normal;
  }

  has(worker: SandboxWorker): boolean {
    return this.#normal.has(worker) || this.#lanes.has(worker) || this.#spares.has(worker) || this.isBackground(worker);
  }

  isBackground(worker: SandboxWorker | undefined): boolean {
    return worker !== undefined && worker === this.#background;
  }

  /** Starts the attempt as soon as a worker may take it. */
  enqueue(attempt: Attempt): void {
    this.#queueOf(attempt).push(attempt);
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.#replenish();
    }
    this.dispatch();
  }

  /** An attempt that is still in a queue will not run. */
  withdraw(attempt: Attempt): void {
    attempt.queue?.withdraw(attempt);
  }

  /** Hands out what waits. To be called whenever a worker has become free or ready. */
  dispatch(): void {
    while (this.#queue.size > 0) {
      const worker = this.leastLoaded(this.#queue.depth);
      if (worker === undefined) {
        break;
      }
      this.#begin(this.#queue, worker);
    }
    while (this.#long.size > 0) {
      const worker = this.#backgroundWorker(this.#long.depth);
      if (worker === undefined) {
        break;
      }
      this.#begin(this.#long, worker);
    }
    while (this.#suspects.size > 0) {
      const worker = this.#freeLane(this.#suspects.depth);
      if (worker === undefined) {
        break;
      }
      this.#begin(this.#suspects, worker);
    }
  }

  /**
   * A normal or the background worker is in a long slice: it gets nothing new and becomes a lane, in the place of an idle one if need be,
   * and a spare takes its place. False when all lanes are in use, and the worker must go.
   */
  demote(worker: SandboxWorker): boolean {
    if (this.#lanes.has(worker)) {
      return true;
    }
    if (this.#lanes.size >= this.#options.lanesMax) {
      const idle = [...this.#lanes].find((lane) => lane.active === 0);
      if (idle === undefined) {
        return false;
      }
      this.#lanes.delete(idle);
      idle.terminate();
    }
    this.#normal.delete(worker);
    this.#leaveBackground(worker);
    this.#lanes.add(worker);
    this.#replenish();
    return true;
  }

  /** The worker is gone, or going. */
  remove(worker: SandboxWorker): void {
    this.#normal.delete(worker);
    this.#lanes.delete(worker);
    this.#spares.delete(worker);
    this.#leaveBackground(worker);
    if (worker.isReady) {
      this.#replenish();
    } else if (!this.#isReplenishedLater) {
      // Once, however many have failed: each that is started may fail before the next one's turn comes.
      this.#isReplenishedLater = true;
      const again = () => {
        this.#isReplenishedLater = false;
        this.#replenish();
      };
      setTimeout(again, FAILED_START_PAUSE_MS).unref();
    }
  }

  /** Where an attempt of this depth would run now; undefined when it has to wait. */
  leastLoaded(depth: number): SandboxWorker | undefined {
    let least: SandboxWorker | undefined;
    for (const worker of this.#normal) {
      if (worker.isReady && this.#mayTake(worker, depth) && worker.active < (least?.active ?? Number.POSITIVE_INFINITY)) {
        least = worker;
      }
    }
    return least;
  }

  /** Starts no more workers. */
  close(): void {
    this.#closed = true;
  }

  #queueOf(attempt: Attempt): DepthQueues {
    if (!this.#options.isSuspect(attempt)) {
      return this.#queue;
    }
    return attempt.module.artefact.preemptible ? this.#long : this.#suspects;
  }

  #begin(queue: DepthQueues, worker: SandboxWorker): void {
    const attempt = queue.shift();
    if (attempt !== undefined) {
      if (worker.active >= this.#options.attemptsPerWorker) {
        worker.beyond.push(attempt);
      }
      worker.begin(attempt);
    }
  }

  #mayTake(worker: SandboxWorker, depth: number): boolean {
    const { attemptsPerWorker, backgroundAttempts } = this.#options;
    const attemptsMax = this.isBackground(worker) ? backgroundAttempts : attemptsPerWorker;
    return worker.active < attemptsMax || depth > worker.depthBeyond;
  }

  #freeLane(depth: number): SandboxWorker | undefined {
    for (const lane of this.#lanes) {
      if (lane.isReady && this.#mayTake(lane, depth) && !this.#options.isBusy(lane)) {
        return lane;
      }
    }
    const lane = this.#lanes.size < this.#options.lanesMax ? this.#spare() : undefined;
    if (lane !== undefined) {
      this.#spares.delete(lane);
      this.#lanes.add(lane);
      this.#replenish();
    }
    return lane?.isReady ? lane : undefined;
  }

  #backgroundWorker(depth: number): SandboxWorker | undefined {
    if (this.#background === undefined) {
      const spare = this.#spare();
      if (spare !== undefined) {
        this.#spares.delete(spare);
        this.#background = spare;
        this.#replenish();
      }
    }
    const background = this.#background;
    if (background === undefined || !background.isReady || !this.#mayTake(background, depth)) {
      return undefined;
    }
    background.renice();
    return background;
  }

  #leaveBackground(worker: SandboxWorker): void {
    if (this.isBackground(worker)) {
      this.#background = undefined;
    }
  }

  /** A worker that can become a lane; it may still be starting where there are no spares. */
  #spare(): SandboxWorker | undefined {
    if (this.#options.spares > 0) {
      return Array.from(this.#spares).find(({ isReady }) => isReady);
    }
    const isStarting = Array.from(this.#lanes).some(({ isReady }) => !isReady);
    return isStarting || this.#closed || !this.#mayStart() ? undefined : this.#options.spawn();
  }

  /** Counts a start; false when there were too many lately, and then it is tried again later. */
  #mayStart(): boolean {
    if (this.#options.spares > 0) {
      return true;
    }
    const nowMs = performance.now();
    const oldestMs = this.#startsMs[this.#startsMs.length - Math.max(STARTS_MAX, this.#options.workers)];
    if (oldestMs === undefined || nowMs - oldestMs >= STARTS_WITHIN_MS) {
      this.#startsMs.push(nowMs);
      this.#startsMs.splice(0, this.#startsMs.length - Math.max(STARTS_MAX, this.#options.workers));
      return true;
    }
    if (!this.#waitsToStart) {
      this.#waitsToStart = true;
      const again = () => {
        this.#waitsToStart = false;
        this.#replenish();
        this.dispatch();
      };
      setTimeout(again, STARTS_WITHIN_MS - (nowMs - oldestMs)).unref();
    }
    return false;
  }

  /** As many normal workers as there shall be, taken from the spares, and one spare. */
  #replenish(): void {
    if (this.#closed || !this.#isStarted) {
      return;
    }
    while (this.#normal.size < this.#options.workers && (this.#spares.size > 0 || this.#mayStart())) {
      const [spare = this.#options.spawn()] = this.#spares;
      this.#spares.delete(spare);
      this.#normal.add(spare);
    }
    while (this.#spares.size < this.#options.spares) {
      this.#spares.add(this.#options.spawn());
    }
  }
}
