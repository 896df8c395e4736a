import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IsolatingPool, type IsolationChoice, type SandboxPool, TenantIsolation } from "../../../../../host/sandbox/index.ts";
import { type ProcessReserve, ThreadedPool } from "../../../../../host/sandbox/process/index.ts";
import { eventually } from "../../../../support/eventually.ts";
import { begin, type CallOptions, ignore, openPool, openReserve, run } from "../../../../support/sandbox-calls.ts";
import { asksOnce, plain } from "../../../../support/sandbox-modules.ts";

const importsUrl = new URL("../../../../support/hostile-imports.ts", import.meta.url);
/** Returns a number that its process, or thread, has drawn at its start. */
const who = plain("(call $who)", "", '(import "t" "who" (func $who (result i32)))');

/** The same, as a function that reaches memory regions. */
const REACHES = { ...who, hash: `${who.hash}-reaches` as typeof who.hash, imports: ["region.open"] };

let reserve: ProcessReserve;
let pool: SandboxPool;

async function open(choiceOf: (tenant: string) => IsolationChoice, { tenantsMax = 10, idleMs = 60_000 } = {}): Promise<void> {
  reserve = await openReserve({ importsUrl });
  pool = new IsolatingPool({
    threads: await openPool({ importsUrl }),
    isolation: new TenantIsolation(choiceOf),
    reserve,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    processes: { workers: 1, longSlicesMax: 1, sandboxesMax: 100 },
    tenantsMax,
    idleMs,
  });
}

beforeEach(() => open(() => "process"));
afterEach(async () => {
  await pool.close();
  await reserve.close();
});

async function reopen(...options: Parameters<typeof open>): Promise<void> {
  await pool.close();
  await reserve.close();
  await open(...options);
}

async function whoRuns(
  tenant: string,
  { artefact = who, ...options }: CallOptions & { artefact?: typeof who } = {},
): Promise<number> {
  const end = await run(pool, artefact, { tenant, ...options });
  expect(end.kind).toBe("returned");
  return end.kind === "returned" ? end.value : 0;
}

describe("H24: tenants", () => {
  test("that are isolated have a process each, and none has run calls of another before", async () => {
    const seen = new Set<number>();
    for (const tenant of ["acme", "umbra", "third"]) {
      const first = await whoRuns(tenant);
      expect([seen.has(first), await whoRuns(tenant)]).toEqual([false, first]);
      seen.add(first);
    }
  });

  test("get new processes after theirs have ended for want of calls", async () => {
    await reopen(() => "process", { idleMs: 100 });
    const first = await whoRuns("acme");
    await eventually("its process has ended", () => pool.load.workers === 1);
    const second = await whoRuns("umbra");
    expect(new Set([first, second, await whoRuns("acme")]).size).toBe(3);
  });

  test("share the threads while there is one with auto; from the second one on all have processes", async () => {
    await reopen(() => "auto");
    const alone = await whoRuns("acme");
    expect([await whoRuns("acme"), reserve.processes]).toEqual([alone, 0]);
    const [umbra, acme] = [await whoRuns("umbra"), await whoRuns("acme")];
    expect(new Set([alone, umbra, acme]).size).toBe(3);
  });

  test("are each isolated or not as it is said of them", async () => {
    await reopen((tenant) => (tenant === "acme" ? "process" : "threads"));
    const [acme, umbra] = [await whoRuns("acme"), await whoRuns("umbra")];
    expect([await whoRuns("third"), acme === umbra]).toEqual([umbra, false]);
  });
});

test("of more tenants than may have processes one takes the place of an idle one; while none is idle it is overloaded", async () => {
  await reopen(() => "process", { tenantsMax: 2 });
  const busy = begin(pool, asksOnce, { tenant: "acme", onOperation: ignore });
  await busy.heard(1);
  const before = await whoRuns("umbra");
  const third = begin(pool, asksOnce, { tenant: "third", onOperation: ignore });
  await third.heard(1);
  expect(await run(pool, who, { tenant: "umbra" })).toMatchObject({ kind: "killed", reason: "overloaded" });
  third.call.cancel();
  await third.end;
  await eventually("third has no call any more", () => pool.load.active === 1);
  expect(await whoRuns("umbra")).not.toBe(before);
  expect(busy.ends()).toBe(0);
  busy.call.cancel();
});

