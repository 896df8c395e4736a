/**
 * What simulated functions do: small random programs over few keys.
 *
 * A program is written once and runs twice: as a guest of the host, and against the final log, by the oracle (`replay.ts`). Both are
 * a Machine. What a program has seen of the world is its output, so that every read is compared.
 *
 * A new operation is one more entry of STEPS; one that the guests cannot do yet is also a method of Machine, of GuestMachine and of
 * ReplayMachine.
 */
import { ISOLATIONS, type Isolation } from "../../state/txn/index.ts";
import type { Prng } from "../support/prng.ts";

export interface Machine {
  read(key: string): Promise<string | null>;
  put(key: string, text: string): Promise<void>;
  delete(key: string): Promise<void>;
  list(prefix: string): Promise<readonly string[]>;
  /** Reads and writes at once. @returns what was there */
  update(key: string, change: (old: string | null) => string): Promise<string | null>;
  callStart(input: string): Promise<number>;
  callAwait(handle: number): Promise<{ readonly returnValue: number; readonly text: string }>;
  /** The call that has ended first. @returns index into `handles` */
  select(handles: readonly number[]): Promise<number>;
  /** 1: cancelled; 0: it had ended. */
  cancel(handle: number): Promise<number>;
  /** A call that nobody joins. @returns its instance */
  spawn(input: string, delayMs: number): Promise<string>;
  sleep(durationMs: number): Promise<void>;
  begin(isolation: Isolation): Promise<void>;
  /** "committed", or what conflicted: then nothing was written. Either way the transaction is over. */
  commit(): Promise<string>;
  abort(): Promise<void>;
  /** Waits for it. @returns the token */
  lock(name: string): Promise<number>;
  /** @returns the token; 0 when another call holds it */
  tryLock(name: string): Promise<number>;
  unlock(name: string): Promise<number>;
  /** Appends to a stream of the tenant's log. @param length  of the stream, or the append is refused @returns what came of it */
  append(stream: string, text: string, length?: number): Promise<string>;
  /** The last record at or before `max`, or why there is none. */
  logPrev(stream: string, max: number): Promise<string>;
  logNext(stream: string, min: number): Promise<string>;
  logTail(stream: string): Promise<LogTail>;
  trim(stream: string, upTo: number): Promise<void>;
  /** The guest's clock in ms. */
  now(): number;
  trap(message: string): never;
}

export interface LogTail {
  readonly length: number;
  readonly last: number;
  readonly goneUpTo: number;
  readonly closed: boolean;
}

/** One step as data: it travels in the input of the call. */
export interface Step {
  readonly op: string;
  readonly key?: string;
  readonly otherKey?: string;
  readonly amount?: number;
  readonly isolation?: Isolation;
  readonly programs?: readonly Program[];
}

export interface Program {
  /** Of the request, and the path of calls to this one: values that it writes begin with it. */
  readonly id: string;
  readonly steps: readonly Step[];
}

interface StepKind {
  /** How often it is chosen, against the others. */
  readonly weight: number;
  /** May be done by a function that is called in its caller's transaction: it changes nothing but objects, and begins nothing. */
  readonly isOfObjects?: true;
  /** What must not be left half done: never in a call that may be cancelled. */
  readonly isWhole?: true;
  /** Of the calls of one client's request only the first: functions of one root share its locks. */
  readonly isOfRoot?: true;
  draw(random: Prng, id: string, depth: number): Omit<Step, "op">;
  run(machine: Machine, step: Step, name: string): Promise<unknown>;
}

const OBJECTS = ["x", "y", "z"];
const ACCOUNTS = ["account/0", "account/1", "account/2"];
const GUARDED = ["guarded/0", "guarded/1"];
const STREAMS = ["feed", "jobs"];
const COUNTERS = ["count/0", "count/1"];
const DEPTH_MAX = 2;
/** Above what a record holds, so that the value is a blob. */
const LARGE_CHARS = 5_000;
const FOLLOWED_MAX = 6;
/** In the ids of programs. */
const SPAWNED = "/spawned";
const COMMITS_MAX = 5;

const pick = <T>(random: Prng, from: readonly T[]): T => from[random.below(from.length)] as T;
const keyOf = (step: Step): string => step.key ?? "";
const add = (amount: number) => (old: string | null) => String(Number(old ?? 0) + amount);

