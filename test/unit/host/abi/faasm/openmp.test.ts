/** The runtime of OpenMP as imports, on the real upload, workers and imports. */
import { availableParallelism } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { abiTable, importsUrl } from "../../../../../host/abi/index.ts";
import { prepareModule } from "../../../../../host/modules/preparation.ts";
import type { SandboxPool } from "../../../../../host/sandbox/index.ts";
import { wat } from "../../../../support/guest-modules.ts";
import { openPool, run } from "../../../../support/sandbox-calls.ts";

const LIMITS = { moduleMaxBytes: 1 << 20, memoryMaxPages: 400, tableMaxElements: 100, uploadTimeoutMs: 10_000 };
const OPENMP = [...abiTable].filter(([name]) => /^env\.(__kmpc|omp)_/.test(name));
const THREADS = [1, 2, 4];

/** Each is tested here, where it is called without `__kmpc_`. */
const NAMES = [
  "__kmpc_fork_call",
  "__kmpc_push_num_threads",
  "__kmpc_serialized_parallel",
  "__kmpc_end_serialized_parallel",
  "__kmpc_global_thread_num",
  "__kmpc_barrier",
  "__kmpc_flush",
  "__kmpc_critical",
  "__kmpc_critical_with_hint",
  "__kmpc_end_critical",
  "__kmpc_master",
  "__kmpc_end_master",
  "__kmpc_single",
  "__kmpc_end_single",
  "__kmpc_reduce",
  "__kmpc_reduce_nowait",
  "__kmpc_end_reduce",
  "__kmpc_end_reduce_nowait",
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
  "omp_get_num_threads",
  "omp_get_max_threads",
  "omp_get_thread_num",
  "omp_get_num_procs",
  "omp_get_thread_limit",
  "omp_in_parallel",
  "omp_get_level",
  "omp_get_active_level",
  "omp_get_max_active_levels",
  "omp_set_max_active_levels",
  "omp_get_nested",
  "omp_set_nested",
  "omp_get_dynamic",
  "omp_set_dynamic",
  "omp_set_num_threads",
  "omp_get_wtime",
  "omp_get_wtick",
  "omp_init_lock",
  "omp_destroy_lock",
  "omp_set_lock",
  "omp_unset_lock",
  "omp_test_lock",
  "omp_init_nest_lock",
  "omp_destroy_nest_lock",
  "omp_set_nest_lock",
  "omp_unset_nest_lock",
  "omp_test_nest_lock",
];

let pool: SandboxPool;
beforeAll(async () => {
  pool = await openPool({ importsUrl });
});
afterAll(() => pool.close());

/**
 * Calls are written by their names, without __kmpc_: (call $barrier …), (call $omp_get_level). Below 1024 nothing of the module's own
 * lies. `regions` are functions of the table, from 1 on, ($number, $bound) → ().
 * @param main  body of main () → i32
 */
function openmp(main: string, regions: readonly string[] = [], { more = "" } = {}) {
  const imports = OPENMP.map(([name, { params, results }]) => {
    const field = name.slice("env.".length);
    const types = `(param ${params.join(" ")}) (result ${results.join(" ")})`;
    return `(import "env" "${field}" (func $${field.replace("__kmpc_", "")} ${types}))`;
  });
  return prepareModule(
    wat(`(module ${imports.join("\n")}
      (import "env" "__faasm_write_output" (func $output (param i32 i32)))
      (import "env" "memory" (memory 2 400 shared))
      (global $stack (mut i32) (i32.const 65536))
      (table 8 funcref) (elem (i32.const 1) ${regions.map((_, at) => `$f${at + 1}`).join(" ")} $takes_three)
      (func $takes_three (param i32 i32 i32))
      (func $add (param $at i32) (param $value i32) (drop (i32.atomic.rmw.add (local.get $at) (local.get $value))))
      (func $fork (param $threads i32) (param $f i32)
        (call $push_num_threads (i32.const 0) (i32.const 0) (local.get $threads))
        (call $fork_call (i32.const 0) (i32.const 0) (local.get $f) (i32.const 0)))
      ${more}
      ${regions.map((body, at) => `(func $f${at + 1} (param $number i32) (param $bound i32) (local $n i32) (local $i i32) ${body})`).join("\n")}
      (func (export "main") (result i32) (local $n i32) (local $i i32) ${main}))`),
    abiTable,
    LIMITS,
  );
}

