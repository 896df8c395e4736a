/** Communicators of one rank: groups of the world's ranks, each with messages of its own. */
import { Collective, evenParts } from "./collective.ts";
import { type Messages, spanOf } from "./messages.ts";

export interface Grid {
  readonly dims: readonly number[];
  readonly periods: readonly boolean[];
}

export interface Communicator {
  /** Of its messages; the next number is that of its collective calls. */
  readonly context: number;
  /** Ranks of the world, by the communicator's. */
  readonly group: readonly number[];
  /** This one's. */
  readonly rank: number;
  readonly grid: Grid | null;
  readonly collective: Collective;
}

export const COMM_NULL = 0;
const WORLD = 1;
const SELF = 2;
const CONTEXTS_PER_COMMUNICATOR = 2;
const WORLD_CONTEXT = 0;
/** A guest cannot have more at once. */
export const COMMUNICATORS_MAX = 1024;

export class Communicators {
  readonly #messages: Messages;
  readonly #known = new Map<number, Communicator>();
  #nextNumber = SELF + 1;
  /** No communicator of this rank has this one, or a later one. */
  #nextContext = 2 * CONTEXTS_PER_COMMUNICATOR;

  constructor(messages: Messages) {
    this.#messages = messages;
    const { rank, size } = messages;
    const world = Array.from({ length: size }, (_, at) => at);
    this.#known.set(WORLD, this.#make(WORLD_CONTEXT, world, null));
    this.#known.set(SELF, this.#make(WORLD_CONTEXT + CONTEXTS_PER_COMMUNICATOR, [rank], null));
  }

  get(number: number): Communicator | undefined {
    return this.#known.get(number);
  }

  get isFull(): boolean {
    return this.#known.size >= COMMUNICATORS_MAX;
  }

  /** False for one that is not to be freed. */
  free(number: number): boolean {
    return number > SELF && this.#known.delete(number);
  }

  /**
   * All ranks of `parent` do it at once: those of one colour, which is not negative, make one together, ordered by key and by the ranks that
   * they have. @returns its number; COMM_NULL for a rank with a negative colour
   */
  async split(parent: Communicator, color: number, key: number, grid: Grid | null = null): Promise<number> {
    const { group, rank, collective } = parent;
    const all = new Int32Array(3 * group.length);
    all.set([color, key, this.#nextContext], 3 * rank);
    await collective.allgather(evenParts(spanOf(new Uint8Array(all.buffer)), group.length));
    const told = group.map((worldRank, at) => ({
      ...{ worldRank, color: all[3 * at] ?? 0, key: all[3 * at + 1] ?? 0, next: all[3 * at + 2] ?? 0 },
    }));
    const context = Math.max(...told.map(({ next }) => next));
    this.#nextContext = context + CONTEXTS_PER_COMMUNICATOR;
    if (color < 0) {
      return COMM_NULL;
    }
    const members = told.filter((one) => one.color === color).sort((a, b) => a.key - b.key);
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    this.#known.set(
      number,
      this.#make(
        context,
        members.map(({ worldRank }) => worldRank),
        grid,
      ),
    );
    return number;
  }

  #make(context: number, group: readonly number[], grid: Grid | null): Communicator {
    const rank = group.indexOf(this.#messages.rank);
    return { context, group, rank, grid, collective: new Collective(this.#messages, context + 1, group, rank) };
  }
}
