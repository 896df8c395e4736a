import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SandboxEnd, SandboxPool } from "../../../../host/sandbox/index.ts";
import { eventually } from "../../../support/eventually.ts";
import { begin, ignore, openPool, run } from "../../../support/sandbox-calls.ts";
import { asksOnce } from "../../../support/sandbox-modules.ts";
import { threaded } from "../../../support/threaded-modules.ts";

const FOUR = { threads: { callMax: 4, tenantMax: 16 } };
const returned = (value: number) => expect.objectContaining({ kind: "returned", value });
const text = (end: SandboxEnd) => (end.kind === "returned" ? Buffer.from(end.output).toString() : `${end.kind}`);
/** At 0: threads that have ended. */
const joinsThree = "(call $wait_until (i32.const 0) (i32.const 3))";
const spawnsThree = `(drop (call $spawn (i32.const 1))) (drop (call $spawn (i32.const 2))) (drop (call $spawn (i32.const 3)))`;
const ends = "(call $signal (i32.const 0) (i32.const 1))";
const forever = "(loop $forever (br $forever))";
const waitsForever = "(call $wait (i32.const 128) (i32.const 0))";

let pool: SandboxPool;
beforeAll(async () => {
  pool = await openPool();
});
afterAll(() => pool.close());

describe("threads of a call", () => {
  test("are no room for calls without threads, and no work that keeps these waiting", async () => {
    // The first call of this pool: nothing of a call with threads lies ready before.
    const { workers } = pool.load;
    const endless = threaded(`${forever} (i32.const 0)`, "");
    const call = begin(pool, endless, FOUR);
    await eventually("it runs", () => pool.load.active === 1);
    expect(pool.load).toMatchObject({ workers, computing: 0 });
    call.call.cancel();
    await call.end;
    expect(pool.load).toMatchObject({ workers, computing: 0 });
  });

  test("compute over one memory, and the main thread blocks until they have", async () => {
    const sums = threaded(
      `${spawnsThree} ${joinsThree} (i32.atomic.load (i32.const 4))`,
      `(drop (i32.atomic.rmw.add (i32.const 4) (i32.mul (local.get $argument) (local.get $argument)))) ${ends}`,
    );
    for (let call = 0; call < 5; call++) {
      expect(await run(pool, sums, FOUR)).toEqual(returned(1 + 4 + 9));
    }
  });

  test("have their own globals, which begin as the snapshot's, and numbers from 1 on", async () => {
    const counts = threaded(
      `(global.set $counter (i32.const 50)) ${spawnsThree} ${joinsThree} (i32.atomic.load (i32.const 4))`,
      `(global.set $counter (i32.add (global.get $counter) (local.get $thread)))
       (drop (i32.atomic.rmw.add (i32.const 4) (global.get $counter))) ${ends}`,
    );
    expect(await run(pool, counts, FOUR)).toEqual(returned(3 * 7 + 1 + 2 + 3));
  });

  test("H9: a call finds nothing of the one before in its memory, threads or grown pages", async () => {
    const stains = threaded(
      `(local $found i32)
       (local.set $found (i32.add (i32.load (i32.const 100000)) (i32.mul (memory.size) (i32.const 1000))))
       ${spawnsThree} ${joinsThree}
       (if (call $input (i32.const 8)) (then (drop (memory.grow (i32.const 1)))))
       (i32.add (local.get $found) (i32.load8_u (i32.const 64)))`,
      `(i32.store (i32.const 100000) (i32.const 77)) ${ends}`,
    );
    for (const input of ["", "", "grows", "", "grows", ""]) {
      expect(await run(pool, stains, { ...FOUR, input: Buffer.from(input) })).toEqual(returned(2110));
    }
  });

  test("see memory that another one has grown, and so do imports", async () => {
    const grows = threaded(
      `(drop (call $spawn (i32.const 0))) (call $wait_until (i32.const 0) (i32.const 1))
       (call $output (i32.const 196608) (i32.const 4)) (memory.size)`,
      `(drop (memory.grow (i32.const 2))) (i32.store (i32.const 196608) (i32.const 0x70616e21)) ${ends}`,
    );
    const end = await run(pool, grows, FOUR);
    expect(end).toEqual(returned(4));
    expect(text(end)).toBe("!nap");
  });

  test("give output and print, up to the call's limits for all of them", async () => {
    const writes = threaded(
      `${spawnsThree} ${joinsThree} (i32.const 0)`,
      `(call $output (i32.const 64) (i32.const 4)) (call $log (i32.const 64) (i32.const 4)) ${ends}`,
    );
    const call = begin(pool, writes, { ...FOUR, limits: { logMaxBytes: 9 } });
    expect(text(await call.end)).toBe("neapneapneap");
    expect(call.logs.join("").replace(/LOG_LIMIT: .* is left out/, "")).toHaveLength(9);
    expect(await run(pool, writes, { ...FOUR, limits: { outputMaxBytes: 10 } })).toMatchObject({
      kind: "killed",
      reason: "outputTooLarge",
    });
  });

  test("are as many as the call may have, and one more can be started when one has ended", async () => {
    const bomb = threaded(
      `(local $made i32)
       (block $full (loop $more
         (br_if $full (i32.lt_s (call $spawn (i32.const 0)) (i32.const 0)))
         (local.set $made (i32.add (local.get $made) (i32.const 1)))
         (br $more)))
       (local.get $made)`,
      waitsForever,
    );
    expect(await run(pool, bomb, FOUR)).toEqual(returned(3));
    expect(await run(pool, bomb, { threads: { callMax: 1, tenantMax: 16 } })).toEqual(returned(0));
    expect(await run(pool, bomb, { threads: { callMax: 9, tenantMax: 3 } })).toEqual(returned(2));
    expect(await run(pool, bomb)).toEqual(returned(0));
    const again = threaded(
      `(local $left i32) (local.set $left (i32.const 20))
       (loop $again
         (br_if $again (i32.lt_s (call $spawn (i32.const 0)) (i32.const 0)))
         (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
       (call $wait_until (i32.const 0) (i32.const 20)) (i32.const 20)`,
      ends,
    );
    expect(await run(pool, again, { threads: { callMax: 2, tenantMax: 16 } })).toEqual(returned(20));
  });

  test("can start threads themselves", async () => {
    const chain = threaded(
      `(drop (call $spawn (i32.const 3))) ${joinsThree} (i32.const 5)`,
      `(if (i32.gt_u (local.get $argument) (i32.const 1)) (then (drop (call $spawn (i32.sub (local.get $argument) (i32.const 1)))))) ${ends}`,
    );
    expect(await run(pool, chain, FOUR)).toEqual(returned(5));
  });
});

