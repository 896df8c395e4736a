/** The other nodes of the cluster, as places where calls may go on. */
import type { CallTaker } from "./moved-call.ts";
import type { RankHost } from "./ranks.ts";

export interface NodeLoad {
  /** Calls that compute or wait for a worker. */
  readonly queue: number;
  readonly workers: number;
}

export interface OtherNode extends NodeLoad {
  /** It goes on with calls of others. */
  readonly taker: CallTaker;
  /** It runs ranks of worlds of others. */
  readonly ranks?: RankHost;
}

/** Asks all nodes that can be reached; those that stop, or do not answer soon, are left out. Never rejects. */
export type OtherNodes = () => Promise<readonly OtherNode[]>;

export const NO_OTHER_NODES: OtherNodes = async () => [];

/** Calls for each worker. */
export function loadOf({ queue, workers }: NodeLoad): number {
  return queue / Math.max(1, workers);
}

/** Hands calls out to nodes, so that each gets as many as it has room for beside the others. */
export class Spread {
  readonly #nodes: { readonly taker: CallTaker; queue: number; readonly workers: number }[];

  /** @param nodes  of two with the same load the first gets a call first */
  constructor(nodes: readonly OtherNode[]) {
    this.#nodes = nodes.map(({ taker, queue, workers }) => ({ taker, queue, workers }));
  }

  /** Who may take the next call, the least loaded first. */
  next(): readonly CallTaker[] {
    const [first, ...others] = this.#nodes.sort((a, b) => loadOf(a) - loadOf(b));
    if (first === undefined) {
      return [];
    }
    first.queue += 1;
    return [first, ...others].map(({ taker }) => taker);
  }
}
