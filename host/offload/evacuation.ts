/**
 * Lets calls go to idle nodes while this one has too much to do.
 *
 * Too much: for `afterMs` without a break more than `queueMax` calls for each worker compute or wait for one. Idle: fewer calls than workers.
 *
 * V1. No more calls leave than an idle node has workers without a call, nor than half of what this node has more than that one: the other
 *     way round there is no reason to move then.
 * V2. After calls were told to leave it takes another `afterMs` of too much to do before the next may.
 */
import type { Timers } from "../../state/ports.ts";
import type { CallTaker } from "./moved-call.ts";
import { loadOf, type NodeLoad, type OtherNodes } from "./nodes.ts";

export interface EvacuationOptions {
  /** Calls for each worker; 0: no call ever leaves. */
  readonly queueMax: number;
  readonly afterMs: number;
  readonly timers: Timers;
  readonly clock: { monotonic(): number };
  readonly load: () => NodeLoad;
  readonly others: OtherNodes;
  /** Lets up to `count` calls go to the first of these that takes them. Returns how many have been told. */
  readonly leave: (count: number, takers: readonly CallTaker[]) => number;
}

/** Looks in the time that there must be too much to do. */
const LOOKS = 4;

export class Evacuation {
  readonly #options: EvacuationOptions;
  /** Since when there is too much to do; null: there is not. */
  #sinceMs: number | null = null;
  #cancel = () => {};

  /** Watches until `stop`. */
  constructor(options: EvacuationOptions) {
    this.#options = options;
    if (options.queueMax > 0) {
      this.#lookLater();
    }
  }

  stop(): void {
    this.#cancel();
    this.#cancel = () => {};
    this.#sinceMs = null;
  }

  #lookLater(): void {
    const { timers, afterMs } = this.#options;
    let isStopped = false;
    const cancel = timers.after(afterMs / LOOKS, async () => {
      await this.#look();
      if (!isStopped) {
        this.#lookLater();
      }
    });
    this.#cancel = () => {
      isStopped = true;
      cancel();
    };
  }

  async #look(): Promise<void> {
    const { load, queueMax, afterMs, clock, others, leave } = this.#options;
    const nowMs = clock.monotonic();
    if (loadOf(load()) <= queueMax) {
      this.#sinceMs = null;
      return;
    }
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs < afterMs) {
      return;
    }
    const idle = (await others()).filter(({ queue, workers }) => queue < workers).sort((a, b) => loadOf(a) - loadOf(b));
    for (const { taker, queue, workers } of idle) {
      const own = load().queue;
      const count = Math.min(workers - queue, Math.floor((own - queue) / 2));
      if (this.#sinceMs !== null && count > 0 && leave(count, [taker]) > 0) {
        this.#sinceMs = nowMs;
        return;
      }
    }
  }
}
