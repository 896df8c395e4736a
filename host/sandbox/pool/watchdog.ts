/** Looks every 5 ms, while attempts exist, for those that are over their wall or CPU time and for workers in long slices (H3, H7). */
import type { Clock } from "../../../state/ports.ts";
import type { Attempt } from "./attempt.ts";
import type { AttemptTable } from "./attempt-table.ts";
import type { SandboxWorker } from "./sandbox-worker.ts";
import { type RunningSlice, SliceWatch } from "./slice-watch.ts";

const LOOK_EVERY_MS = 5;
const LONG_SLICE_MS = 25;
/** Then a preemptible guest is asked to give way; only what it computes beyond that counts as a long slice. */
const TIME_SLICE_MS = 10;
/** What a preemptible call may compute beside others before it goes to the background. */
const LONG_CALL_MS = 100;
/** What the guest of a cancelled attempt may still compute. */
const CANCELLED_SLICE_MS = 10;
/** What it may compute further until it has been told by a pipe to give way: two other processes' turns come first on a busy machine. */
const TOLD_BY_PIPE_MS = 75;

export interface WatchdogOptions {
  readonly clock: Clock;
  readonly table: AttemptTable;
  readonly workers: () => Iterable<SandboxWorker>;
  /** The attempt has reached its wall-time limit. */
  readonly onExpired: (attempt: Attempt) => void;
  /** The attempt has had its CPU time. */
  readonly onExhausted: (attempt: Attempt) => void;
  /** Told once per slice. */
  readonly onLongSlice: (worker: SandboxWorker, slice: RunningSlice) => void;
  /** The attempt of a preemptible function has computed for long. */
  readonly onLongCall: (attempt: Attempt) => void;
  /** The guest of an attempt that has ended goes on computing. */
  readonly onOverdue: (worker: SandboxWorker, slice: RunningSlice) => void;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #watches = new WeakMap<SandboxWorker, SliceWatch>();
  /** Keeps the event loop alive while attempts exist; nothing else of a pool does. */
  #timer: NodeJS.Timeout | undefined;
  /** No attempt expires before. */
  #nextDeadlineMs = Number.POSITIVE_INFINITY;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  watch(attempt: Attempt): void {
    this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, attempt.deadlineMs);
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const { clock, table, workers } = this.#options;
    if (table.size === 0) {
      this.stop();
      return;
    }
    const nowMs = clock.monotonic();
    if (nowMs >= this.#nextDeadlineMs) {
      this.#expire(nowMs);
    }
    for (const worker of Array.from(workers())) {
      if (worker.active > 0) {
        this.#lookAt(worker, nowMs);
      }
    }
  }

  #expire(nowMs: number): void {
    const { table, onExpired } = this.#options;
    const expired: Attempt[] = [];
    this.#nextDeadlineMs = Number.POSITIVE_INFINITY;
    for (const attempt of table.all()) {
      if (attempt.deadlineMs <= nowMs) {
        expired.push(attempt);
      } else {
        this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, attempt.deadlineMs);
      }
    }
    for (const attempt of expired) {
      onExpired(attempt);
    }
  }

  #lookAt(worker: SandboxWorker, nowMs: number): void {
    const { table, onExhausted, onLongSlice, onLongCall, onOverdue } = this.#options;
    let watch = this.#watches.get(worker);
    if (watch === undefined) {
      watch = new SliceWatch(worker);
      this.#watches.set(worker, watch);
    }
    const slice = watch.look(nowMs);
    if (slice === undefined) {
      return;
    }
    const attempt = table.get(slice.call, slice.attempt);
    if (attempt !== undefined) {
      attempt.cpuMs = slice.cpuMs;
      if (slice.cpuMs > attempt.start.limits.cpuTimeMs) {
        onExhausted(attempt);
      }
    }
    const isEnded = attempt?.ended !== false;
    let heldMs = slice.ageMs;
    let graceMs = 0;
    if (attempt?.module.artefact.preemptible) {
      if (slice.cpuMs > LONG_CALL_MS) {
        onLongCall(attempt);
      }
      heldMs = isEnded || slice.ageMs > TIME_SLICE_MS ? watch.ask(slice) : 0;
      graceMs = worker.sharesMemory ? 0 : TOLD_BY_PIPE_MS;
    }
    if (heldMs > CANCELLED_SLICE_MS + graceMs && isEnded) {
      onOverdue(worker, slice);
    } else if (heldMs > LONG_SLICE_MS + graceMs && !watch.reported) {
      watch.reported = true;
      onLongSlice(worker, slice);
    }
  }
}