describe("a call ends with all its threads", () => {
  const isQuiet = () => expect(pool.load).toMatchObject({ active: 0, queued: 0 });

  test("when its main thread returns while others run or wait, and later calls are not touched by them", async () => {
    const leaves = threaded(
      `(local $found i32) (local.set $found (i32.load (i32.const 100000)))
       (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 1))) (call $wait_until (i32.const 0) (i32.const 2))
       (local.get $found)`,
      `${ends} (if (local.get $argument) (then ${waitsForever}))
       (loop $forever (i32.store (i32.const 100000) (i32.const 66)) (br $forever))`,
    );
    for (let call = 0; call < 3; call++) {
      expect(await run(pool, leaves, FOUR)).toEqual(returned(0));
    }
  });

  test.each([
    [
      "traps",
      "(if (i32.eq (local.get $argument) (i32.const 2)) (then unreachable))",
      { kind: "trapped", message: "in a thread: unreachable" },
    ],
    [
      "exits",
      "(if (i32.eq (local.get $argument) (i32.const 2)) (then (call $exit (i32.const 9))))",
      { kind: "returned", value: 9 },
    ],
    ["overflows its stack", "(call $deeper)", { kind: "killed", reason: "stackOverflow" }],
    [
      "asks the host, which only the main thread may",
      "(drop (call $ask (i32.const 1)))",
      { kind: "trapped", message: expect.stringContaining("t.ask: only the main thread of a call may use it") },
    ],
  ])("when one of them %s", async (_what, body, end) => {
    const module = threaded(
      `${spawnsThree} ${waitsForever} (i32.const 0)`,
      `${body} ${waitsForever}`,
      "(func $deeper (call $deeper))",
    );
    expect(await run(pool, module, FOUR)).toMatchObject(end);
    isQuiet();
  });

  test("F31: what its main thread has posted before one of them exits is heard before its end", async () => {
    const posts = threaded(
      `(drop (call $spawn (i32.const 0)))
       (call $post (i32.const 64) (i32.const 4)) (call $post (i32.const 64) (i32.const 3))
       (call $signal (i32.const 8) (i32.const 1)) ${waitsForever} (i32.const 0)`,
      "(call $wait_until (i32.const 8) (i32.const 1)) (call $exit (i32.const 4))",
    );
    const call = begin(pool, posts, FOUR);
    expect(await call.end).toEqual(returned(4));
    expect(call.operations.map(({ args }) => Buffer.from(args).toString())).toEqual(["neap", "nea"]);
  });

  test.each([
    ["loop", forever],
    ["wait for each other", waitsForever],
  ])("at its time limit, when they %s", async (_what, body) => {
    const stuck = threaded(`${spawnsThree} ${body} (i32.const 0)`, body);
    const beganMs = performance.now();
    const call = begin(pool, stuck, { ...FOUR, limits: { wallTimeMs: 300 } });
    expect(await call.end).toMatchObject({ kind: "killed", reason: "wallTime" });
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(295);
    expect(call.ends()).toBe(1);
  });

  test("at its CPU limit, which counts all of them", async () => {
    const loops = threaded(`${spawnsThree} ${waitsForever} (i32.const 0)`, forever);
    const end = await run(pool, loops, { ...FOUR, limits: { cpuTimeMs: 200 } });
    expect(end).toMatchObject({ kind: "killed", reason: "cpuTime" });
    expect(end.kind === "killed" && end.cpuMs).toBeGreaterThan(200);
  });

  test("when it is cancelled", async () => {
    const loops = threaded(`${spawnsThree} (drop (call $ask (i32.const 1))) (i32.const 0)`, forever);
    const call = begin(pool, loops, { ...FOUR, onOperation: ignore });
    await call.heard(1);
    call.call.cancel();
    expect(await call.end).toMatchObject({ kind: "killed", reason: "cancelled" });
    isQuiet();
    await call.gone;
  });
});

