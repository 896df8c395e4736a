/** How busy the machine is, for admission of storage parts. */
import type { Timers } from "../../state/ports.ts";
import type { MachineLoad } from "./admission.ts";

/** Counters of the operating system; main reads the real ones. */
export interface MachineCounters {
  /** CPU time since boot over all cores, in any one unit. */
  cpu(): { readonly busy: number; readonly total: number };
  /** Available memory counts the page cache as available. */
  memory(): { readonly availableBytes: number; readonly totalBytes: number };
}

/** Long enough for the kernel's 10 ms ticks to mean something. */
const SAMPLE_MS = 500;

/** Samples until `stop`; `load` is that of the last full interval, idle before the first. */
export class MachineLoadSampler {
  readonly #counters: MachineCounters;
  readonly #timers: Timers;
  #last: { readonly busy: number; readonly total: number };
  #cpuShare = 0;
  #cancel: () => void;

  constructor(counters: MachineCounters, timers: Timers) {
    this.#counters = counters;
    this.#timers = timers;
    this.#last = counters.cpu();
    this.#cancel = timers.after(SAMPLE_MS, () => this.#sample());
  }

  load(): MachineLoad {
    const { availableBytes, totalBytes } = this.#counters.memory();
    return { cpuShare: this.#cpuShare, memoryShare: 1 - availableBytes / totalBytes };
  }

  stop(): void {
    this.#cancel();
  }

  #sample(): void {
    const now = this.#counters.cpu();
    const total = now.total - this.#last.total;
    this.#cpuShare = total > 0 ? (now.busy - this.#last.busy) / total : 0;
    this.#last = now;
    this.#cancel = this.#timers.after(SAMPLE_MS, () => this.#sample());
  }
}
