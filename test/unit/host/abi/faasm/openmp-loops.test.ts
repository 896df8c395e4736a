/** Loops whose turns the threads of a region share, on the real upload, workers and imports. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importsUrl } from "../../../../../host/abi/index.ts";
import type { SandboxPool } from "../../../../../host/sandbox/index.ts";
import {
  endOf,
  expectPointersRefused,
  here,
  OPENMP,
  openmp,
  returnedBy,
  THREADS,
  times,
} from "../../../../support/openmp-module.ts";
import { openPool } from "../../../../support/sandbox-calls.ts";

const ALL = OPENMP.filter(([name]) => /_for_|_dispatch_/.test(name));
/** Each is tested here, where it is called without `__kmpc_`. */
const NAMES = [
  "__kmpc_for_static_init_4",
  "__kmpc_for_static_init_4u",
  "__kmpc_for_static_init_8",
  "__kmpc_for_static_init_8u",
  "__kmpc_for_static_fini",
  "__kmpc_dispatch_init_4",
  "__kmpc_dispatch_init_4u",
  "__kmpc_dispatch_init_8",
  "__kmpc_dispatch_init_8u",
  "__kmpc_dispatch_next_4",
  "__kmpc_dispatch_next_4u",
  "__kmpc_dispatch_next_8",
  "__kmpc_dispatch_next_8u",
  "__kmpc_dispatch_deinit",
];

let pool: SandboxPool;
beforeAll(async () => {
  pool = await openPool({ importsUrl });
});
afterAll(() => pool.close());

const value = (module: ReturnType<typeof openmp>) => returnedBy(pool, module);

interface Loop {
  readonly type: "4" | "4u" | "8" | "8u";
  readonly threads: number;
  readonly from: bigint;
  readonly to: bigint;
  readonly step: bigint;
}

const TURNS_AT = 4096;
const TURNS_MAX = 256;

/** Runs a loop whose turns the threads share. @returns how often each turn was done, and how many threads were told that the last one is theirs */
async function turnsDone({ type, threads, from, to, step }: Loop, share: (t: string) => string) {
  const t = type.startsWith("8") ? "i64" : "i32";
  const u = type.endsWith("u") ? "u" : "s";
  const index = t === "i64" ? "(i32.wrap_i64 (local.get $turn))" : "(local.get $turn)";
  const isBehind = (one: string, other: string) => `(${t}.${step > 0n ? "gt" : "lt"}_${u} ${one} ${other})`;
  const module = openmp(
    `(call $fork (i32.const ${threads}) (i32.const 1))
     (call $output (i32.const ${TURNS_AT}) (i32.const ${4 * TURNS_MAX})) (i32.load (i32.const 508))`,
    // A thread's own numbers lie on its stack, where nobody else's are: last, lower, upper, stride.
    [
      `(global.set $stack (i32.sub (global.get $stack) (i32.const 64))) (local.set $n (global.get $stack))
       (${t}.store offset=8 (local.get $n) (${t}.const ${from})) (${t}.store offset=16 (local.get $n) (${t}.const ${to}))
       ${share(t)}
       (call $add (i32.const 508) (i32.load (local.get $n)))
       (global.set $stack (i32.add (global.get $stack) (i32.const 64)))`,
    ],
    {
      more: `(func $turns (param $turn ${t}) (param $last ${t})
          (if ${isBehind("(local.get $last)", `(${t}.const ${to})`)} (then (local.set $last (${t}.const ${to}))))
          (if ${isBehind("(local.get $turn)", "(local.get $last)")} (then return))
          (loop $next
            (call $add (i32.add (i32.const ${TURNS_AT}) (i32.shl (i32.sub ${index} (i32.const ${BigInt.asIntN(32, from < to ? from : to)})) (i32.const 2))) (i32.const 1))
            (if (${t}.eq (local.get $turn) (local.get $last)) (then return))
            (local.set $turn (${t}.add (local.get $turn) (${t}.const ${step})))
            (br $next)))`,
    },
  );
  const end = await endOf(pool, module);
  if (end.kind !== "returned") {
    throw new Error(JSON.stringify(end));
  }
  return { lasts: end.value, done: Array.from(new Int32Array(Uint8Array.from(end.output).buffer)) };
}

