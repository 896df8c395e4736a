import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { prng } from "../prng.ts";
import { type ObjectAction, type ObjectOperation, objectsModel, orderModel, type PlacedWrite } from "./objects.ts";
import { eachAlone, linearizable, sequential, type Verdict } from "./search.ts";

const NEVER = Number.POSITIVE_INFINITY;
const at = (process: string, callMs: number, returnMs: number, action: ObjectAction): ObjectOperation => ({
  process,
  callMs,
  returnMs,
  action,
});
const write = (process: string, callMs: number, returnMs: number, value: string, key = "x") =>
  at(process, callMs, returnMs, { kind: "write", key, value });
const read = (process: string, callMs: number, returnMs: number, value: string | null, key = "x") =>
  at(process, callMs, returnMs, { kind: "read", key, value });
const isLinearizable = (history: readonly ObjectOperation[]) => linearizable(objectsModel, history).kind === "possible";
const isSequential = (history: readonly ObjectOperation[]) => sequential(objectsModel, history).kind === "possible";

describe("histories of a textbook", () => {
  test("a read that overlaps a write may see it or not", () => {
    expect(isLinearizable([write("a", 0, 10, "1"), read("b", 2, 4, "1")])).toBe(true);
    expect(isLinearizable([write("a", 0, 10, "1"), read("b", 2, 4, null)])).toBe(true);
  });

  test("once a read has seen a write no later one may miss it, though the write goes on", () => {
    const history = [write("a", 0, 10, "1"), read("b", 1, 2, "1"), read("c", 3, 4, null)];
    expect(isLinearizable(history)).toBe(false);
    expect(isSequential(history)).toBe(true);
  });

  test("a stale read after the write has returned is sequential and not linearizable", () => {
    const history = [write("a", 0, 1, "1"), read("b", 2, 3, null)];
    expect(isLinearizable(history)).toBe(false);
    expect(isSequential(history)).toBe(true);
  });

  test("a process sees what it wrote itself", () => {
    expect(isSequential([write("a", 0, 1, "1"), read("a", 2, 3, null)])).toBe(false);
  });

  test("two readers may not see two writes in different orders", () => {
    const history = [
      write("a", 0, 1, "1"),
      write("b", 0, 1, "2"),
      read("c", 2, 3, "1"),
      read("c", 4, 5, "2"),
      read("d", 2, 3, "2"),
      read("d", 4, 5, "1"),
    ];
    expect(isSequential(history)).toBe(false);
    expect(isLinearizable(history)).toBe(false);
  });

  test("each of two writers may not miss the other's write: store buffers are not sequential", () => {
    const history = [
      write("a", 0, 1, "1", "x"),
      read("a", 2, 3, null, "y"),
      write("b", 0, 1, "1", "y"),
      read("b", 2, 3, null, "x"),
    ];
    expect(isSequential(history)).toBe(false);
    const eachKey = eachAlone(
      history,
      ({ action }) => ("key" in action ? action.key : ""),
      (part) => sequential(objectsModel, part),
    );
    expect(eachKey.kind, "sequential consistency is not local").toBe("possible");
  });

  test("linearizability is local: the parts by key say the same as the whole", () => {
    const good = [write("a", 0, 5, "1", "x"), write("b", 1, 6, "2", "y"), read("c", 2, 3, "1", "x"), read("d", 2, 3, null, "y")];
    const bad = [...good, read("c", 7, 8, null, "y")];
    const byKey = (history: readonly ObjectOperation[]): Verdict =>
      eachAlone(
        history,
        ({ action }) => ("key" in action ? action.key : ""),
        (part) => linearizable(objectsModel, part),
      );
    expect([byKey(good).kind, byKey(bad).kind]).toEqual(["possible", "impossible"]);
    expect([isLinearizable(good), isLinearizable(bad)]).toEqual([true, false]);
  });

  test("a write without an answer may have happened, at any time later, or not", () => {
    expect(isLinearizable([write("a", 0, NEVER, "1"), read("b", 5, 6, null)])).toBe(true);
    expect(isLinearizable([write("a", 0, NEVER, "1"), read("b", 5, 6, null), read("b", 7, 8, "1")])).toBe(true);
    expect(isLinearizable([write("a", 0, NEVER, "1"), read("b", 5, 6, "1"), read("b", 7, 8, null)])).toBe(false);
  });

  test("two updates of one version are a lost update", () => {
    const update = (process: string, old: string | null, value: string) =>
      at(process, 0, 9, { kind: "update", key: "n", old, value });
    expect(isLinearizable([update("a", null, "1"), update("b", "1", "2")])).toBe(true);
    expect(isLinearizable([update("a", null, "1"), update("b", null, "1")])).toBe(false);
  });

  test("a list shows all objects of one moment", () => {
    const list = (...keys: string[]) => at("c", 10, 11, { kind: "list", prefix: "", keys });
    const history = [write("a", 0, 1, "1", "x"), write("a", 2, 3, "1", "y")];
    expect(isSequential([...history, list("y")])).toBe(false);
    expect(isSequential([...history, list("x")])).toBe(true);
    expect(isLinearizable([...history, list("x")])).toBe(false);
    expect(isLinearizable([...history, list("x", "y")])).toBe(true);
  });

  test("a known order of writes must be that of their times", () => {
    const placed = (callMs: number, returnMs: number, position: number): PlacedWrite => ({
      process: `${position}`,
      callMs,
      returnMs,
      key: "x",
      position,
    });
    expect(linearizable(orderModel, [placed(0, 5, 1), placed(3, 8, 0)]).kind).toBe("possible");
    expect(linearizable(orderModel, [placed(0, 2, 1), placed(3, 8, 0)]).kind).toBe("impossible");
  });
});

