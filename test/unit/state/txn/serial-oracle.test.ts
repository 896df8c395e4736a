import fc from "fast-check";
import { expect, test } from "vitest";
import { type InstanceId, MAX_SEQNUM, NO_SEQNUM, type SeqNum } from "../../../../state/ids.ts";
import { type LogBook, type Mode, RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { decodeObjectValue, encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { ScopedObjects, StepStream } from "../../../../state/protocols/index.ts";
import { stepTag } from "../../../../state/tags.ts";
import {
  decodeEffects,
  decodeInherited,
  encodeEffects,
  encodeInherited,
  HeldLocks,
  type Isolation,
  Transactions,
} from "../../../../state/txn/index.ts";
import { BOOK, bytes, openTestShard, type TestShard } from "../../../support/open-shard.ts";
import { systemTimers } from "../../../support/system-timers.ts";

const KEYS = ["a", "b", "w/c"];

/** Scopes and their modes; those that are being switched stay so. */
type Layout = readonly (readonly [scope: string, mode: Mode, isSwitching?: true])[];
const layouts = fc.constantFrom<Layout>(
  [],
  [["", "halfmoon-write"]],
  [["w", "halfmoon-write"]],
  [
    ["", "boki"],
    ["w", "unsafe"],
  ],
  [
    ["", "halfmoon-write", true],
    ["w", "halfmoon-write"],
  ],
  [
    ["", "halfmoon-write"],
    ["w", "halfmoon-write", true],
  ],
);

/** One operation of a transaction. What it writes depends on everything that the transaction has seen, so that no anomaly is hidden. */
type Operation =
  | { readonly do: "read"; readonly key: string }
  | { readonly do: "write"; readonly key: string }
  | { readonly do: "delete"; readonly key: string }
  | { readonly do: "list" }
  /** A called function does the operation. */
  | { readonly do: "call"; readonly key: string };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    do: fc.constantFrom("read" as const, "write" as const, "delete" as const, "call" as const),
    key: fc.constantFrom(...KEYS),
  }),
  fc.record({ do: fc.constant("list" as const) }),
);

/** What a transaction does things to: the log, or a map. */
interface Store {
  read(key: string): Promise<string | null>;
  write(key: string, value: string | null): Promise<void>;
  list(): Promise<readonly string[]>;
  call(key: string): Promise<string | null>;
}

/** Carries out the operation, and returns what the transaction has seen so far. */
async function perform(store: Store, done: Operation, seen: string, name: string): Promise<string> {
  switch (done.do) {
    case "read":
      return `${seen}${await store.read(done.key)},`;
    case "list":
      return `${seen}${(await store.list()).join("")},`;
    case "call":
      return `${seen}${await store.call(done.key)},`;
    case "write":
      await store.write(done.key, short(`${name}:${seen}`));
      return seen;
    case "delete":
      await store.write(done.key, null);
      return seen;
  }
}

/** Values stay short, and tell all that they were computed from. */
function short(text: string): string {
  let hash = 0;
  for (const char of text) {
    hash = (Math.imul(hash, 31) + char.charCodeAt(0)) | 0;
  }
  return hash.toString(36);
}

class Model implements Store {
  readonly objects = new Map<string, string>();
  async read(key: string) {
    return this.objects.get(key) ?? null;
  }
  async write(key: string, value: string | null) {
    if (value === null) {
      this.objects.delete(key);
    } else {
      this.objects.set(key, value);
    }
  }
  async list() {
    return [...this.objects.keys()].sort();
  }
  /** What a called function does: it reads the object and writes it. */
  async call(key: string) {
    const old = await this.read(key);
    await this.write(key, short(`called ${old}`));
    return old;
  }
}

/** A running transaction of an instance of its own. */
class Running implements Store {
  readonly transactions: Transactions;
  readonly #test: TestShard;
  readonly #book: LogBook;

  constructor(test: TestShard, name: string, pins: { initialCursor: SeqNum }, inherited: Uint8Array | null) {
    this.#test = test;
    this.#book = test.shard.book(BOOK);
    const instance = name as InstanceId;
    const init = () => ({ kind: RecordKind.init, tags: [stepTag(instance)], data: bytes("") });
    const all = { ...pins, timeMs: 0, seed: new Uint8Array(16), nonce: bytes(name.padEnd(8)).subarray(0, 8) };
    const steps = new StepStream(this.#book, instance, { kind: "unlogged", pins: all, init });
    this.transactions = new Transactions({
      plain: new ScopedObjects(steps, test.blobs, { modeCursor: NO_SEQNUM, protocol: "halfmoon-read" }),
      steps,
      blobs: test.blobs,
      timers: systemTimers,
      locks: new HeldLocks(steps, instance),
      inherited: inherited === null ? null : decodeInherited(inherited),
    });
  }

  async read(key: string) {
    const read = await this.transactions.read(key, 0, 1000);
    return read.kind === "absent" ? null : Buffer.from(read.bytes).toString();
  }

  async write(key: string, value: string | null) {
    await (value === null
      ? this.transactions.delete(key)
      : this.transactions.write(key, { kind: "inline", bytes: bytes(value) }, value.length));
  }

  /** In pages of one. */
  async list() {
    const keys: string[] = [];
    for (let after = ""; ; ) {
      const [entry] = await this.transactions.list("", after, 1);
      if (entry === undefined) {
        return keys;
      }
      after = entry.key;
      keys.push(after);
    }
  }

  async call(key: string) {
    const given = this.transactions.give();
    if (given === null) {
      throw new Error("no transaction is open");
    }
    const child = new Running(
      this.#test,
      `child ${await this.#book.tail()}`,
      { initialCursor: given.snapshot },
      encodeInherited(given),
    );
    const old = await child.read(key);
    await child.write(key, short(`called ${old}`));
    const effects = child.transactions.effects();
    this.transactions.join(given, effects === null ? null : decodeEffects(encodeEffects(effects)));
    return old;
  }
}

/** Calls from now on use the objects as `layout` says. */
async function choose({ shard, time }: TestShard, layout: Layout): Promise<void> {
  const steady = layout.filter(([, , isSwitching]) => isSwitching !== true);
  for (const [scope, mode] of steady) {
    await shard.whenDurable(await shard.switchMode(BOOK, scope, mode, false));
  }
  while ((await shard.scopes(BOOK)).some(({ to }) => to !== null)) {
    await new Promise((resolve) => setImmediate(resolve));
    time.advance(20);
  }
  // As no time passes from now on, these do not end.
  for (const [scope, mode] of layout.filter((one) => !steady.includes(one))) {
    await shard.switchMode(BOOK, scope, mode, false);
  }
}

async function put(book: LogBook, key: string, value: string): Promise<void> {
  const data = encodeStep(
    { fingerprint: NO_FINGERPRINT, pins: null },
    encodeObjectValue({ kind: "inline", bytes: bytes(value) }),
  );
  await book.append({ records: [{ kind: RecordKind.write, tags: [], place: key, data }] });
}

async function stored(book: LogBook): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const key of KEYS) {
    const { record } = await book.readCell(key, MAX_SEQNUM);
    const value = record === null ? null : decodeObjectValue(record);
    if (value?.kind === "inline") {
      found[key] = Buffer.from(value.bytes).toString();
    }
  }
  return found;
}

