/** A call with threads as the main thread of the host knows it: which workers are its, and what they have cost. */
import type { Attempt } from "../pool/attempt.ts";
import type { SandboxWorker } from "../pool/sandbox-worker.ts";

interface Member {
  /** Monotonic, ms: since when it is the call's. */
  readonly sinceMs: number;
  /** CPU time of its thread then; of one that has just been started, when it is first known. */
  sinceCpuMs: number | undefined;
}

export class TeamCall {
  readonly attempt: Attempt;
  readonly main: SandboxWorker;
  /** So many threads were set aside for it. */
  readonly threads: number;
  /** Set when its main thread has ended: called when all others have. */
  onAlone: () => void = () => {};
  readonly #members = new Map<SandboxWorker, Member>();
  /** Of threads that have ended. */
  #endedCpuMs = 0;

  constructor(attempt: Attempt, main: SandboxWorker, nowMs: number) {
    this.attempt = attempt;
    this.main = main;
    this.threads = attempt.start.threads?.callMax ?? 1;
    this.join(main, nowMs);
  }

  join(worker: SandboxWorker, nowMs: number): void {
    this.#members.set(worker, { sinceMs: nowMs, sinceCpuMs: worker.cpuMs() });
  }

  leave(worker: SandboxWorker, cpuMs: number): void {
    if (this.#members.delete(worker)) {
      this.#endedCpuMs += cpuMs;
    }
  }

  workers(): SandboxWorker[] {
    return Array.from(this.#members.keys());
  }

  /** CPU time of all its threads, ms: where the system does not tell, the time since they have begun. */
  cpuMs(nowMs: number): number {
    let cpuMs = this.#endedCpuMs;
    for (const [worker, member] of this.#members) {
      const now = worker.cpuMs();
      member.sinceCpuMs ??= now;
      if (now !== undefined && member.sinceCpuMs !== undefined) {
        cpuMs += now - member.sinceCpuMs;
      } else if (worker.isReady) {
        cpuMs += nowMs - member.sinceMs;
      }
    }
    return cpuMs;
  }
}