test("a tenant's process that dies touches no call of another tenant", async () => {
  const other = begin(pool, asksOnce, { tenant: "umbra", onOperation: ignore });
  await other.heard(1);
  const dies = plain("(call $end_thread) (i32.const 0)", "", '(import "t" "end_thread" (func $end_thread))');
  const beside = begin(pool, asksOnce, { tenant: "acme", onOperation: ignore });
  await beside.heard(1);
  expect(await run(pool, dies, { tenant: "acme" })).toMatchObject({ kind: "killed", reason: "workerLost" });
  expect(await beside.end).toMatchObject({ kind: "displaced" });
  expect(other.ends()).toBe(0);
  other.call.reply({ code: 3, timeMs: 0, bytes: new Uint8Array(0) });
  expect(await other.end).toMatchObject({ kind: "returned", value: 3 });
});

test("close ends the attempts of all tenants once, and every process", async () => {
  const calls = ["acme", "umbra"].map((tenant) => begin(pool, asksOnce, { tenant, onOperation: ignore }));
  await Promise.all(calls.map((call) => call.heard(1)));
  await pool.close();
  await reserve.close();
  for (const call of calls) {
    expect([await call.end, call.ends()]).toEqual([expect.objectContaining({ kind: "killed", reason: "closed" }), 1]);
  }
  await eventually("no process is left", () => reserve.processes === 0);
});

describe("H24: functions that share memory", () => {
  test("run in one process of their tenant, which alone may start threads; others of the tenant elsewhere", async () => {
    const isolating = pool as IsolatingPool;
    const plainly = await whoRuns("acme");
    expect([isolating.hasThreads("acme"), reserve.processesWithThreads]).toEqual([false, 0]);
    const arena = pool.createArena("acme", 4);
    const withRegions = await whoRuns("acme", { arena, artefact: REACHES });
    expect([withRegions === plainly, await whoRuns("acme", { arena, artefact: REACHES })]).toEqual([false, withRegions]);
    expect([isolating.hasThreads("acme"), isolating.hasThreads("umbra"), reserve.processesWithThreads]).toEqual([true, false, 1]);
    expect([pool.reaches("acme", arena), pool.reaches("umbra", arena)]).toEqual([true, false]);
  });

  test("find nothing of another tenant's memories", async () => {
    const [mine, yours] = [pool.createArena("acme", 4), pool.createArena("umbra", 4)];
    await mine.write(100, Buffer.from("acme's"));
    await yours.write(100, Buffer.from("umbra"));
    expect(Buffer.from(await mine.read(100, 6)).toString()).toBe("acme's");
    expect(Buffer.from(await yours.read(100, 6)).toString()).toBe("umbra\0");
    expect(reserve.processesWithThreads).toBe(2);
  });

  test("keep their process while a memory is kept, and not longer", async () => {
    await reopen(() => "process", { idleMs: 100 });
    const arena = pool.createArena("acme", 4);
    await arena.write(100, Buffer.from("tide"));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(Buffer.from(await arena.read(100, 4)).toString()).toBe("tide");
    pool.forget(arena);
    await eventually("its process has ended", async () => reserve.processesWithThreads === 0);
    expect(pool.reaches("acme", arena)).toBe(false);
  });

  test("make room for another tenant when they have no calls, with their memory", async () => {
    await reopen(() => "process", { tenantsMax: 1 });
    const arena = pool.createArena("acme", 4);
    expect(await whoRuns("umbra")).toBeGreaterThan(0);
    expect(pool.reaches("acme", arena)).toBe(false);
    await expect(arena.load(0)).rejects.toMatchObject({ code: "OVERLOADED" });
  });

  test("have memories in threads while their tenant is not isolated, and in a process from then on", async () => {
    await reopen(() => "auto");
    await whoRuns("acme");
    const before = pool.createArena("acme", 4);
    expect([pool.reaches("acme", before), reserve.processes]).toEqual([true, 0]);
    await whoRuns("umbra");
    expect(pool.reaches("acme", before)).toBe(false);
    expect(pool.reaches("acme", pool.createArena("acme", 4))).toBe(true);
  });
});

test("a process with threads that never starts is tried again once in a while, not ever more often", async () => {
  const broken = await openReserve({ importsUrl: new URL("file:///nowhere/imports.ts"), size: 0 });
  const starts: number[] = [];
  const takeThreaded = broken.takeThreaded.bind(broken);
  broken.takeThreaded = (waitMs) => {
    starts.push(performance.now());
    return takeThreaded(waitMs);
  };
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  const threaded = new ThreadedPool(broken, { clock, workers: 1, longSlicesMax: 1, sandboxesMax: 100 });
  await expect(threaded.ready()).rejects.toThrow("nowhere");
  await eventually("it was tried again", async () => starts.length >= 5);
  const pauses = starts.slice(1).map((startMs, at) => startMs - (starts[at] ?? 0));
  expect(Math.min(...pauses)).toBeGreaterThan(900);
  await threaded.close();
  await broken.close();
});