interface Committed {
  readonly name: string;
  readonly operations: readonly Operation[];
  readonly seen: string;
}

/** Runs the transactions interleaved as `schedule` says: each entry lets one of them make its next operation. */
async function run(
  isolation: Isolation,
  programs: readonly (readonly Operation[])[],
  schedule: readonly number[],
  layout: Layout,
) {
  const test = await openTestShard();
  await choose(test, layout);
  const book = test.shard.book(BOOK);
  await put(book, "a", "0");
  await put(book, "b", "0");
  const pins = { initialCursor: await book.tail() };
  const running = programs.map((operations, index) => ({
    name: `t${index}`,
    operations,
    running: new Running(test, `t${index}`, pins, null),
    at: -1,
    seen: "",
  }));
  const committed: Committed[] = [];
  const readOnly: Committed[] = [];
  const rounds = [...schedule, ...programs.flatMap((operations, index) => Array<number>(operations.length + 2).fill(index))];
  for (const turn of rounds) {
    const one = running[turn % running.length];
    if (one === undefined || one.at > one.operations.length) {
      continue;
    }
    const { transactions } = one.running;
    const next = one.operations[one.at];
    if (one.at < 0) {
      await transactions.begin(isolation);
    } else if (next === undefined) {
      const wrote = (transactions.open?.writes.size ?? 0) > 0;
      const outcome = await transactions.commit();
      if (outcome.kind === "committed") {
        (wrote ? committed : readOnly).push({ name: one.name, operations: one.operations, seen: one.seen });
      }
    } else {
      one.seen = await perform(one.running, next, one.seen, one.name);
    }
    one.at += 1;
  }
  return { committed, readOnly, stored: await stored(book) };
}

/** What the same transactions see and leave when they run one after the other. */
async function serially(order: readonly Committed[]): Promise<{ seen: Map<string, string>; objects: Record<string, string> }> {
  const model = new Model();
  await model.write("a", "0");
  await model.write("b", "0");
  const seen = new Map<string, string>();
  for (const { name, operations } of order) {
    let text = "";
    for (const one of operations) {
      text = await perform(model, one, text, name);
    }
    seen.set(name, text);
  }
  return { seen, objects: Object.fromEntries([...model.objects].sort()) };
}

const programs = fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 4 });
const schedule = fc.array(fc.nat(3), { maxLength: 24 });

test("[57] [60] serializable: committed transactions have seen and left what they do one after the other, in the order of their commits", async () => {
  await fc.assert(
    fc.asyncProperty(programs, schedule, layouts, async (all, turns, layout) => {
      const { committed, stored: left } = await run("serializable", all, turns, layout);
      const { seen, objects } = await serially(committed);
      for (const one of committed) {
        expect([one.name, one.seen]).toEqual([one.name, seen.get(one.name)]);
      }
      expect(left).toEqual(objects);
    }),
    { numRuns: 400 },
  );
});

test("[57] serializable: a transaction that wrote nothing has seen what was there between two commits", async () => {
  await fc.assert(
    fc.asyncProperty(programs, schedule, layouts, async (all, turns, layout) => {
      const { committed, readOnly } = await run("serializable", all, turns, layout);
      for (const reader of readOnly) {
        const places = await Promise.all(
          Array.from({ length: committed.length + 1 }, async (_, place) => {
            const order = [...committed.slice(0, place), reader];
            return (await serially(order)).seen.get(reader.name);
          }),
        );
        expect(places).toContain(reader.seen);
      }
    }),
    { numRuns: 200 },
  );
});

test("[57] snapshot: of two transactions that wrote the same object and overlapped one is refused: no update is lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 4 }), schedule, layouts, async (count, turns, layout) => {
      const increments = Array.from({ length: count }, () => [{ do: "call", key: "a" }] as const);
      const { committed } = await run("snapshot", increments, turns, layout);
      // Each saw another value, as each but the first had seen what the one before had left.
      expect(new Set(committed.map(({ seen }) => seen)).size).toBe(committed.length);
      expect(committed.length).toBeGreaterThan(0);
    }),
    { numRuns: 200 },
  );
});
