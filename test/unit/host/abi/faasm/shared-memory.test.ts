import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { abiTable, importsUrl } from "../../../../../host/abi/index.ts";
import { prepareModule } from "../../../../../host/modules/preparation.ts";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import type { SandboxPool } from "../../../../../host/sandbox/index.ts";
import { FaasmCalls } from "../../../../support/faasm-calls.ts";
import { wat } from "../../../../support/guest-modules.ts";
import { openPool, run } from "../../../../support/sandbox-calls.ts";

describe("__faasm_sm_reduce", () => {
  it("takes each type and operation, and changes nothing", async () => {
    const calls = new FaasmCalls();
    const before = Buffer.from(calls.memory);
    for (let type = 0; type < 6; type++) {
      for (let operation = 0; operation < 6; operation++) {
        expect(await calls.call("__faasm_sm_reduce", 131_064, type, operation, 1)).toBeUndefined();
      }
    }
    expect(calls.memory.equals(before)).toBe(true);
  });

  it.each([
    [1000, 6, 0],
    [1000, -1, 0],
    [1000, 0, 6],
    [1000, 0, -1],
    [131_065, 5, 0],
    [131_069, 2, 1],
    [-1, 0, 0],
  ])("ends the call for a variable at %i of type %i, operation %i", async (pointer, type, operation) => {
    await expect(new FaasmCalls().call("__faasm_sm_reduce", pointer, type, operation, 0)).rejects.toThrow(GuestFault);
  });
});

it("__faasm_migrate_point goes on where it is", async () => {
  const calls = new FaasmCalls();
  expect(await calls.call("__faasm_migrate_point", -1, 7)).toBeUndefined();
  expect(calls.host.operations).toEqual([]);
});

describe("__faasm_sm_critical_local and __faasm_sm_critical_local_end", () => {
  const LIMITS = { moduleMaxBytes: 1 << 20, memoryMaxPages: 16, tableMaxElements: 10, uploadTimeoutMs: 10_000 };
  let pool: SandboxPool;
  beforeAll(async () => {
    pool = await openPool({ importsUrl });
  });
  afterAll(() => pool.close());

  /** Three threads and the main one run $work; at 0 is what they count, at 8 how many threads have ended. Main returns the count. */
  const ended = (work: string) =>
    run(
      pool,
      prepareModule(
        wat(`(module
          (import "env" "__faasm_sm_critical_local" (func $begin))
          (import "env" "__faasm_sm_critical_local_end" (func $end))
          (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
          (import "env" "memory" (memory 1 16 shared))
          (func $work ${work})
          (func (export "wasi_thread_start") (param i32 i32)
            (call $work)
            (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 1)))
            (drop (memory.atomic.notify (i32.const 8) (i32.const -1))))
          (func (export "main") (result i32) (local $now i32)
            (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 0)))
            (call $work)
            (block $done (loop $again
              (br_if $done (i32.eq (local.tee $now (i32.atomic.load (i32.const 8))) (i32.const 3)))
              (drop (memory.atomic.wait32 (i32.const 8) (local.get $now) (i64.const -1)))
              (br $again)))
            (i32.load (i32.const 0))))`),
        abiTable,
        LIMITS,
      ),
      { threads: { callMax: 4, tenantMax: 4 } },
    );

  it("lets one thread in at a time: what they count without atomics is all there", async () => {
    // From its load to its store each thread is slow enough for the others to come between.
    const counts = await ended(`(local $left i32) (local $before i32) (local $slow i32)
      (local.set $left (i32.const 200))
      (loop $again
        (call $begin)
        (local.set $before (i32.load (i32.const 0)))
        (local.set $slow (i32.const 10000))
        (loop $more (br_if $more (local.tee $slow (i32.sub (local.get $slow) (i32.const 1)))))
        (i32.store (i32.const 0) (i32.add (local.get $before) (i32.const 1)))
        (call $end)
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))`);
    expect(counts).toMatchObject({ kind: "returned", value: 800 });
  });

  it.each([
    [
      "enters it twice",
      "(call $begin) (call $begin)",
      "__faasm_sm_critical_local: this thread is in the critical section already",
    ],
    ["leaves it without being in it", "(call $end)", "__faasm_sm_critical_local_end: this thread is not in the critical section"],
  ])("ends the call of a thread that %s", async (_, work, message) => {
    expect(await ended(work)).toMatchObject({ kind: "trapped", message: expect.stringContaining(message) });
  });

  it("keeps nobody out where there are no threads", async () => {
    const calls = new FaasmCalls();
    for (const name of ["__faasm_sm_critical_local", "__faasm_sm_critical_local", "__faasm_sm_critical_local_end"]) {
      expect(await calls.call(name)).toBeUndefined();
    }
  });
});
