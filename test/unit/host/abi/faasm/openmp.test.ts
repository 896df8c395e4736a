/** The runtime of OpenMP as imports, on the real upload, workers and imports. */
import { availableParallelism } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { abiTable, importsUrl } from "../../../../../host/abi/index.ts";
import { prepareModule } from "../../../../../host/modules/preparation.ts";
import type { SandboxPool } from "../../../../../host/sandbox/index.ts";
import { wat } from "../../../../support/guest-modules.ts";
import {
  expectPointersRefused,
  here,
  LIMITS,
  OPENMP,
  openmp,
  rank,
  returnedBy,
  THREADS,
  times,
} from "../../../../support/openmp-module.ts";
import { openPool } from "../../../../support/sandbox-calls.ts";

/** What is about loops is tested beside this. */
const ALL = OPENMP.filter(([name]) => !/_for_|_dispatch_/.test(name));

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

const value = (module: ReturnType<typeof openmp>, options = {}) => returnedBy(pool, module, options);

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
  const attempts = ALL.filter(([name]) => /critical|_lock|nest_lock/.test(name));

  test.each(attempts)("%s", (name) => expectPointersRefused(pool, name));
});

test("these are all of them", () => {
  expect(ALL.map(([name]) => name.slice("env.".length))).toEqual(NAMES);
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
