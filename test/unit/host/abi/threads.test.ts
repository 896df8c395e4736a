/** Threads as WASI has them, on the real upload, workers and imports. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { abiTable, importsUrl } from "../../../../host/abi/index.ts";
import { processors } from "../../../../host/abi/threads.ts";
import { prepareModule } from "../../../../host/modules/preparation.ts";
import type { SandboxPool } from "../../../../host/sandbox/index.ts";
import { GuestCalls } from "../../../support/guest-calls.ts";
import { wat } from "../../../support/guest-modules.ts";
import { MemoryHost } from "../../../support/memory-guest.ts";
import { openPool, run } from "../../../support/sandbox-calls.ts";

const LIMITS = { moduleMaxBytes: 1 << 20, memoryMaxPages: 16, tableMaxElements: 10, uploadTimeoutMs: 10_000 };
const AGAIN = -6;

let pool: SandboxPool;
beforeAll(async () => {
  pool = await openPool({ importsUrl });
});
afterAll(() => pool.close());

/** A thread adds to the word at 0 its argument, stores its number at 4, and wakes who waits at 8. */
function threaded(main: string, thread = "") {
  return prepareModule(
    wat(`(module
      (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "neap" "threads_max" (func $max (result i32)))
      (import "env" "memory" (memory 1 16 shared))
      (func $ended (param $threads i32) (local $now i32)
        (block $done (loop $again
          (br_if $done (i32.eq (local.tee $now (i32.atomic.load (i32.const 8))) (local.get $threads)))
          (drop (memory.atomic.wait32 (i32.const 8) (local.get $now) (i64.const -1)))
          (br $again))))
      (func (export "wasi_thread_start") (param $number i32) (param $argument i32)
        ${thread}
        (drop (i32.atomic.rmw.add (i32.const 0) (local.get $argument)))
        (i32.atomic.store (i32.const 4) (local.get $number))
        (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 1)))
        (drop (memory.atomic.notify (i32.const 8) (i32.const -1))))
      (func (export "main") (result i32) ${main}))`),
    abiTable,
    LIMITS,
  );
}

const value = async (module: ReturnType<typeof threaded>, callMax: number) => {
  const end = await run(pool, module, { threads: { callMax, tenantMax: 8 } });
  return end.kind === "returned" ? end.value : end;
};

describe("thread-spawn", () => {
  test.each([0, 7, -1, -(2 ** 31), 2 ** 31 - 1])(
    "answers the number that the thread gets, with the argument %i",
    async (argument) => {
      const started = threaded(
        `(local $number i32)
       (local.set $number (call $spawn (i32.const ${argument})))
       (call $ended (i32.const 1))
       (if (i32.ne (i32.load (i32.const 4)) (local.get $number)) (then unreachable))
       (if (i32.lt_s (local.get $number) (i32.const 1)) (then unreachable))
       (i32.load (i32.const 0))`,
      );
      expect(await value(started, 2)).toBe(argument);
    },
  );

  test("answers the errno again for one more than callMaxThreads says, and starts it when another has ended", async () => {
    const one = threaded(
      `(local $number i32)
       (if (i32.lt_s (call $spawn (i32.const 1)) (i32.const 1)) (then unreachable))
       (if (i32.ne (call $spawn (i32.const 10)) (i32.const ${AGAIN})) (then unreachable))
       (i32.atomic.store (i32.const 16) (i32.const 1))
       (drop (memory.atomic.notify (i32.const 16) (i32.const 1)))
       (call $ended (i32.const 1))
       (loop $again (br_if $again (i32.eq (local.tee $number (call $spawn (i32.const 100))) (i32.const ${AGAIN}))))
       (call $ended (i32.const 2))
       (i32.load (i32.const 0))`,
      "(drop (memory.atomic.wait32 (i32.const 16) (i32.const 0) (i64.const -1)))",
    );
    expect(await value(one, 2)).toBe(101);
    const none = threaded(`(call $spawn (i32.const 1))`);
    expect(await value(none, 1)).toBe(AGAIN);
  });

  test("ends the call with the trap of a thread", async () => {
    const traps = threaded("(drop (call $spawn (i32.const 1))) (call $ended (i32.const 2)) (i32.const 0)", "unreachable");
    expect(await value(traps, 2)).toMatchObject({ kind: "trapped", message: expect.stringContaining("unreachable") });
  });

  test("H23: is for modules with a shared memory: others are refused with the flags to build them with", () => {
    const plain = wat(`(module
      (import "wasi" "thread-spawn" (func (param i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "wasi_thread_start") (param i32 i32))
      (func (export "main") (result i32) (i32.const 0)))`);
    expect(() => prepareModule(plain, abiTable, LIMITS)).toThrow("--shared-memory");
  });
});

test("threads_max is what the call may have at once, and no more than this machine can run", async () => {
  for (const callMax of [1, 2, 8]) {
    expect(await value(threaded("(call $max)"), callMax)).toBe(Math.min(callMax, processors));
  }
  expect(await new GuestCalls(new MemoryHost()).call("threads_max")).toBe(1);
});
