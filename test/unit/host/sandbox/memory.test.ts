import { afterEach, describe, expect, it } from "vitest";
import type { Artefact } from "../../../../host/modules/artefact.ts";
import { collectGarbage } from "../../../../host/sandbox/executor/collect-garbage.ts";
import { MemoryBudget, type MemoryBudgetOptions, type SandboxEnd, type SandboxPool } from "../../../../host/sandbox/index.ts";
import { eventually } from "../../../support/eventually.ts";
import { preemptible } from "../../../support/preemptible.ts";
import { begin, type CallOptions, ignore, openPool, persist, type RunningCall, run } from "../../../support/sandbox-calls.ts";
import { asksOnce } from "../../../support/sandbox-modules.ts";
import { artefactOf } from "../../../support/wasm.ts";

const MIB = 1024 * 1024;
const PAGES_PER_MIB = 16;

/** Grows to so many MiB, writes into each page, and asks. */
const grows = (mib: number) =>
  artefactOf(`(module
    (import "t" "ask" (func $ask (param i32) (result i32)))
    (memory (export "$memory") 1 4096)
    (func (export "run") (result i32) (local $at i32)
      (loop $more
        (drop (memory.grow (i32.const 15)))
        (br_if $more (i32.lt_u (memory.size) (i32.const ${mib * PAGES_PER_MIB}))))
      (loop $next
        (i32.store8 (local.get $at) (i32.const 1))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${mib * MIB}))))
      (call $ask (i32.const ${mib}))))`);

/** Has so many MiB from its beginning on, and asks. */
const holds = (mib: number) =>
  artefactOf(`(module
    (import "t" "ask" (func $ask (param i32) (result i32)))
    (memory (export "$memory") ${mib * PAGES_PER_MIB} 4096)
    (func (export "run") (result i32) (call $ask (i32.const ${mib}))))`);

const growsAndLoops = (mib: number) =>
  preemptible(
    artefactOf(`(module
    (memory (export "$memory") 1 4096)
    (func (export "run") (result i32)
      (drop (memory.grow (i32.const ${mib * PAGES_PER_MIB - 1})))
      (loop $forever (br $forever)) (i32.const 0)))`),
  );

/** Keeps its memory small, writes so many MiB of output, and asks. */
const writes = (mib: number) =>
  artefactOf(`(module
    (import "t" "ask" (func $ask (param i32) (result i32)))
    (import "t" "output" (func $output (param i32 i32)))
    (memory (export "$memory") 1)
    (func (export "run") (result i32) (local $left i32)
      (local.set $left (i32.const ${mib * PAGES_PER_MIB}))
      (loop $more
        (call $output (i32.const 0) (i32.const 65536))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $ask (i32.const ${mib}))))`);

const pools: SandboxPool[] = [];

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

async function open(memory: Partial<MemoryBudgetOptions>): Promise<{ pool: SandboxPool; budget: MemoryBudget }> {
  const budget = new MemoryBudget({ maxBytes: 64 * MIB, keepAliveMs: 600_000, isShort: () => false, ...memory });
  const pool = await openPool({ memory: budget });
  pools.push(pool);
  return { pool, budget };
}

const isOver = (call: RunningCall) => call.ends() > 0;

/** A call that nobody answers, begun again as often as it is displaced. `end`: how it ended otherwise. */
function owned(pool: SandboxPool, artefact: Artefact, options: CallOptions = {}): { call: RunningCall; end: SandboxEnd | null } {
  const again = () => begin(pool, artefact, { onOperation: ignore, ...options });
  const owned = { call: again(), end: null as SandboxEnd | null };
  const heard = (end: SandboxEnd): void => {
    if (end.kind === "displaced") {
      owned.call = again();
      void owned.call.end.then(heard);
    } else {
      owned.end = end;
    }
  };
  void owned.call.end.then(heard);
  return owned;
}

