/**
 * The operations that programs are made of.
 *
 * A new one is one more entry of STEPS; one that the guests cannot do yet is also a method of Machine, of GuestMachine and of
 * ReplayMachine.
 */
import { ISOLATIONS } from "../../state/txn/index.ts";
import type { Prng } from "../support/prng.ts";
import { brief, type Machine, type Program, type Step } from "./machine.ts";

/** How the program of a called function is drawn. */
interface Called {
  readonly mayBeCut?: boolean;
  readonly inTransaction?: boolean;
  /** It is no call, but a part of its caller. */
  readonly isPart?: boolean;
}

export interface Drawing {
  readonly random: Prng;
  /** A program to be called. @param name  the end of its id */
  called(name: string, how?: Called): Program;
}

export interface StepKind {
  /** How often it is chosen, against the others. */
  readonly weight: number;
  /** May be done by a function in its caller's transaction, and by a part: it changes nothing but objects, and begins nothing. */
  readonly isOfObjects?: true;
  /** Only done by a function in its caller's transaction. */
  readonly isOfTransaction?: true;
  /** What must not be left half done: never in a call that may be cancelled. */
  readonly isWhole?: true;
  /** Of the calls of one client's request only the first: functions of one root share its locks. */
  readonly isOfRoot?: true;
  draw(drawing: Drawing): Omit<Step, "op">;
  run(machine: Machine, step: Step, name: string): Promise<unknown>;
}

const OBJECTS = ["x", "y", "z"];
const ACCOUNTS = ["account/0", "account/1", "account/2"];
const GUARDED = ["guarded/0", "guarded/1"];
const STREAMS = ["feed", "jobs"];
const COUNTERS = ["count/0", "count/1"];
/** Above what a record holds, so that the value is a blob. */
const LARGE_CHARS = 5_000;
const FOLLOWED_MAX = 6;
const COMMITS_MAX = 5;

const pick = <T>(random: Prng, from: readonly T[]): T => from[random.below(from.length)] as T;
const keyOf = (step: Step): string => step.key ?? "";
const add = (amount: number) => (old: string | null) => String(Number(old ?? 0) + amount);