function turnsOnce({ from, to, step }: Loop): number[] {
  const once = new Array<number>(TURNS_MAX).fill(0);
  for (let turn = from; step > 0n ? turn <= to : turn >= to; turn += step) {
    once[Number(turn - (from < to ? from : to))] = 1;
  }
  return once;
}

/** What `$turns` is called with: the numbers that an import has put there. */
const part = (t: string) => `(${t}.load offset=8 (local.get $n)) (${t}.load offset=16 (local.get $n))`;
const pointers =
  "(local.get $n) (i32.add (local.get $n) (i32.const 8)) (i32.add (local.get $n) (i32.const 16)) (i32.add (local.get $n) (i32.const 24))";

const RANGES: readonly Omit<Loop, "threads">[] = [
  { type: "4", from: -5n, to: 94n, step: 1n },
  { type: "4", from: 90n, to: -9n, step: -3n },
  { type: "4", from: 3n, to: 2n, step: 1n },
  { type: "4", from: 2_147_483_640n, to: 2_147_483_647n, step: 1n },
  { type: "4u", from: 4_294_967_200n, to: 4_294_967_295n, step: 5n },
  { type: "8", from: -(2n ** 63n), to: -(2n ** 63n) + 100n, step: 7n },
  { type: "8", from: 1n, to: 2n, step: 1n },
  { type: "8u", from: 2n ** 64n - 101n, to: 2n ** 64n - 2n, step: 2n },
];
const LOOPS = RANGES.flatMap((range) => THREADS.map((threads) => ({ ...range, threads })));
const named = (loop: Loop) =>
  [`${loop.type}, ${loop.from} to ${loop.to} by ${loop.step}, ${loop.threads} threads`, loop] as const;