test("CPU time of a call is that of all its threads, also when its main thread only waits", async () => {
  // At one turn in a nanosecond it takes a tenth of a second, whatever else the machine does.
  const computes = `(local $left i32) (local.set $left (i32.const 100000000))
    (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))`;
  const end = await run(
    pool,
    threaded(
      `(drop (call $spawn (i32.const 0))) (call $wait_until (i32.const 0) (i32.const 1)) (call $ask (i32.const 41))`,
      `(call $compute) ${ends}`,
      `(func $compute ${computes})`,
    ),
    {
      ...FOUR,
      // The thread, which has said that it has done its work, comes to its end meanwhile: one that is ended in the middle is not asked.
      onOperation: (call) => setTimeout(() => call.reply({ code: 0, timeMs: 0, bytes: new Uint8Array(0) }), 100),
    },
  );
  expect(end.kind === "returned" ? end.cpuMs : 0).toBeGreaterThan(15);
});

test("the main thread asks the host while others run", async () => {
  const asks = threaded(`${spawnsThree} (call $ask (i32.const 41))`, forever);
  expect(await run(pool, asks, FOUR)).toEqual(returned(42));
});

test("asked to stop in the middle, a call with threads goes on", async () => {
  const asks = threaded(`${spawnsThree} (call $ask (i32.const 41))`, forever);
  const call = begin(pool, asks, { ...FOUR, onOperation: ignore });
  await call.heard(1);
  call.call.freeze();
  call.call.reply({ code: 5, timeMs: 0, bytes: new Uint8Array(0) });
  expect(await call.end).toEqual(returned(5));
});

test("a tenant's calls with threads wait for each other, one that they wait for does not, and other tenants' begin", async () => {
  const waits = threaded("(call $ask (i32.const 1))", "");
  const begins = (options: Parameters<typeof begin>[2]) =>
    begin(pool, waits, { threads: { callMax: 4, tenantMax: 8 }, onOperation: ignore, ...options });
  const [first, second, third] = [begins({}), begins({}), begins({})];
  const nested = begins({ depth: 1 });
  const other = begins({ tenant: "other" });
  await Promise.all([first.heard(1), second.heard(1), nested.heard(1), other.heard(1)]);
  expect(pool.load.queued).toBe(1);
  const answer = { code: 3, timeMs: 0, bytes: new Uint8Array(0) };
  nested.call.reply(answer);
  await nested.end;
  expect([third.operations.length, pool.load.queued]).toEqual([0, 1]);
  first.call.reply(answer);
  await third.heard(1);
  for (const { call, end } of [second, third, other]) {
    call.reply(answer);
    expect(await end).toEqual(returned(3));
  }
});

test("calls with threads count as one sandbox each of what their function may have: those beyond wait, those of another do not", async () => {
  const waits = threaded("(call $ask (i32.const 1))", "");
  const begins = (name: string) =>
    begin(pool, waits, {
      threads: { callMax: 4, tenantMax: 16 },
      ofFunction: { name, sandboxesMax: 1 },
      onOperation: ignore,
    });
  const [first, second, other] = [begins("one"), begins("one"), begins("another")];
  await Promise.all([first.heard(1), other.heard(1)]);
  expect([second.operations.length, pool.load.queued]).toEqual([0, 1]);
  const answer = { code: 3, timeMs: 0, bytes: new Uint8Array(0) };
  first.call.reply(answer);
  await second.heard(1);
  for (const { call, end } of [second, other]) {
    call.reply(answer);
    expect(await end).toEqual(returned(3));
  }
});

test("H8: calls of others go on while threads loop and wait", async () => {
  const loops = threaded(`${spawnsThree} ${forever} (i32.const 0)`, forever);
  const hog = begin(pool, loops, FOUR);
  for (let call = 0; call < 20; call++) {
    expect(await run(pool, asksOnce, { tenant: "other" })).toEqual(returned(42));
  }
  expect(hog.ends()).toBe(0);
  hog.call.cancel();
  await hog.end;
});

test("a pool that closes ends calls with threads, those that wait included", async () => {
  const own = await openPool();
  const loops = threaded(`${spawnsThree} ${forever} (i32.const 0)`, forever);
  const calls = [begin(own, loops, FOUR), begin(own, loops, { threads: { callMax: 16, tenantMax: 16 } })];
  await own.close();
  for (const { end } of calls) {
    expect(await end).toMatchObject({ kind: "killed", reason: "closed" });
  }
});