describe("sandboxes that take memory", () => {
  it("many that grow stay together below the limit: those beyond it end, and calls of others go on", async () => {
    const { pool, budget } = await open({});
    const bomb = grows(8);
    const bombs = Array.from({ length: 30 }, () => owned(pool, bomb));
    for (let i = 0; i < 5; i += 1) {
      expect(await persist(pool, asksOnce, { tenant: "other" })).toMatchObject({ kind: "returned", value: 42 });
    }
    await eventually("each has ended, or waits", () =>
      bombs.every(({ call, end }) => end !== null || call.operations.length > 0),
    );
    expect(budget.usedBytes).toBeLessThanOrEqual(64 * MIB);
    const left = bombs.filter(({ end }) => end === null);
    expect(left.length).toBeLessThanOrEqual(8);
    expect(left.length).toBeGreaterThan(0);
    for (const { end } of bombs) {
      expect(end ?? { kind: "killed", reason: "overloaded" }).toMatchObject({ kind: "killed", reason: "overloaded" });
    }
    for (const { call } of left) {
      call.call.cancel();
    }
    await expect.poll(() => budget.usedBytes).toBe(0);
  });

  it("so do those for which the host holds much: an output that is not told yet", async () => {
    const { pool, budget } = await open({ maxBytes: 8 * MIB });
    const limits = { outputMaxBytes: 2 * MIB };
    const floods = Array.from({ length: 12 }, () => owned(pool, writes(1), { limits }));
    await eventually("each has ended, or waits", () =>
      floods.every(({ call, end }) => end !== null || call.operations.length > 0),
    );
    await eventually("the others have left their sandboxes", () => budget.usedBytes <= 8 * MIB);
    const left = floods.filter(({ end }) => end === null);
    expect(left.length).toBeGreaterThan(0);
    expect(budget.usedBytes).toBeGreaterThanOrEqual(left.length * MIB);
    expect(floods.find(({ end }) => end !== null)?.end).toMatchObject({ kind: "killed", reason: "overloaded" });
    for (const { call } of left) {
      call.call.reply({ code: 1, timeMs: 0, bytes: new Uint8Array(4) });
      expect(await call.end).toMatchObject({ kind: "returned", output: { byteLength: MIB } });
    }
    await expect.poll(() => budget.usedBytes).toBe(0);
  });

  it("a long output counts until its owner has used it", async () => {
    const { pool, budget } = await open({ maxBytes: 8 * MIB });
    const used = Promise.withResolvers<void>();
    const end = await persist(pool, writes(3), { limits: { outputMaxBytes: 4 * MIB }, outputUsed: used.promise });
    expect(end).toMatchObject({ kind: "returned", output: { byteLength: 3 * MIB } });
    expect(budget.usedBytes).toBe(3 * MIB);
    expect(await persist(pool, writes(3), { limits: { outputMaxBytes: 4 * MIB } })).toMatchObject({ kind: "returned" });
    const limits = { outputMaxBytes: 6 * MIB };
    expect(await persist(pool, writes(6), { limits })).toMatchObject({ kind: "killed", reason: "overloaded" });
    const waits = begin(pool, holds(6), { onOperation: ignore });
    await expect.poll(() => budget.waiting).toBe(1);
    used.resolve();
    await waits.heard(1);
    expect(budget.usedBytes).toBe(6 * MIB);
    waits.call.cancel();
    await expect.poll(() => budget.usedBytes).toBe(0);
  });

  it("one that alone becomes too large is told so, as no other time would be better: its memory, or its output", async () => {
    const { pool } = await open({ maxBytes: 4 * MIB });
    const text = expect.stringMatching(/^the call has grown to \d+ bytes, all sandboxes together may have 4194304$/);
    expect(await persist(pool, grows(8))).toMatchObject({ kind: "killed", reason: "tooLarge", message: text });
    const limits = { outputMaxBytes: 6 * MIB };
    expect(await persist(pool, writes(6), { limits })).toMatchObject({ kind: "killed", reason: "tooLarge" });
  });

  it("one that its callers have left no room for returns all the same, with a long output too", async () => {
    const { pool } = await open({ maxBytes: 8 * MIB });
    const caller = begin(pool, holds(8), { onOperation: ignore });
    await caller.heard(1);
    const limits = { outputMaxBytes: 2 * MIB };
    expect(await persist(pool, writes(1), { depth: 1, limits })).toMatchObject({ kind: "returned", output: { byteLength: MIB } });
    caller.call.cancel();
    await caller.end;
  });

  it("so do preemptible ones that grow and then compute, and ask the host for nothing", async () => {
    const { pool, budget } = await open({});
    let ended = 0;
    for (let i = 0; i < 20; i += 1) {
      void persist(pool, growsAndLoops(8)).then((end) => {
        ended += end.kind === "killed" && end.reason === "overloaded" ? 1 : 0;
      });
    }
    await eventually("no more are left than there is room for", () => ended >= 12);
    await eventually("the others have left their sandboxes", () => budget.usedBytes <= 64 * MIB);
    expect(budget.usedBytes).toBeGreaterThan(8 * MIB);
  });

  it("those that begin with much wait until there is room, and one that alone is too large is refused", async () => {
    const { pool, budget } = await open({ maxBytes: 16 * MIB });
    const holding = holds(7);
    const calls = Array.from({ length: 6 }, () => begin(pool, holding, { onOperation: ignore }));
    await Promise.all(calls.slice(0, 2).map((call) => call.heard(1)));
    expect([budget.usedBytes / MIB, budget.waiting, pool.load.queued]).toEqual([14, 4, 4]);
    expect(await run(pool, holds(17))).toMatchObject({ kind: "killed", reason: "tooLarge" });
    for (const call of calls) {
      await call.heard(1);
      call.call.reply({ code: 1, timeMs: 0, bytes: new Uint8Array(4) });
      expect((await call.end).kind).toBe("returned");
      expect(budget.usedBytes).toBeLessThanOrEqual(16 * MIB);
    }
  });

  it("a long input counts from the beginning on, and is read when there is room for it", async () => {
    const { pool, budget } = await open({ maxBytes: 16 * MIB });
    let reads = 0;
    const input = {
      byteLength: 5 * MIB,
      read: async () => {
        reads += 1;
        return new Uint8Array(new SharedArrayBuffer(5 * MIB));
      },
    };
    const calls = Array.from({ length: 6 }, () => begin(pool, holds(1), { onOperation: ignore, input }));
    await Promise.all(calls.slice(0, 2).map((call) => call.heard(1)));
    expect([budget.usedBytes / MIB, budget.waiting, pool.load.queued, reads]).toEqual([12, 4, 4, 2]);
    for (const call of calls) {
      await call.heard(1);
      call.call.reply({ code: 1, timeMs: 0, bytes: new Uint8Array(4) });
      expect((await call.end).kind).toBe("returned");
    }
    expect(reads).toBe(6);
    expect(await run(pool, holds(12), { input })).toMatchObject({ kind: "killed", reason: "tooLarge" });
    const unreadable = { byteLength: MIB, read: () => Promise.reject(new Error("the blob is gone")) };
    expect(await run(pool, holds(1), { input: unreadable })).toMatchObject({ kind: "killed", reason: "workerLost" });
    await expect.poll(() => budget.usedBytes).toBe(0);
  });

  it("one tenant's that hold everything make room for another's", async () => {
    const { pool } = await open({ maxBytes: 16 * MIB });
    const holding = holds(2);
    const calls = Array.from({ length: 8 }, () => begin(pool, holding, { onOperation: ignore }));
    await Promise.all(calls.map((call) => call.heard(1)));
    expect(await run(pool, holds(4), { tenant: "other" })).toMatchObject({ kind: "returned" });
    expect(calls.filter(isOver)).toHaveLength(2);
  });

  it("the memory of those that have ended is given back: twenty-four times as much does not show", {
    timeout: 120_000,
  }, async () => {
    const { pool } = await open({ maxBytes: 256 * MIB });
    const bomb = grows(32);
    await run(pool, bomb);
    const beforeBytes = process.memoryUsage.rss();
    for (let i = 0; i < 24; i += 1) {
      expect((await run(pool, bomb)).kind).toBe("returned");
    }
    // Of 768 MiB that were written to.
    expect(process.memoryUsage.rss() - beforeBytes).toBeLessThan(400 * MIB);
  });
});

