/**
 * Decides whether a history of concurrent operations could have happened one after the other.
 *
 * Wing and Gong's search ("Testing and verifying concurrent objects", 1993) with Lowe's memory of what was tried ("Testing for
 * linearizability", 2017): a set of operations that were placed, with the state they lead to, is tried once.
 *
 * W1. A read that is legal now and has an answer is placed at once: it can only get in the way later.
 * W2. Operations without an answer may have happened or not.
 */

export interface Operation {
  /** Operations of one process happen in their order. */
  readonly process: string;
  readonly callMs: number;
  /** Infinity: nobody got the answer. */
  readonly returnMs: number;
}

export interface Model<O, State> {
  readonly initial: State;
  /** The state after the operation; undefined when its answer cannot be given here. */
  apply(state: State, operation: O): State | undefined;
  /** Whether the operation never changes anything. */
  isRead(operation: O): boolean;
  /** Equal for equal states. */
  identify(state: State): string;
}

/** Which operations of one process need not happen in their order. */
export interface Order<O> {
  mayOvertake(earlier: O, later: O): boolean;
}

const STRICT: Order<unknown> = { mayOvertake: () => false };

export type Verdict =
  | { readonly kind: "possible" }
  | { readonly kind: "impossible"; readonly placedMax: number }
  /** Too many ways to try. */
  | { readonly kind: "unknown" };

const WAYS_MAX = 300_000;

/**
 * Whether every operation can take effect at one moment between its call and its return. The order of `history` is that in which
 * ways are tried.
 */
export function linearizable<O extends Operation, State>(model: Model<O, State>, history: readonly O[]): Verdict {
  return search(model, history, mayBeNow);
}

/** Whether there is one order that is that of each process. Times do not count; of each process `history` has the order. */
export function sequential<O extends Operation, State>(
  model: Model<O, State>,
  history: readonly O[],
  order: Order<O> = STRICT,
): Verdict {
  return search(model, history, (left) => mayBeNext(left, order));
}

/** As both: there is one order that is that of each process, and of the times. */
export function sequentialInTime<O extends Operation, State>(
  model: Model<O, State>,
  history: readonly O[],
  order: Order<O> = STRICT,
): Verdict {
  return search(model, history, (left) => {
    const now = new Set(mayBeNow(left));
    return mayBeNext(left, order).filter((operation) => now.has(operation));
  });
}

/** Those that nothing which is left must have ended before. */
function mayBeNow<O extends Operation>(left: readonly O[]): readonly O[] {
  let firstReturnMs = Number.POSITIVE_INFINITY;
  for (const { returnMs } of left) {
    firstReturnMs = Math.min(firstReturnMs, returnMs);
  }
  return left.filter((operation) => operation.callMs <= firstReturnMs);
}

function mayBeNext<O extends Operation>(left: readonly O[], { mayOvertake }: Order<O>): readonly O[] {
  const before = new Map<string, O[]>();
  return left.filter((operation) => {
    const own = before.get(operation.process);
    if (own === undefined) {
      before.set(operation.process, [operation]);
      return true;
    }
    own.push(operation);
    return own.every((earlier) => earlier === operation || mayOvertake(earlier, operation));
  });
}

/** As `check` of each part alone: right for linearizability, which is local, and not for sequential consistency. */
export function eachAlone<O>(
  history: readonly O[],
  part: (operation: O) => string,
  check: (history: readonly O[]) => Verdict,
): Verdict {
  for (const operations of Map.groupBy(history, part).values()) {
    const verdict = check(operations);
    if (verdict.kind !== "possible") {
      return verdict;
    }
  }
  return { kind: "possible" };
}

function search<O extends Operation, State>(
  model: Model<O, State>,
  history: readonly O[],
  candidates: (left: readonly O[]) => readonly O[],
): Verdict {
  const numbers = new Map(history.map((operation, index) => [operation, 1n << BigInt(index)]));
  const tried = new Set<string>();
  const answered = history.filter(({ returnMs }) => returnMs !== Number.POSITIVE_INFINITY).length;
  let placedMax = 0;
  let ways = 0;

  /** @param open  how many operations with an answer are left */
  const place = (left: readonly O[], mask: bigint, state: State, open: number): boolean => {
    let [rest, placed, answers] = [left, mask, open];
    for (;;) {
      const quiet = candidates(rest).filter(
        (operation) =>
          model.isRead(operation) &&
          operation.returnMs !== Number.POSITIVE_INFINITY &&
          model.apply(state, operation) !== undefined,
      );
      if (quiet.length === 0) {
        break;
      }
      for (const operation of quiet) {
        placed |= numbers.get(operation) ?? 0n;
      }
      rest = rest.filter((operation) => !quiet.includes(operation));
      answers -= quiet.length;
    }
    placedMax = Math.max(placedMax, answered - answers);
    if (answers === 0) {
      return true;
    }
    const way = `${placed.toString(36)} ${model.identify(state)}`;
    if (tried.has(way) || ways >= WAYS_MAX) {
      return false;
    }
    tried.add(way);
    ways += 1;
    for (const operation of candidates(rest)) {
      const next = model.apply(state, operation);
      if (next === undefined) {
        continue;
      }
      const others = rest.filter((other) => other !== operation);
      const isAnswered = operation.returnMs !== Number.POSITIVE_INFINITY;
      if (place(others, placed | (numbers.get(operation) ?? 0n), next, answers - (isAnswered ? 1 : 0))) {
        return true;
      }
    }
    return false;
  };

  if (place(history, 0n, model.initial, answered)) {
    return { kind: "possible" };
  }
  return ways >= WAYS_MAX ? { kind: "unknown" } : { kind: "impossible", placedMax };
}
