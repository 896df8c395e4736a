/**
 * Watches one worker's slices from outside (H7). Times are CPU times of the thread where the system tells them: on a busy machine a
 * guest that is not let run is not stuck.
 */
import type { SandboxWorker } from "./sandbox-worker.ts";

/** A slice that gets no CPU counts too, at this fraction of its wall time: whatever holds it, it holds the worker. */
const WALL_SHARE = 0.01;

export interface RunningSlice {
  readonly call: number;
  readonly attempt: number;
  /** How long the guest has run without giving way, ms of CPU. */
  readonly ageMs: number;
  /** CPU time of the attempt, this slice included. */
  readonly cpuMs: number;
}

export class SliceWatch {
  readonly #worker: SandboxWorker;
  /** The running slice is known to be long. */
  reported = false;
  /** Age of the slice when its guest was asked to give way. */
  #askedMs: number | undefined;
  #slice = 0;
  #sinceMs = 0;
  #sinceCpuMs: number | undefined;

  constructor(worker: SandboxWorker) {
    this.#worker = worker;
  }

  /** The slice that runs now, if the last look saw it already. */
  look(nowMs: number): RunningSlice | undefined {
    const { slice, running, cpuMs } = this.#worker.marks.read();
    if (running === undefined || slice !== this.#slice) {
      this.#slice = slice;
      this.#sinceMs = nowMs;
      this.#sinceCpuMs = undefined;
      this.reported = false;
      this.#askedMs = undefined;
      return undefined;
    }
    const threadCpuMs = this.#worker.cpuMs();
    this.#sinceCpuMs ??= threadCpuMs;
    const wallMs = nowMs - this.#sinceMs;
    const ageMs =
      threadCpuMs === undefined || this.#sinceCpuMs === undefined
        ? wallMs
        : Math.max(threadCpuMs - this.#sinceCpuMs, wallMs * WALL_SHARE);
    return { ...running, ageMs, cpuMs: cpuMs + ageMs };
  }

  /** Asks a preemptible guest to give way. Returns how long it has computed since it was first asked, ms of CPU. */
  ask({ ageMs }: RunningSlice): number {
    this.#worker.channel.interrupt();
    this.#askedMs ??= ageMs;
    return ageMs - this.#askedMs;
  }
}