const EIGHT = { threads: { callMax: 8, tenantMax: 16 } };
const value = async (module: ReturnType<typeof openmp>, options = {}) => {
  const end = await run(pool, module, { ...EIGHT, ...options });
  return end.kind === "returned" ? end.value : end;
};
/** In a loop of so many rounds. */
const times = (count: number, body: string) =>
  `(local.set $n (i32.const ${count})) (loop $again ${body} (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))`;
const rank = "(i32.load (local.get $number))";
const here = "(i32.const 0) (i32.const 0)";

describe("a parallel region", () => {
  test.each(THREADS)(
    "is run by %i threads, each with its number, a stack of its own and the arguments, again and again",
    async (threads) => {
      const module = openmp(
        `(i32.store (i32.const 128) (i32.const 500)) (i32.store (i32.const 132) (i32.const 504))
       ${times(50, `(call $push_num_threads ${here} (i32.const ${threads})) (call $fork_call (i32.const 0) (i32.const 2) (i32.const 3) (i32.const 128))`)}
       (if (i32.ne (global.get $stack) (i32.const 65536)) (then unreachable))
       (i32.add (i32.mul (i32.const 1000) (i32.load (i32.const 500))) (i32.load (i32.const 504)))`,
        ["", ""],
        {
          more: `(func $outlined (param $number i32) (param $bound i32) (param $sum i32) (param $count i32)
          (if (i32.load (local.get $bound)) (then unreachable))
          (if (i32.ne ${rank} (call $omp_get_thread_num)) (then unreachable))
          (if (i32.ne ${rank} (call $global_thread_num (i32.const 0))) (then unreachable))
          (if (i32.ne (call $omp_get_num_threads) (i32.const ${threads})) (then unreachable))
          (if (i32.ge_u (local.get $number) (i32.mul (memory.size) (i32.const 65536))) (then unreachable))
          (if (i32.ne (global.get $stack) (local.get $number)) (then unreachable))
          (call $add (local.get $sum) ${rank}) (call $add (local.get $count) (i32.const 1)))
          (elem (i32.const 3) $outlined)`,
        },
      );
      expect(await value(module)).toBe(50 * ((1000 * (threads * (threads - 1))) / 2 + threads));
    },
  );

  test("has as many threads as were asked for, as there are processors, or as the call may have", async () => {
    const counts = (before: string) =>
      openmp(`${before} (call $fork_call (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)) (i32.load (i32.const 500))`, [
        "(call $add (i32.const 500) (i32.const 1))",
      ]);
    expect(await value(counts(""))).toBe(Math.min(8, availableParallelism()));
    expect(await value(counts("(call $omp_set_num_threads (i32.const 3))"))).toBe(3);
    const pushed = "(call $omp_set_num_threads (i32.const 3)) (call $push_num_threads (i32.const 0) (i32.const 0) (i32.const 5))";
    expect(await value(counts(pushed))).toBe(5);
    expect(await value(counts(`${pushed} (call $fork_call ${here} (i32.const 1) (i32.const 0))`))).toBe(5 + 3);
    expect(await value(counts("(call $omp_set_num_threads (i32.const 1000))"))).toBe(8);
    expect(await value(counts(pushed), { threads: { callMax: 1, tenantMax: 1 } })).toBe(1);
  });

  test("inside another one is the thread's alone, also one that an if clause makes so", async () => {
    const module = openmp(
      "(call $fork (i32.const 3) (i32.const 1)) (i32.add (i32.mul (i32.const 100) (i32.load (i32.const 500))) (i32.load (i32.const 504)))",
      [
        `(if (i32.ne (call $omp_get_level) (i32.const 1)) (then unreachable))
         (call $fork (i32.const 4) (i32.const 2))
         (if (i32.ne (call $omp_get_level) (i32.const 1)) (then unreachable))
         (call $serialized_parallel ${here})
         (call $add (i32.const 504) (i32.add (call $omp_get_level) (call $omp_get_num_threads)))
         (call $end_serialized_parallel ${here})
         (if (i32.ne (call $omp_get_num_threads) (i32.const 3)) (then unreachable))`,
        `(if (i32.ne (call $omp_get_num_threads) (i32.const 1)) (then unreachable))
         (if (call $omp_get_thread_num) (then unreachable))
         (if (i32.ne (i32.const 2) (call $omp_get_level)) (then unreachable))
         (if (i32.ne (i32.const 1) (call $omp_get_active_level)) (then unreachable))
         (if (i32.eqz (call $omp_in_parallel)) (then unreachable))
         (if (i32.ne (i32.load (local.get $number)) (call $global_thread_num (i32.const 0))) (then unreachable))
         (call $barrier ${here})
         (call $add (i32.const 500) (i32.const 1))`,
      ],
    );
    expect(await value(module)).toBe(300 + 9);
  });

  test("leaves nothing to the next call: neither threads nor memory", async () => {
    const module = openmp(
      `(call $fork (i32.const 4) (i32.const 1)) (i32.add (i32.load (i32.const 500)) (i32.mul (i32.const 100) (memory.size)))`,
      ["(call $add (i32.const 500) (i32.const 1))"],
    );
    for (let call = 0; call < 5; call++) {
      expect(await value(module)).toBe(4 + 100 * (2 + 3 * 16));
    }
  });

  test("that traps, exits, or never ends in one thread ends the call", async () => {
    const inThread = (body: string) =>
      openmp("(call $fork (i32.const 2) (i32.const 1)) (i32.const 0)", [`(if ${rank} (then ${body}))`]);
    expect(await value(inThread("unreachable"))).toMatchObject({ kind: "trapped", message: "in a thread: unreachable" });
    const main = openmp("(call $fork (i32.const 2) (i32.const 1)) (i32.const 0)", [
      `(if (i32.eqz ${rank}) (then unreachable)) (call $barrier ${here})`,
    ]);
    expect(await value(main)).toMatchObject({ kind: "trapped", message: "unreachable" });
    const alone = inThread(`(call $barrier ${here}) (call $barrier ${here})`);
    expect(await value(alone, { limits: { wallTimeMs: 300 } })).toMatchObject({ kind: "killed", reason: "wallTime" });
  });

  test("refuses what it cannot run", async () => {
    const trapped = (message: string) => ({ kind: "trapped", message });
    const call = (count: number, f: number, pointer: number) =>
      openmp(`(call $fork_call (i32.const 0) (i32.const ${count}) (i32.const ${f}) (i32.const ${pointer})) (i32.const 0)`);
    expect(await value(call(0, 7, 0))).toMatchObject(trapped("the table has no function at 7"));
    expect(await value(call(0, 1, 0))).toMatchObject(
      trapped("the function at 1 of the table does not take 2 i32 and return nothing"),
    );
    expect(await value(call(65, 1, 0))).toMatchObject(trapped("a parallel region has 65 arguments, at most 64 are possible"));
    expect(await value(call(-1, 1, 0))).toMatchObject(trapped("a parallel region has -1 arguments, at most 64 are possible"));
    expect(await value(call(1, 1, -4))).toMatchObject({
      message: expect.stringMatching(/^arguments of a parallel region at 4294967292/),
    });
    expect(await value(call(1, 1, 6))).toMatchObject({ message: expect.stringMatching(/^arguments of a parallel region at 6/) });
    for (const stack of [0, 8, -16, 66]) {
      const moved = openmp(`(global.set $stack (i32.const ${stack})) (call $fork (i32.const 1) (i32.const 1)) (i32.const 0)`, [
        "",
      ]);
      expect(await value(moved)).toMatchObject({ message: expect.stringMatching(/^stack of a parallel region at /) });
    }
    expect(await value(openmp("(call $push_num_threads (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 0)"))).toMatchObject(
      trapped("__kmpc_push_num_threads: 0 threads, must be 1 at least"),
    );
    expect(await value(openmp("(call $omp_set_num_threads (i32.const -1)) (i32.const 0)"))).toMatchObject(
      trapped("omp_set_num_threads: -1 threads, must be 1 at least"),
    );
    expect(await value(openmp(`(call $end_serialized_parallel ${here}) (i32.const 0)`))).toMatchObject({ kind: "trapped" });
  });
});