export const STEPS: Readonly<Record<string, StepKind>> = {
  get: {
    weight: 8,
    isOfObjects: true,
    draw: (random) => ({ key: pick(random, OBJECTS) }),
    run: async (machine, step) => brief(await machine.read(keyOf(step))),
  },
  put: {
    weight: 8,
    isOfObjects: true,
    draw: (random) => ({ key: pick(random, OBJECTS) }),
    run: (machine, step, name) => machine.put(keyOf(step), name),
  },
  putLarge: {
    weight: 1,
    isOfObjects: true,
    draw: (random) => ({ key: pick(random, OBJECTS) }),
    run: (machine, step, name) => machine.put(keyOf(step), name.padEnd(LARGE_CHARS, ".")),
  },
  delete: {
    weight: 2,
    isOfObjects: true,
    draw: (random) => ({ key: pick(random, OBJECTS) }),
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
  increment: {
    weight: 5,
    isOfObjects: true,
    draw: (random) => ({ key: pick(random, COUNTERS) }),
    run: (machine, step) => machine.update(keyOf(step), add(1)),
  },
  transfer: {
    weight: 3,
    isWhole: true,
    draw: (random) => ({ key: pick(random, ACCOUNTS), otherKey: pick(random, ACCOUNTS), amount: 1 + random.below(9) }),
    run: async (machine, step) => {
      const amount = step.amount ?? 0;
      const from = await machine.update(keyOf(step), add(-amount));
      return [from, await machine.update(step.otherKey ?? "", add(amount))];
    },
  },
  call: {
    weight: 3,
    draw: (random, id, depth) => ({ programs: [drawProgram(random, `${id}/0`, depth + 1)] }),
    run: (machine, step) => callAll(machine, step),
  },
  callParallel: {
    weight: 2,
    draw: (random, id, depth) => ({
      programs: [drawProgram(random, `${id}/0`, depth + 1), drawProgram(random, `${id}/1`, depth + 1)],
    }),
    run: (machine, step) => callAll(machine, step),
  },
  /** What the called function has read and written is part of the transaction. */
  callAtOnce: {
    weight: 3,
    draw: (random, id) => ({
      key: pick(random, OBJECTS),
      isolation: pick(random, ISOLATIONS),
      programs: [drawSteps(random, `${id}/0`, 3, OBJECT_STEPS)],
    }),
    run: (machine, step, name) =>
      transact(machine, step, async () => {
        await machine.put(keyOf(step), name);
        return [await callAll(machine, step), await machine.list(""), await readAll(machine, OBJECTS)];
      }),
  },
  callRace: {
    weight: 3,
    draw: (random, id) => ({
      programs: [drawProgram(random, `${id}/0`, DEPTH_MAX, true), drawProgram(random, `${id}/1`, DEPTH_MAX, true)],
    }),
    run: async (machine, { programs = [] }) => {
      const handles: number[] = [];
      for (const program of programs) {
        handles.push(await machine.callStart(JSON.stringify(program)));
      }
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
  callSpawned: {
    weight: 3,
    draw: (random, id, depth) => ({
      programs: [drawProgram(random, `${id}${SPAWNED}`, depth + 1)],
      amount: random.below(2) * random.below(3_000),
    }),
    run: (machine, { programs: [program] = [], amount = 0 }) => machine.spawn(JSON.stringify(program), amount),
  },
  sleep: {
    weight: 1,
    draw: (random) => ({ amount: 1 + random.below(300) }),
    run: (machine, step) => machine.sleep(step.amount ?? 0),
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
    draw: (random) => ({
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
    draw: (random) => ({
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
    draw: (random) => ({ key: pick(random, OBJECTS), isolation: pick(random, ISOLATIONS) }),
    run: (machine, step, name) =>
      transact(machine, step, async () => {
        const before = await machine.list("");
        await machine.put(keyOf(step), name);
        return [before, await machine.list("")];
      }),
  },
  lookAtOnce: {
    weight: 2,
    draw: (random) => ({ isolation: pick(random, ISOLATIONS) }),
    run: (machine, step) => transact(machine, step, () => readAll(machine, ACCOUNTS)),
  },
  abort: {
    weight: 1,
    draw: (random) => ({ key: pick(random, OBJECTS), isolation: pick(random, ISOLATIONS) }),
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
    draw: (random) => ({ key: pick(random, GUARDED), amount: random.below(4) }),
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
    draw: (random) => ({ key: pick(random, GUARDED), amount: random.below(3), isolation: "serializable" }),
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
    draw: (random) => ({ key: pick(random, STREAMS) }),
    run: (machine, step, name) => machine.append(keyOf(step), name),
  },
  /** Takes the next place of a stream, unless somebody else is faster. */
  claim: {
    weight: 2,
    draw: (random) => ({ key: pick(random, STREAMS) }),
    run: async (machine, step, name) => {
      const tail = await machine.logTail(keyOf(step));
      return [tail, await machine.append(keyOf(step), name, tail.length)];
    },
  },
  /** From the beginning, so that most looks need no record. */
  follow: {
    weight: 3,
    draw: (random) => ({ key: pick(random, STREAMS) }),
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
    draw: (random) => ({ key: pick(random, STREAMS) }),
    run: async (machine, step) => {
      const last = await machine.logPrev(keyOf(step), Number.MAX_SAFE_INTEGER);
      return [last, await machine.logPrev(keyOf(step), Number.parseInt(last, 10) - 1 || 1)];
    },
  },
  trim: {
    weight: 1,
    draw: (random) => ({ key: pick(random, STREAMS) }),
    run: async (machine, step) => machine.trim(keyOf(step), Math.floor((await machine.logTail(keyOf(step))).last / 2)),
  },
  fail: {
    weight: 1,
    isOfObjects: true,
    draw: () => ({}),
    run: async (machine, _step, name) => machine.trap(`failed as it was told: ${name}`),
  },
};

const OBJECT_STEPS = Object.entries(STEPS).filter(([, { isOfObjects = false }]) => isOfObjects);

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
  const handles: number[] = [];
  for (const program of programs) {
    handles.push(await machine.callStart(JSON.stringify(program)));
  }
  const results: unknown[] = [];
  for (const handle of handles) {
    const { returnValue, text } = await machine.callAwait(handle);
    results.push([returnValue, text]);
  }
  return results;
}

/** @param mayBeCut  it may be cancelled in the middle */
export function drawProgram(random: Prng, id: string, depth = 0, mayBeCut = false): Program {
  const kinds = Object.entries(STEPS).filter(
    ([op, { isWhole = false, isOfRoot = false }]) =>
      (depth < DEPTH_MAX || !op.startsWith("call")) && !(mayBeCut && isWhole) && !(depth > 0 && isOfRoot),
  );
  return drawSteps(random, id, depth === 0 ? 5 : 3, kinds, depth);
}

type Kinds = readonly (readonly [string, StepKind])[];

function drawSteps(random: Prng, id: string, max: number, kinds: Kinds, depth = DEPTH_MAX): Program {
  const steps: Step[] = [];
  const count = 1 + random.below(max);
  for (let i = 0; i < count; i += 1) {
    const [op, kind] = drawKind(random, kinds);
    steps.push({ op, ...kind.draw(random, `${id}.${i}`, depth) });
  }
  return { id, steps };
}

function drawKind(random: Prng, kinds: Kinds): readonly [string, StepKind] {
  let at = random.below(kinds.reduce((sum, [, { weight }]) => sum + weight, 0));
  for (const kind of kinds) {
    at -= kind[1].weight;
    if (at < 0) {
      return kind;
    }
  }
  throw new Error("the weights do not add up");
}

/** Runs a program to its end. @returns what each step saw */
export async function runProgram(machine: Machine, program: Program): Promise<string> {
  const all: unknown[] = [];
  for (const [index, step] of program.steps.entries()) {
    const name = `${program.id}.${index}`;
    all.push((await STEPS[step.op]?.run(machine, step, name)) ?? null);
  }
  return JSON.stringify(all);
}

/** Whether it runs in a call that nobody waits for. */
export function isSpawned({ id }: Program): boolean {
  return id.includes(SPAWNED);
}

/** Whether a run of it leaves anything in the log. */
export function writes(program: Program): boolean {
  return program.steps.some(({ op }) => !["get", "list", "now", "fail"].includes(op));
}

/** A value without its padding. */
export function brief(text: string | null): string | null {
  return text === null ? null : text.replace(/\.+$/, "");
}