describe("sandboxes that lie ready", () => {
  /** Leaves so many sandboxes of a module, each of which has touched 1 MiB. */
  async function leave(pool: SandboxPool, count: number): Promise<void> {
    const touches = artefactOf(`(module
      (import "t" "ask" (func $ask (param i32) (result i32)))
      (memory (export "$memory") 17)
      (func (export "run") (result i32)
        (drop (call $ask (i32.const 1)))
        (memory.fill (i32.const 4096) (i32.const 1) (i32.const ${MIB}))
        (i32.const 0)))`);
    const calls = Array.from({ length: count }, () => begin(pool, touches, { onOperation: ignore }));
    await Promise.all(calls.map((call) => call.heard(1)));
    for (const { call, end } of calls) {
      call.reply({ code: 0, timeMs: 0, bytes: new Uint8Array(4) });
      await end;
    }
    await expect.poll(() => pool.load.idle).toBe(count);
  }

  it("go when attempts need their room", async () => {
    const { pool } = await open({ maxBytes: 20 * MIB });
    await leave(pool, 10);
    await expect.poll(() => (pool as unknown as { idleBytes: number }).idleBytes).toBeGreaterThan(9 * MIB);
    const call = begin(pool, holds(18), { onOperation: ignore });
    await call.heard(1);
    await expect.poll(() => pool.load.idle, { timeout: 10_000 }).toBeLessThan(4);
    call.call.cancel();
  });

  it("go when they have not been used for their time, and when the machine is short of memory", async () => {
    let isShort = false;
    const { pool } = await open({ isShort: () => isShort });
    await leave(pool, 3);
    isShort = true;
    await expect.poll(() => pool.load.idle, { timeout: 10_000 }).toBe(0);
    const other = await open({ keepAliveMs: 50 });
    await leave(other.pool, 3);
    await expect.poll(() => other.pool.load.idle, { timeout: 10_000 }).toBe(0);
  });
});