/** A run of clients against one real, atomic map: each operation takes effect at one moment between its call and its return. */
function atomicHistory(seed: number, operations: number): ObjectOperation[] {
  const random = prng(seed);
  const state = new Map<string, string>();
  const processes = ["a", "b", "c"].map((name) => ({ name, freeMs: 0 }));
  const planned = Array.from({ length: operations }, (_, index) => {
    const process = processes[random.below(3)] as { name: string; freeMs: number };
    const callMs = process.freeMs + random.below(5);
    const effectMs = callMs + random.below(10);
    const returnMs = effectMs + random.below(10);
    process.freeMs = returnMs + 1;
    return {
      process: process.name,
      callMs,
      effectMs,
      returnMs,
      key: ["x", "y"][random.below(2)] ?? "x",
      kind: random.below(3),
      index,
    };
  });
  planned.sort((one, other) => one.effectMs - other.effectMs || one.index - other.index);
  const history = planned.map(({ process, callMs, returnMs, key, kind, index }) => {
    const old = state.get(key) ?? null;
    if (kind === 0) {
      return at(process, callMs, returnMs, { kind: "read", key, value: old });
    }
    state.set(key, `${index}`);
    const action: ObjectAction =
      kind === 1 ? { kind: "write", key, value: `${index}` } : { kind: "update", key, old, value: `${index}` };
    return at(process, callMs, returnMs, action);
  });
  return history.sort((one, other) => one.callMs - other.callMs);
}

/** By trying every order. */
function bruteForce(
  history: readonly ObjectOperation[],
  mayFollow: (before: ObjectOperation, after: ObjectOperation) => boolean,
): boolean {
  const place = (left: readonly ObjectOperation[], state: ReadonlyMap<string, string>): boolean =>
    left.length === 0 ||
    left.some((operation) => {
      const others = left.filter((other) => other !== operation);
      const next = others.every((other) => mayFollow(operation, other)) ? objectsModel.apply(state, operation) : undefined;
      return next !== undefined && place(others, next);
    });
  return place(history, objectsModel.initial);
}

const seeds = fc.integer({ min: 0, max: 2 ** 31 });

describe("random histories", () => {
  test("of an atomic map are accepted", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 40 }), (seed, operations) => {
        const history = atomicHistory(seed, operations);
        expect(isLinearizable(history)).toBe(true);
        expect(isSequential(history)).toBe(true);
      }),
    );
  });

  test("with a read of what nobody wrote are rejected", () => {
    fc.assert(
      fc.property(seeds, fc.nat(), (seed, which) => {
        const history = atomicHistory(seed, 20);
        const reads = history.filter(({ action }) => action.kind === "read");
        fc.pre(reads.length > 0);
        const victim = reads[which % reads.length];
        const corrupted = history.map((one) =>
          one === victim ? { ...one, action: { kind: "read", key: "x", value: "nobody wrote it" } as const } : one,
        );
        expect(isLinearizable(corrupted)).toBe(false);
        expect(isSequential(corrupted)).toBe(false);
      }),
    );
  });

  test("of up to six operations are judged as by trying every order, whatever they say", () => {
    const action: fc.Arbitrary<ObjectAction> = fc.oneof(
      fc.record({ kind: fc.constant("read" as const), key: fc.constant("x"), value: fc.constantFrom(null, "1", "2") }),
      fc.record({ kind: fc.constant("write" as const), key: fc.constant("x"), value: fc.constantFrom(null, "1", "2") }),
      fc.record({
        kind: fc.constant("update" as const),
        key: fc.constant("x"),
        old: fc.constantFrom(null, "1", "2"),
        value: fc.constantFrom("1", "2"),
      }),
    );
    const operation = fc.record({
      process: fc.constantFrom("a", "b", "c"),
      callMs: fc.integer({ min: 0, max: 12 }),
      durationMs: fc.integer({ min: 0, max: 6 }),
      action,
    });
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(operation, { minLength: 2, maxLength: 6 }), (drawn) => {
        const history = drawn.map(({ process, callMs, durationMs, action }) => at(process, callMs, callMs + durationMs, action));
        const byTime = bruteForce(history, (before, after) => before.callMs <= after.returnMs);
        expect(isLinearizable(history)).toBe(byTime);
        const byProcess = bruteForce(
          history,
          (before, after) => before.process !== after.process || history.indexOf(before) < history.indexOf(after),
        );
        expect(isSequential(history)).toBe(byProcess);
        accepted += byTime ? 1 : 0;
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(1_900);
  });
});