describe("threads of a region", () => {
  test.each(THREADS)("wait for each other at barriers: %i threads", async (threads) => {
    const module = openmp(`(call $fork (i32.const ${threads}) (i32.const 1)) (i32.load (i32.const 500))`, [
      times(
        100,
        `(call $add (i32.const 500) (i32.const 1)) (call $barrier ${here})
         (if (i32.rem_u (i32.atomic.load (i32.const 500)) (i32.const ${threads})) (then unreachable))
         (call $flush (i32.const 0)) (call $barrier ${here})`,
      ),
    ]);
    expect(await value(module)).toBe(100 * threads);
  });

  test.each([
    "critical (i32.const 0) (i32.const 0) (i32.const 512)",
    "critical_with_hint (i32.const 0) (i32.const 0) (i32.const 512) (i32.const 1)",
  ])("are in a section one by one: %s", async (enter) => {
    const module = openmp("(call $fork (i32.const 4) (i32.const 1)) (i32.load (i32.const 500))", [
      times(
        1000,
        `(call $${enter}) (i32.store (i32.const 500) (i32.add (i32.load (i32.const 500)) (i32.const 1)))
           (call $end_critical ${here} (i32.const 512))`,
      ),
    ]);
    expect(await value(module)).toBe(4000);
  });

  test("have one master, and one of them does what a single one shall do", async () => {
    const module = openmp(
      "(call $fork (i32.const 4) (i32.const 1)) (i32.add (i32.load (i32.const 500)) (i32.mul (i32.const 1000) (i32.load (i32.const 504))))",
      [
        times(
          20,
          `(if (call $single ${here}) (then (call $add (i32.const 500) (i32.const 1)) (call $end_single ${here})))
           (if (call $master ${here}) (then
             (if (call $omp_get_thread_num) (then unreachable))
             (call $add (i32.const 504) (i32.const 1)) (call $end_master ${here})))`,
        ),
      ],
    );
    expect(await value(module)).toBe(20 + 20_000);
    const alone = openmp(`(i32.add (call $single ${here}) (call $master ${here}))`);
    expect(await value(alone)).toBe(2);
  });

  test.each(["", "_nowait"])("put reductions together in the order of their numbers: __kmpc_reduce%s", async (kind) => {
    const reduce = `(call $reduce${kind} ${here} (i32.const 1) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 512))`;
    // Each appends its number as a digit; the later ones come first, if they can.
    const module = openmp("(call $fork (i32.const 4) (i32.const 1)) (i32.load (i32.const 500))", [
      `(if (i32.eqz ${rank}) (then ${times(20_000, "(local.set $i (i32.const 0))")}))
       ${times(
         2,
         `(if (i32.ne ${reduce} (i32.const 1)) (then unreachable))
          (i32.store (i32.const 500) (i32.add (i32.mul (i32.load (i32.const 500)) (i32.const 10)) ${rank}))
          (call $end_reduce${kind} ${here} (i32.const 512))`,
       )}`,
    ]);
    for (let call = 0; call < 3; call++) {
      expect(await value(module)).toBe(1_230_123);
    }
  });

  test("have locks, and such that their holder may take again", async () => {
    const module = openmp(
      `(call $omp_init_lock (i32.const 512)) (call $omp_init_nest_lock (i32.const 536))
       (call $fork (i32.const 4) (i32.const 1))
       (if (i32.ne (call $omp_test_lock (i32.const 512)) (i32.const 1)) (then unreachable))
       (if (call $omp_test_lock (i32.const 512)) (then unreachable))
       (if (i32.ne (call $omp_test_nest_lock (i32.const 536)) (i32.const 1)) (then unreachable))
       (if (i32.ne (call $omp_test_nest_lock (i32.const 536)) (i32.const 2)) (then unreachable))
       (call $fork (i32.const 2) (i32.const 2))
       (call $omp_destroy_lock (i32.const 512)) (call $omp_destroy_nest_lock (i32.const 536))
       (i32.load (i32.const 500))`,
      [
        times(
          500,
          `(call $omp_set_lock (i32.const 512)) (call $omp_set_nest_lock (i32.const 536)) (call $omp_set_nest_lock (i32.const 536))
           (i32.store (i32.const 500) (i32.add (i32.load (i32.const 500)) (i32.const 1)))
           (call $omp_unset_nest_lock (i32.const 536)) (call $omp_unset_nest_lock (i32.const 536)) (call $omp_unset_lock (i32.const 512))`,
        ),
        `(if ${rank} (then (if (call $omp_test_nest_lock (i32.const 536)) (then unreachable))
           (if (call $omp_test_lock (i32.const 512)) (then unreachable))))`,
      ],
    );
    expect(await value(module)).toBe(2000);
  });
});

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
  const end = await run(pool, module, EIGHT);
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