describe("a queue of calls", () => {
  const waits = { onOperation: ignore };

  /** One call waits, has its turn and ends; another one waits no more. Resolves to their inputs, while a third one runs and a fourth waits. */
  async function comeAndGo(pool: SandboxPool): Promise<WeakRef<Uint8Array>[]> {
    const before = begin(pool, asksOnce, waits);
    await before.heard(1);
    const inputs = [new Uint8Array(1000), new Uint8Array(1000)] as const;
    const ended = begin(pool, asksOnce, { ...waits, input: inputs[0] });
    const withdrawn = begin(pool, asksOnce, { ...waits, input: inputs[1] });
    const after = begin(pool, asksOnce, waits);
    begin(pool, asksOnce, waits);
    withdrawn.call.cancel();
    before.call.cancel();
    await ended.heard(1);
    ended.call.cancel();
    await Promise.all([ended.gone, withdrawn.gone, after.heard(1)]);
    return inputs.map((input) => new WeakRef(input));
  }

  it("holds nothing of those that have had their turn, or wait no more, while others wait", async () => {
    const pool = await openPool({ sandboxesMax: 4 });
    pools.push(pool);
    const inputs = await comeAndGo(pool);
    await eventually("they are collected", () => {
      collectGarbage();
      return inputs.every((input) => input.deref() === undefined);
    });
    expect(pool.load.queued).toBe(1);
  });
});
