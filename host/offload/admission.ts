/** Whether a storage node takes a part: it may always say no, and the part then runs where it came from. */

export interface AdmissionLimits {
  /** Parts that may run at once; 0 refuses all. */
  readonly slots: number;
  /** Share of all cores in use above which parts are refused, 0 … 1. */
  readonly cpuThreshold: number;
  /** Share of the machine's memory in use (page cache not counted) above which parts are refused, 0 … 1. */
  readonly memoryThreshold: number;
}

/** Load of the machine. Sampled by main over at least 250 ms, as shorter windows of the kernel's 10 ms ticks say nothing. */
export interface MachineLoad {
  readonly cpuShare: number;
  readonly memoryShare: number;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #load: () => MachineLoad;
  #running = 0;

  constructor(limits: AdmissionLimits, load: () => MachineLoad) {
    this.#limits = limits;
    this.#load = load;
  }

  /** The reason to refuse, or null after a slot was taken: then `leave` must follow. */
  enter(): string | null {
    const { slots, cpuThreshold, memoryThreshold } = this.#limits;
    if (this.#running >= slots) {
      return `no free slot: ${this.#running} of ${slots} in use`;
    }
    const { cpuShare, memoryShare } = this.#load();
    if (cpuShare > cpuThreshold) {
      return `CPU in use ${percent(cpuShare)}, threshold ${percent(cpuThreshold)}`;
    }
    if (memoryShare > memoryThreshold) {
      return `memory in use ${percent(memoryShare)}, threshold ${percent(memoryThreshold)}`;
    }
    this.#running += 1;
    return null;
  }

  leave(): void {
    this.#running -= 1;
  }
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