test("the functions of omp.h say what holds, inside of a region and outside", async () => {
  const says = (name: string, params = "") => `(if (i32.ne (call $omp_${name}) ${params}) (then unreachable))`;
  const outside = [
    says("get_num_threads", "(i32.const 1)"),
    says("get_thread_num", "(i32.const 0)"),
    says("get_level", "(i32.const 0)"),
    says("get_active_level", "(i32.const 0)"),
    says("in_parallel", "(i32.const 0)"),
    says("get_thread_limit", "(i32.const 8)"),
    says("get_num_procs", `(i32.const ${availableParallelism()})`),
    says("get_max_threads", `(i32.const ${Math.min(8, availableParallelism())})`),
    "(call $omp_set_num_threads (i32.const 4))",
    says("get_max_threads", "(i32.const 4)"),
    "(call $omp_set_nested (i32.const 1)) (call $omp_set_dynamic (i32.const 1)) (call $omp_set_max_active_levels (i32.const 3))",
    says("get_nested", "(i32.const 0)"),
    says("get_dynamic", "(i32.const 0)"),
    says("get_max_active_levels", "(i32.const 1)"),
    "(if (f64.ne (call $omp_get_wtick) (f64.const 1e-9)) (then unreachable))",
    // The call has begun at 1000 ms.
    "(if (f64.lt (call $omp_get_wtime) (f64.const 1)) (then unreachable)) (if (f64.gt (call $omp_get_wtime) (f64.const 1.001)) (then unreachable))",
  ];
  const inside = [
    says("get_num_threads", "(i32.const 4)"),
    says("get_level", "(i32.const 1)"),
    says("get_active_level", "(i32.const 1)"),
    says("in_parallel", "(i32.const 1)"),
    "(if (f64.lt (call $omp_get_wtime) (f64.const 1)) (then unreachable)) (drop (call $omp_get_wtick))",
    "(call $add (i32.const 500) (i32.add (i32.const 1) (call $omp_get_thread_num)))",
  ];
  const region = "(call $fork_call (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))";
  expect(await value(openmp(`${outside.join(" ")} ${region} (i32.load (i32.const 500))`, [inside.join(" ")]))).toBe(
    1 + 2 + 3 + 4,
  );
});