export const STEPS: Readonly<Record<string, StepKind>> = {
  get: {
    weight: 8,
    isOfObjects: true,
    draw: ({ random }) => ({ key: pick(random, OBJECTS) }),
    run: async (machine, step) => brief(await machine.read(keyOf(step))),
  },
  put: {
    weight: 8,
    isOfObjects: true,
    draw: ({ random }) => ({ key: pick(random, OBJECTS) }),
    run: (machine, step, name) => machine.put(keyOf(step), name),
  },
  putLarge: {
    weight: 1,
    isOfObjects: true,
    draw: ({ random }) => ({ key: pick(random, OBJECTS) }),
    run: (machine, step, name) => machine.put(keyOf(step), name.padEnd(LARGE_CHARS, ".")),
  },
  delete: {
    weight: 2,
    isOfObjects: true,
    draw: ({ random }) => ({ key: pick(random, OBJECTS) }),
    run: (machine, step) => machine.delete(keyOf(step)),
  },
  deleteCounter: {
    weight: 1,
    draw: () => ({ key: COUNTERS[1] ?? "" }),
    run: (machine, step) => machine.delete(keyOf(step)),
  },
  list: {
    weight: 2,
    isOfObjects: true,
    draw: () => ({}),
    run: (machine) => machine.list(""),
  },
  listScope: {
    weight: 2,
    draw: ({ random }) => ({ key: pick(random, ["count/", "account/"]) }),
    run: (machine, step) => machine.list(keyOf(step)),
  },
  increment: {
    weight: 5,
    isOfObjects: true,
    draw: ({ random }) => ({ key: pick(random, COUNTERS) }),
    run: (machine, step) => machine.update(keyOf(step), add(1)),
  },
  transfer: {
    weight: 3,
    isWhole: true,
    draw: ({ random }) => ({ key: pick(random, ACCOUNTS), otherKey: pick(random, ACCOUNTS), amount: 1 + random.below(9) }),
    run: async (machine, step) => {
      const amount = step.amount ?? 0;
      const from = await machine.update(keyOf(step), add(-amount));
      return [from, await machine.update(step.otherKey ?? "", add(amount))];
    },
  },
  call: {
    weight: 3,
    draw: ({ called }) => ({ programs: [called("/0")] }),
    run: (machine, step) => callAll(machine, step),
  },
  callParallel: {
    weight: 2,
    draw: ({ called }) => ({ programs: [called("/0"), called("/1")] }),
    run: (machine, step) => callAll(machine, step),
  },
  /** Those that are not waited for are cancelled at the end. */
  callBound: {
    weight: 2,
    draw: ({ random, called }) => ({
      programs: [called("/0", { mayBeCut: true }), called("/1", { mayBeCut: true })],
      amount: random.below(3),
    }),
    run: async (machine, { programs = [], amount = 0 }) =>
      joinAll(machine, (await startAll(machine, programs, true)).slice(amount)),
  },
  /** What the called function has read and written is part of the transaction. */
  callAtOnce: {
    weight: 3,
    draw: ({ random, called }) => ({
      key: pick(random, OBJECTS),
      isolation: pick(random, ISOLATIONS),
      programs: [called("/0", { inTransaction: true })],
    }),
    run: (machine, step, name) =>
      transact(machine, step, async () => {
        await machine.put(keyOf(step), name);
        return [await callAll(machine, step), await machine.list(""), await readAll(machine, OBJECTS)];
      }),
  },
  /** As `callAtOnce`, but nothing is to stay of it, also of a call that is cancelled, or still runs when it is over. */
  callAndAbort: {
    weight: 2,
    draw: ({ random, called }) => ({
      amount: random.below(3),
      isolation: pick(random, ISOLATIONS),
      programs: [called("/0", { inTransaction: true, mayBeCut: true })],
    }),
    run: async (machine, { isolation = "serializable", programs = [], amount }) => {
      await machine.begin(isolation);
      const handles = await startAll(machine, programs);
      const seen: unknown[] = [];
      for (const handle of amount === 0 ? handles : []) {
        seen.push(await machine.cancel(handle));
      }
      if (amount !== 1) {
        seen.push(await joinAll(machine, handles));
      }
      await machine.abort();
      return amount === 1 ? joinAll(machine, handles) : seen;
    },
  },
  /** Until the transaction is over, however the function ends: nobody else waits for it longer. */
  lockInside: {
    weight: 4,
    isOfTransaction: true,
    draw: () => ({}),
    run: (machine) => machine.lock("lock of those inside"),
  },
  callRace: {
    weight: 3,
    draw: ({ called }) => ({ programs: [called("/0", { mayBeCut: true }), called("/1", { mayBeCut: true })] }),
    run: async (machine, { programs = [] }) => {
      const handles = await startAll(machine, programs);
      const first = await machine.select(handles);
      const seen: unknown[] = [first];
      for (const [index, handle] of handles.entries()) {
        seen.push(index === first ? null : await machine.cancel(handle));
        const { returnValue, text } = await machine.callAwait(handle);
        seen.push([returnValue, text]);
      }
      return seen;
    },
  },
  /** Runs where the data is, if that takes it. */
  part: {
    weight: 3,
    draw: ({ called }) => ({ programs: [called("/part", { isPart: true })] }),
    run: (machine, { programs = [] }) => machine.part(only(programs)),
  },
  callSpawned: {
    weight: 3,
    draw: ({ random, called }) => ({
      programs: [called("/spawned", { mayBeCut: random.below(2) === 0 })],
      amount: random.below(2) * random.below(3_000),
    }),
    run: (machine, { programs = [], amount = 0 }) => machine.spawn(only(programs), amount),
  },
  sleep: {
    weight: 1,
    draw: ({ random }) => ({ amount: 1 + random.below(300) }),
    run: (machine, step) => machine.sleep(step.amount ?? 0),
  },
  outside: {
    weight: 3,
    draw: () => ({}),
    run: (machine, _, name) => machine.outside(name),
  },
  sync: {
    weight: 1,
    draw: () => ({}),
    run: (machine) => machine.sync(),
  },
  fence: {
    weight: 1,
    draw: () => ({}),
    run: (machine) => machine.fence(),
  },
  now: {
    weight: 1,
    isOfObjects: true,
    draw: () => ({}),
    run: async (machine) => machine.now(),
  },
  /** Conserves the sum under any isolation that protects what is written. */
  transferAtOnce: {
    weight: 4,
    draw: ({ random }) => ({
      key: pick(random, ACCOUNTS),
      otherKey: pick(random, ACCOUNTS),
      amount: 1 + random.below(9),
      isolation: pick(random, ["serializable", "snapshot"]),
    }),
    run: (machine, step) =>
      transact(machine, step, async () => {
        const [from, to, amount] = [keyOf(step), step.otherKey ?? "", step.amount ?? 0];
        const before = await machine.read(from);
        await machine.put(from, add(-amount)(before));
        const after = await machine.read(to);
        await machine.put(to, add(amount)(after));
        return [before, after];
      }),
  },
  /** Several objects, read and written, made and deleted. */
  changeAtOnce: {
    weight: 3,
    draw: ({ random }) => ({
      key: pick(random, OBJECTS),
      otherKey: pick(random, OBJECTS),
      amount: random.below(4),
      isolation: pick(random, ISOLATIONS),
    }),
    run: (machine, step, name) =>
      transact(machine, step, async () => {
        const seen = brief(await machine.read(keyOf(step)));
        await machine.put(step.otherKey ?? "", name);
        if (step.amount === 0) {
          await machine.delete(keyOf(step));
        }
        return [seen, brief(await machine.read(step.otherKey ?? ""))];
      }),
  },
  listAtOnce: {
    weight: 2,
    draw: ({ random }) => ({ key: pick(random, OBJECTS), isolation: pick(random, ISOLATIONS) }),
    run: (machine, step, name) =>
      transact(machine, step, async () => {
        const before = await machine.list("");
        await machine.put(keyOf(step), name);
        return [before, await machine.list("")];
      }),
  },
  lookAtOnce: {
    weight: 2,
    draw: ({ random }) => ({ isolation: pick(random, ISOLATIONS) }),
    run: (machine, step) => transact(machine, step, () => readAll(machine, ACCOUNTS)),
  },
  abort: {
    weight: 1,
    draw: ({ random }) => ({ key: pick(random, OBJECTS), isolation: pick(random, ISOLATIONS) }),
    run: async (machine, step, name) => {
      await machine.begin(step.isolation ?? "serializable");
      await machine.put(keyOf(step), name);
      await machine.abort();
      return brief(await machine.read(keyOf(step)));
    },
  },
  /** No lost update, although nothing but the lock protects it. */
  locked: {
    weight: 3,
    isOfRoot: true,
    draw: ({ random }) => ({ key: pick(random, GUARDED), amount: random.below(4) }),
    run: async (machine, step) => {
      const lock = `lock of ${keyOf(step)}`;
      const token = step.amount === 0 ? await machine.tryLock(lock) : await machine.lock(lock);
      if (token === 0) {
        return "busy";
      }
      const old = await machine.read(keyOf(step));
      await machine.put(keyOf(step), add(1)(old));
      return [token, old, step.amount === 1 ? "kept to the end" : await machine.unlock(lock)];
    },
  },
  /** Some of them only read: their end releases the lock as well. */
  lockedAtOnce: {
    weight: 2,
    isOfRoot: true,
    draw: ({ random }) => ({ key: pick(random, GUARDED), amount: random.below(3), isolation: "serializable" }),
    run: (machine, step) =>
      transact(machine, step, async () => {
        const token = await machine.lock(`lock of ${keyOf(step)}`);
        const old = await machine.read(keyOf(step));
        if (step.amount === 0) {
          await machine.put(keyOf(step), add(1)(old));
        }
        return [token, old];
      }),
  },
  append: {
    weight: 3,
    draw: ({ random }) => ({ key: pick(random, STREAMS) }),
    run: (machine, step, name) => machine.append(keyOf(step), name),
  },
  /** Takes the next place of a stream, unless somebody else is faster. */
  claim: {
    weight: 2,
    draw: ({ random }) => ({ key: pick(random, STREAMS) }),
    run: async (machine, step, name) => {
      const tail = await machine.logTail(keyOf(step));
      return [tail, await machine.append(keyOf(step), name, tail.length)];
    },
  },
  /** From the beginning, so that most looks need no record. */
  follow: {
    weight: 3,
    draw: ({ random }) => ({ key: pick(random, STREAMS) }),
    run: async (machine, step) => {
      const seen: string[] = [];
      let min = 1;
      while (seen.length < FOLLOWED_MAX && min > 0) {
        const found = await machine.logNext(keyOf(step), min);
        seen.push(found);
        min = found === "none" ? 0 : Number(found.replace("trimmed ", "").split(" ")[0]) + 1;
      }
      return [seen, await machine.logTail(keyOf(step))];
    },
  },
  last: {
    weight: 2,
    draw: ({ random }) => ({ key: pick(random, STREAMS) }),
    run: async (machine, step) => {
      const last = await machine.logPrev(keyOf(step), Number.MAX_SAFE_INTEGER);
      return [last, await machine.logPrev(keyOf(step), Number.parseInt(last, 10) - 1 || 1)];
    },
  },
  /** What comes after the last one, or half of it. */
  wait: {
    weight: 2,
    draw: ({ random }) => ({ key: pick(random, STREAMS), amount: random.below(600) }),
    run: async (machine, step) => {
      const { last } = await machine.logTail(keyOf(step));
      return machine.logAwait(keyOf(step), last + 1, step.amount ?? 0);
    },
  },
  trim: {
    weight: 1,
    draw: ({ random }) => ({ key: pick(random, STREAMS) }),
    run: async (machine, step) => machine.trim(keyOf(step), Math.floor((await machine.logTail(keyOf(step))).last / 2)),
  },
  fail: {
    weight: 1,
    isOfObjects: true,
    draw: () => ({}),
    run: async (machine, _step, name) => machine.trap(`failed as it was told: ${name}`),
  },
};