describe("each turn of a loop is done once, and one thread is told that the last one is its", () => {
  test.each(LOOPS.map(named))("static: %s", async (_name, loop) => {
    const { lasts, done } = await turnsDone(
      loop,
      (t) =>
        `(call $for_static_init_${loop.type} ${here} (i32.const 34) ${pointers} (${t}.const ${loop.step}) (${t}.const 0))
         (call $turns ${part(t)}) (call $for_static_fini ${here})`,
    );
    expect(done).toEqual(turnsOnce(loop));
    expect(lasts).toBe(done.includes(1) ? 1 : 0);
  });

  test.each(LOOPS.filter(({ to }) => to < 2_000_000_000n).map(named))("static in chunks of 3: %s", async (_name, loop) => {
    const { lasts, done } = await turnsDone(
      loop,
      (t) =>
        `(call $for_static_init_${loop.type} ${here} (i32.const ${33 | (1 << 29)}) ${pointers} (${t}.const ${loop.step}) (${t}.const 3))
         (local.set $i (i32.const 40))
         (loop $more
           (call $turns ${part(t)})
           (${t}.store offset=8 (local.get $n) (${t}.add (${t}.load offset=8 (local.get $n)) (${t}.load offset=24 (local.get $n))))
           (${t}.store offset=16 (local.get $n) (${t}.add (${t}.load offset=16 (local.get $n)) (${t}.load offset=24 (local.get $n))))
           (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))`,
    );
    expect(done).toEqual(turnsOnce(loop));
    expect(lasts).toBe(done.includes(1) ? 1 : 0);
  });

  const cut = (loop: Loop, schedule: number) => (t: string) =>
    `(call $dispatch_init_${loop.type} ${here} (i32.const ${schedule}) ${part(t)} (${t}.const ${loop.step}) (${t}.const 2))
     (loop $more
       (if (call $dispatch_next_${loop.type} ${here} ${pointers})
         (then (local.set $i (i32.add (local.get $i) (i32.load (local.get $n)))) (call $turns ${part(t)}) (br $more))))
     (call $dispatch_deinit ${here})
     (i32.store (local.get $n) (local.get $i))`;

  describe.each([
    ["dynamic", 35],
    ["guided", 36 | (1 << 30)],
    ["auto", 38],
  ])("%s", (_schedule, schedule) => {
    test.each(LOOPS.filter(({ threads }) => threads !== 2).map(named))("%s", async (_name, loop) => {
      const { lasts, done } = await turnsDone(loop, cut(loop, schedule));
      expect(done).toEqual(turnsOnce(loop));
      expect(lasts).toBe(done.includes(1) ? 1 : 0);
    });
  });

  test("runtime", async () => {
    const loop = { type: "4", threads: 4, from: 0n, to: 9n, step: 1n } as const;
    expect((await turnsDone(loop, cut(loop, 37))).done).toEqual(turnsOnce(loop));
  });

  test("many loops, one after the other without a barrier, and inside of each other", async () => {
    const next =
      "(call $dispatch_next_4 (i32.const 0) (i32.const 0) (i32.const 0) (global.get $stack) (i32.add (global.get $stack) (i32.const 8)) (i32.add (global.get $stack) (i32.const 16)))";
    const init =
      "(call $dispatch_init_4 (i32.const 0) (i32.const 0) (i32.const 35) (i32.const 1) (i32.const 10) (i32.const 1) (i32.const 1))";
    const module = openmp("(call $fork (i32.const 4) (i32.const 1)) (i32.load (i32.const 500))", [
      `(global.set $stack (i32.sub (global.get $stack) (i32.const 32)))
       ${times(40, `${init} (loop $more (if ${next} (then (call $fork (i32.const 4) (i32.const 2)) (br $more))))`)}`,
      `(global.set $stack (i32.sub (global.get $stack) (i32.const 32)))
       ${init} (loop $more (if ${next} (then (call $add (i32.const 500) (i32.const 1)) (br $more))))
       (global.set $stack (i32.add (global.get $stack) (i32.const 32)))`,
    ]);
    expect(await value(module)).toBe(40 * 10 * 10);
  });

  test("schedules and steps that there are not end the call", async () => {
    const init = (schedule: number, step: number) =>
      openmp(
        `(call $for_static_init_4 ${here} (i32.const ${schedule}) (i32.const 512) (i32.const 520) (i32.const 528) (i32.const 536) (i32.const ${step}) (i32.const 1)) (i32.const 0)`,
      );
    expect(await value(init(35, 1))).toMatchObject({ message: "__kmpc_for_static_init_4: schedule 35 is not offered" });
    expect(await value(init(34, 0))).toMatchObject({ message: "__kmpc_for_static_init_4: the step of a loop is 0" });
    const cutInit = (schedule: number, step: number) =>
      openmp(
        `(call $dispatch_init_8 ${here} (i32.const ${schedule}) (i64.const 0) (i64.const 9) (i64.const ${step}) (i64.const 1)) (i32.const 0)`,
      );
    expect(await value(cutInit(66, 1))).toMatchObject({ message: "__kmpc_dispatch_init_8: schedule 66 is not offered" });
    expect(await value(cutInit(35, 0))).toMatchObject({ message: "__kmpc_dispatch_init_8: the step of a loop is 0" });
    expect(
      await value(openmp(`(call $dispatch_next_4 ${here} (i32.const 0) (i32.const 512) (i32.const 520) (i32.const 528))`)),
    ).toBe(0);
  });
});

describe("hostile arguments end the call with their name", () => {
  const attempts = ALL.filter(([name]) => /static_init|next/.test(name));
  const isSchedule = (name: string, at: number) => name.includes("static") && at === 2;

  test.each(attempts)("%s", (name) =>
    expectPointersRefused(pool, name, (pointer, at) => (isSchedule(name, at) ? "34" : pointer)),
  );
});

test("these are all of them", () => {
  expect(ALL.map(([name]) => name.slice("env.".length))).toEqual(NAMES);
});