describe("hostile arguments end the call with their name", () => {
  const attempts = OPENMP.filter(
    ([name]) => /critical|_lock|nest_lock|init_4|init_8|next/.test(name) && !/dispatch_init/.test(name),
  );

  test.each(attempts)("%s", async (name, { params }) => {
    for (const pointer of ["-4", "0x7ffffffc", "131070"]) {
      const args = params.map((type, at) => `(${type}.const ${/static/.test(name) && at === 2 ? "34" : pointer})`);
      const { results } = abiTable.get(name) ?? { results: [] };
      const call = `(call $${name.slice("env.".length).replace("__kmpc_", "")} ${args.join(" ")})`;
      expect([name, pointer, await value(openmp(results.length > 0 ? call : `${call} (i32.const 0)`))]).toEqual([
        name,
        pointer,
        expect.objectContaining({ kind: "trapped", message: expect.stringMatching(/^(__kmpc|omp)_\w+: \w+ at \d+ (\+|is not)/) }),
      ]);
    }
  });
});

test("these are all of them", () => {
  expect(OPENMP.map(([name]) => name.slice("env.".length))).toEqual(NAMES);
});

test("H23: without a shared memory they are refused with the flags to use, and what there is not, by name", () => {
  const text = (name: string, memory: string) =>
    wat(`(module (import "env" "${name}" (func (param i32))) ${memory} (func (export "main")))`);
  expect(() => prepareModule(text("__kmpc_flush", "(memory 1)"), abiTable, LIMITS)).toThrow(
    /threads need a memory that they share.*-pthread/,
  );
  const shared = '(import "env" "memory" (memory 2 400 shared))';
  expect(() => prepareModule(text("__kmpc_omp_task", shared), abiTable, LIMITS)).toThrow(/__kmpc_omp_task.*no tasks/);
});