/** Until it is committed, or others have been faster again and again. */
async function transact(machine: Machine, step: Step, body: () => Promise<unknown>): Promise<unknown> {
  const seen: unknown[] = [];
  let end = "";
  for (let tries = 0; tries < COMMITS_MAX && end !== "committed"; tries += 1) {
    await machine.begin(step.isolation ?? "serializable");
    seen.push(await body());
    end = await machine.commit();
    seen.push(end);
  }
  return seen;
}

async function readAll(machine: Machine, keys: readonly string[]): Promise<(string | null)[]> {
  const texts: (string | null)[] = [];
  for (const key of keys) {
    texts.push(brief(await machine.read(key)));
  }
  return texts;
}

async function callAll(machine: Machine, { programs = [] }: Step): Promise<unknown> {
  return joinAll(machine, await startAll(machine, programs));
}

async function joinAll(machine: Machine, handles: readonly number[]): Promise<unknown> {
  const results: unknown[] = [];
  for (const handle of handles) {
    const { returnValue, text } = await machine.callAwait(handle);
    results.push([returnValue, text]);
  }
  return results;
}

async function startAll(machine: Machine, programs: readonly Program[], bound = false): Promise<readonly number[]> {
  const handles: number[] = [];
  for (const program of programs) {
    handles.push(await machine.callStart(program, bound));
  }
  return handles;
}

function only(programs: readonly Program[]): Program {
  const [program] = programs;
  if (program === undefined) {
    throw new Error("a step calls nothing");
  }
  return program;
}
