/** What this node does with calls that move: which it lets go for their data, which it takes, and how many there were. */
import type { MachineLoad } from "./admission.ts";
import type { DataMoves } from "./data-moves.ts";
import type { MoveCause } from "./moved-call.ts";
import { loadOf, type NodeLoad } from "./nodes.ts";

/** `moved`: another node has taken it. `stayed`: none did, and it went on here. `taken`: it has come here. `turned away`: it was to. */
export type MoveOutcome = "moved" | "stayed" | "taken" | "turned away";

export interface MovesOptions {
  readonly data: DataMoves;
  /** What calls read here comes from no other node. */
  readonly besideData: boolean;
  readonly load: () => NodeLoad;
  readonly machineLoad: () => MachineLoad;
  /** Above them no call comes here for its data. */
  readonly limits: { readonly cpuThreshold: number; readonly memoryThreshold: number };
  readonly count: (cause: MoveCause, outcome: MoveOutcome) => void;
}

export class Moves {
  readonly data: DataMoves;
  readonly besideData: boolean;
  readonly count: MovesOptions["count"];
  readonly #options: MovesOptions;

  constructor(options: MovesOptions) {
    this.data = options.data;
    this.besideData = options.besideData;
    this.count = options.count;
    this.#options = options;
  }

  /** Why a call of another node shall not come here, or null. One whose node stops may always. */
  refusal(cause: MoveCause): string | null {
    const { limits, machineLoad, load } = this.#options;
    if (cause === "load") {
      const own = load();
      return loadOf(own) < 1 ? null : `${own.queue} calls compute or wait for ${own.workers} workers here`;
    }
    if (cause === "data") {
      const { cpuShare, memoryShare } = machineLoad();
      const isBusy = cpuShare > limits.cpuThreshold || memoryShare > limits.memoryThreshold;
      return isBusy ? `CPU in use ${Math.round(cpuShare * 100)} %, memory ${Math.round(memoryShare * 100)} %` : null;
    }
    return null;
  }
}
