/** pthreads as imports, on the real upload, workers and imports. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { abiTable, importsUrl } from "../../../../../host/abi/index.ts";
import { prepareModule } from "../../../../../host/modules/preparation.ts";
import type { SandboxPool } from "../../../../../host/sandbox/index.ts";
import { wat } from "../../../../support/guest-modules.ts";
import { openPool, run } from "../../../../support/sandbox-calls.ts";

const LIMITS = { moduleMaxBytes: 1 << 20, memoryMaxPages: 400, tableMaxElements: 100, uploadTimeoutMs: 10_000 };
const [AGAIN, BUSY, DEADLK, INVAL, PERM, SRCH, TIMEDOUT] = [6, 10, 16, 28, 63, 71, 73];
const PTHREADS = [...abiTable].filter(([name]) => name.startsWith("env.pthread_"));

/** Each is tested here. */
const NAMES = [
  "pthread_create",
  "pthread_join",
  "pthread_detach",
  "pthread_exit",
  "pthread_self",
  "pthread_equal",
  "pthread_attr_init",
  "pthread_attr_destroy",
  "pthread_attr_setstacksize",
  "pthread_attr_setdetachstate",
  "pthread_mutexattr_init",
  "pthread_mutexattr_destroy",
  "pthread_mutexattr_settype",
  "pthread_mutex_init",
  "pthread_mutex_destroy",
  "pthread_mutex_lock",
  "pthread_mutex_trylock",
  "pthread_mutex_unlock",
  "pthread_cond_init",
  "pthread_cond_destroy",
  "pthread_cond_wait",
  "pthread_cond_timedwait",
  "pthread_cond_signal",
  "pthread_cond_broadcast",
  "pthread_once",
  "pthread_key_create",
  "pthread_key_delete",
  "pthread_getspecific",
  "pthread_setspecific",
];

let pool: SandboxPool;
beforeAll(async () => {
  pool = await openPool({ importsUrl });
});
afterAll(() => pool.close());

/**
 * Calls are written by their names: (call $mutex_lock …). Below 1024 nothing of the module's own lies; `functions` are those of the table, from 1 on.
 * @param main  body of main () → i32
 */
function pthreads(main: string, functions: readonly string[] = [], memory = "2 400 shared") {
  const imports = PTHREADS.map(([name, { params, results }]) => {
    const field = name.slice("env.".length);
    return `(import "env" "${field}" (func $${field.slice("pthread_".length)} (param ${params.join(" ")}) (result ${results.join(" ")})))`;
  });
  const named = functions.map((text, at) => text.replace("(func", `(func $f${at + 1}`));
  return prepareModule(
    wat(`(module ${imports.join("\n")}
      (import "env" "memory" (memory ${memory}))
      (global $stack (mut i32) (i32.const 65536))
      (table 8 funcref) (elem (i32.const 1) ${functions.map((_, at) => `$f${at + 1}`).join(" ")})
      (func $make (param $handle i32) (param $f i32) (param $argument i32)
        (if (call $create (local.get $handle) (i32.const 0) (local.get $f) (local.get $argument)) (then unreachable)))
      (func $joined (param $handle i32) (result i32)
        (if (call $join (i32.load (local.get $handle)) (i32.const 8)) (then unreachable))
        (i32.load (i32.const 8)))
      ${named.join("\n")}
      (func (export "main") (result i32) ${main}))`),
    abiTable,
    LIMITS,
  );
}

const EIGHT = { threads: { callMax: 8, tenantMax: 16 } };
const value = async (module: ReturnType<typeof pthreads>, options = {}) => {
  const end = await run(pool, module, { ...EIGHT, ...options });
  return end.kind === "returned" ? end.value : end;
};

describe("create and join", () => {
  test("give each thread its argument and a stack of its own, and its value to who joins it", async () => {
    const module = pthreads(
      `(call $make (i32.const 128) (i32.const 1) (i32.const 5)) (call $make (i32.const 132) (i32.const 1) (i32.const 7))
       (i32.add (i32.mul (i32.const 1000) (call $joined (i32.const 128))) (call $joined (i32.const 132)))`,
      [
        `(func (param i32) (result i32)
           (if (i32.eq (global.get $stack) (i32.const 65536)) (then unreachable))
           (i32.store (i32.sub (global.get $stack) (i32.const 4)) (local.get 0))
           (i32.mul (local.get 0) (i32.load (i32.sub (global.get $stack) (i32.const 4)))))`,
      ],
    );
    for (let call = 0; call < 3; call++) {
      expect(await value(module)).toBe(25_049);
    }
  });

  test("again and again use the same stacks, and as many threads as callMaxThreads says at once", async () => {
    const module = pthreads(
      `(local $left i32) (local.set $left (i32.const 100))
       (loop $again
         (call $make (i32.const 128) (i32.const 1) (i32.const 1)) (drop (call $joined (i32.const 128)))
         (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
       (memory.size)`,
      ["(func (param i32) (result i32) (i32.const 0))"],
    );
    expect(await value(module)).toBe(2 + 16);
    const many = pthreads(
      `(local $made i32)
       (block $full (loop $more
         (br_if $full (call $create (i32.const 128) (i32.const 0) (i32.const 1) (i32.const 0)))
         (local.set $made (i32.add (local.get $made) (i32.const 1))) (br $more)))
       (i32.add (i32.mul (local.get $made) (i32.const 100)) (call $create (i32.const 128) (i32.const 0) (i32.const 1) (i32.const 0)))`,
      ["(func (param i32) (result i32) (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))) (i32.const 0))"],
    );
    expect(await value(many)).toBe(700 + AGAIN);
    expect(await value(many, { threads: { callMax: 1, tenantMax: 1 } })).toBe(AGAIN);
  });

  test("refuse a thread that there is not, itself, and one that was joined or detached", async () => {
    const module = pthreads(
      `(call $make (i32.const 128) (i32.const 1) (i32.const 0)) (drop (call $joined (i32.const 128)))
       (call $make (i32.const 132) (i32.const 1) (i32.const 0))
       (if (call $detach (i32.load (i32.const 132))) (then unreachable))
       (if (i32.ne (call $join (call $self) (i32.const 0)) (i32.const ${DEADLK})) (then unreachable))
       (if (i32.ne (call $join (i32.load (i32.const 132)) (i32.const 0)) (i32.const ${SRCH})) (then unreachable))
       (if (i32.ne (call $join (i32.const 999) (i32.const 0)) (i32.const ${SRCH})) (then unreachable))
       (if (i32.ne (call $detach (i32.const 999)) (i32.const ${SRCH})) (then unreachable))
       (call $join (i32.load (i32.const 128)) (i32.const 0))`,
      ["(func (param i32) (result i32) (i32.const 0))"],
    );
    expect(await value(module)).toBe(SRCH);
  });

  test("exit ends a thread with its value, self tells threads apart, and equal compares them", async () => {
    const module = pthreads(
      `(call $make (i32.const 128) (i32.const 1) (i32.const 0))
       (drop (call $joined (i32.const 128)))
       (if (call $equal (call $self) (i32.load (i32.const 256))) (then unreachable))
       (if (i32.eqz (call $equal (i32.load (i32.const 128)) (i32.load (i32.const 256)))) (then unreachable))
       (i32.load (i32.const 8))`,
      ["(func (param i32) (result i32) (i32.store (i32.const 256) (call $self)) (call $exit (i32.const 44)) (i32.const 1))"],
    );
    expect(await value(module)).toBe(44);
    expect(await value(pthreads("(call $exit (i32.const 0)) (i32.const 1)"))).toMatchObject({
      kind: "trapped",
      message: "pthread_exit: the call ends with its main thread, which must return",
    });
  });

  test("a function that is not there, or traps, ends the call", async () => {
    const missing = pthreads("(call $make (i32.const 128) (i32.const 7) (i32.const 0)) (call $joined (i32.const 128))");
    expect(await value(missing)).toMatchObject({ kind: "trapped", message: "in a thread: the table has no function at 7" });
    const traps = pthreads("(call $make (i32.const 128) (i32.const 1) (i32.const 0)) (call $joined (i32.const 128))", [
      "(func (param i32) (result i32) unreachable)",
    ]);
    expect(await value(traps)).toMatchObject({ kind: "trapped", message: "in a thread: unreachable" });
  });
});

describe("a mutex", () => {
  const counts = (type: number) =>
    pthreads(
      `(if (call $mutexattr_settype (i32.const 64) (i32.const ${type})) (then unreachable))
       (if (call $mutex_init (i32.const 512) (i32.const 64)) (then unreachable))
       (call $make (i32.const 128) (i32.const 1) (i32.const 0)) (call $make (i32.const 132) (i32.const 1) (i32.const 0))
       (call $make (i32.const 136) (i32.const 1) (i32.const 0))
       (drop (call $joined (i32.const 128))) (drop (call $joined (i32.const 132))) (drop (call $joined (i32.const 136)))
       (i32.load (i32.const 600))`,
      [
        `(func (param i32) (result i32) (local $left i32) (local.set $left (i32.const 2000))
           (loop $again
             (if (call $mutex_lock (i32.const 512)) (then unreachable))
             (i32.store (i32.const 600) (i32.add (i32.load (i32.const 600)) (i32.const 1)))
             (if (call $mutex_unlock (i32.const 512)) (then unreachable))
             (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
           (i32.const 0))`,
      ],
    );

  test.each([0, 1, 2])("of type %i is held by one thread at a time", async (type) => {
    expect(await value(counts(type))).toBe(6000);
  });

  test("is normal and free when it is zero; another type says what its holder does wrong", async () => {
    const plain = pthreads(
      `(if (call $mutex_lock (i32.const 512)) (then unreachable))
       (if (i32.ne (call $mutex_destroy (i32.const 512)) (i32.const ${BUSY})) (then unreachable))
       (call $mutex_trylock (i32.const 512))`,
    );
    expect(await value(plain)).toBe(BUSY);
    const typed = (type: number, body: string) =>
      pthreads(
        `(drop (call $mutexattr_settype (i32.const 64) (i32.const ${type}))) (drop (call $mutex_init (i32.const 512) (i32.const 64))) ${body}`,
      );
    const locks = "(call $mutex_lock (i32.const 512))";
    const unlocks = "(call $mutex_unlock (i32.const 512))";
    expect(await value(typed(2, `(drop ${locks}) ${locks}`))).toBe(DEADLK);
    expect(await value(typed(2, unlocks))).toBe(PERM);
    expect(await value(typed(1, `(drop ${locks}) (drop ${locks}) (drop ${unlocks}) (drop ${unlocks}) ${unlocks}`))).toBe(PERM);
    expect(await value(typed(1, `(drop ${locks}) (call $mutex_trylock (i32.const 512))`))).toBe(0);
    expect(await value(pthreads("(call $mutexattr_settype (i32.const 64) (i32.const 3))"))).toBe(INVAL);
  });

  test("that nobody gives back is waited for until the time limit", async () => {
    const module = pthreads("(drop (call $mutex_lock (i32.const 512))) (call $mutex_lock (i32.const 512))");
    expect(await value(module, { limits: { wallTimeMs: 200 } })).toMatchObject({ kind: "killed", reason: "wallTime" });
  });
});

describe("condition variables", () => {
  test("hand values from one thread to another, one by one", async () => {
    const module = pthreads(
      `(local $sum i32) (local $left i32) (local.set $left (i32.const 200))
       (call $make (i32.const 128) (i32.const 1) (i32.const 0))
       (drop (call $mutex_lock (i32.const 512)))
       (loop $again
         (block $full (loop $wait
           (br_if $full (i32.load (i32.const 600)))
           (drop (call $cond_wait (i32.const 700) (i32.const 512))) (br $wait)))
         (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 600))))
         (i32.store (i32.const 600) (i32.const 0))
         (drop (call $cond_broadcast (i32.const 700)))
         (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
       (drop (call $mutex_unlock (i32.const 512)))
       (drop (call $joined (i32.const 128)))
       (local.get $sum)`,
      [
        `(func (param i32) (result i32) (local $next i32)
           (loop $again
             (local.set $next (i32.add (local.get $next) (i32.const 1)))
             (drop (call $mutex_lock (i32.const 512)))
             (block $empty (loop $wait
               (br_if $empty (i32.eqz (i32.load (i32.const 600))))
               (drop (call $cond_wait (i32.const 700) (i32.const 512))) (br $wait)))
             (i32.store (i32.const 600) (local.get $next))
             (drop (call $cond_signal (i32.const 700)))
             (drop (call $mutex_unlock (i32.const 512)))
             (br_if $again (i32.lt_s (local.get $next) (i32.const 200))))
           (i32.const 0))`,
      ],
    );
    expect(await value(module)).toBe((200 * 201) / 2);
  });

  test("time out with the mutex held", async () => {
    const module = pthreads(
      `(drop (call $mutex_lock (i32.const 512)))
       (i64.store (i32.const 800) (i64.const 1)) (i32.store (i32.const 808) (i32.const 20000000))
       (if (i32.ne (call $cond_timedwait (i32.const 700) (i32.const 512) (i32.const 800)) (i32.const ${TIMEDOUT})) (then unreachable))
       (call $mutex_trylock (i32.const 512))`,
    );
    expect(await value(module)).toBe(BUSY);
  });
});

test("once runs a function once, and the others wait for its end", async () => {
  const module = pthreads(
    `(call $make (i32.const 128) (i32.const 1) (i32.const 0)) (call $make (i32.const 132) (i32.const 1) (i32.const 0))
     (drop (call $once (i32.const 640) (i32.const 2)))
     (drop (call $joined (i32.const 128))) (drop (call $joined (i32.const 132)))
     (i32.load (i32.const 600))`,
    [
      `(func (param i32) (result i32) (drop (call $once (i32.const 640) (i32.const 2)))
         (if (i32.ne (i32.load (i32.const 600)) (i32.const 1)) (then unreachable)) (i32.const 0))`,
      "(func (i32.store (i32.const 600) (i32.add (i32.load (i32.const 600)) (i32.const 1))))",
    ],
  );
  expect(await value(module)).toBe(1);
});

test("keys hold a value for each thread, and nothing of an earlier call", async () => {
  const module = pthreads(
    `(if (call $key_create (i32.const 640) (i32.const 0)) (then unreachable))
     (if (call $getspecific (i32.load (i32.const 640))) (then unreachable))
     (drop (call $setspecific (i32.load (i32.const 640)) (i32.const 3)))
     (call $make (i32.const 128) (i32.const 1) (i32.const 0))
     (i32.add (i32.mul (i32.const 100) (call $joined (i32.const 128))) (call $getspecific (i32.load (i32.const 640))))`,
    [
      `(func (param i32) (result i32)
         (if (call $getspecific (i32.load (i32.const 640))) (then unreachable))
         (drop (call $setspecific (i32.load (i32.const 640)) (i32.const 5)))
         (call $getspecific (i32.load (i32.const 640))))`,
    ],
  );
  expect(await value(module)).toBe(503);
  expect(await value(module)).toBe(503);
  expect(await value(pthreads("(call $setspecific (i32.const 129) (i32.const 1))"))).toBe(INVAL);
});

describe("destructors of keys", () => {
  const setsAndEnds = (end: string) =>
    `(func (param i32) (result i32)
       (drop (call $setspecific (i32.load (i32.const 640)) (local.get 0)))
       (drop (call $setspecific (i32.load (i32.const 644)) (i32.const 0)))
       ${end} (i32.const 9))`;
  const adds = `(func (param i32)
    (if (call $getspecific (i32.load (i32.const 640))) (then unreachable))
    (drop (call $mutex_lock (i32.const 512)))
    (i32.store (i32.const 600) (i32.add (i32.load (i32.const 600)) (local.get 0)))
    (drop (call $mutex_unlock (i32.const 512))))`;
  const creates =
    "(drop (call $key_create (i32.const 640) (i32.const 2))) (drop (call $key_create (i32.const 644) (i32.const 2)))";

  test.each([
    ["", 9],
    ["(call $exit (i32.const 4))", 4],
  ])("get what a thread has kept before it is joined, whichever way it ends: %s", async (end, joined) => {
    const module = pthreads(
      `${creates} (drop (call $setspecific (i32.load (i32.const 640)) (i32.const 1000)))
         (call $make (i32.const 128) (i32.const 1) (i32.const 5)) (call $make (i32.const 132) (i32.const 1) (i32.const 7))
         (if (i32.ne (call $joined (i32.const 128)) (i32.const ${joined})) (then unreachable))
         (drop (call $joined (i32.const 132)))
         (i32.load (i32.const 600))`,
      [setsAndEnds(end), adds],
    );
    // Not what the main thread has kept: the call ends with it.
    expect(await value(module)).toBe(12);
  });

  test("are run again for values that destructors have set, four times, and not for keys that were deleted", async () => {
    const counts = `(func (param i32)
      (i32.store (i32.const 600) (i32.add (i32.load (i32.const 600)) (i32.const 1)))
      (drop (call $setspecific (i32.load (i32.const 640)) (i32.const 1))))`;
    const main = (between: string) =>
      pthreads(
        `${creates} ${between} (call $make (i32.const 128) (i32.const 1) (i32.const 5)) (drop (call $joined (i32.const 128))) (i32.load (i32.const 600))`,
        [setsAndEnds(""), counts],
      );
    expect(await value(main(""))).toBe(4);
    expect(await value(main("(drop (call $key_delete (i32.load (i32.const 640))))"))).toBe(0);
  });

  test("that are not there, or trap, end the call", async () => {
    const main = (f: number) =>
      pthreads(
        `(drop (call $key_create (i32.const 640) (i32.const ${f}))) (call $make (i32.const 128) (i32.const 1) (i32.const 5)) (call $joined (i32.const 128))`,
        [setsAndEnds(""), "(func (param i32) unreachable)"],
      );
    expect(await value(main(7))).toMatchObject({ kind: "trapped", message: "in a thread: the table has no function at 7" });
    expect(await value(main(2))).toMatchObject({ kind: "trapped", message: "in a thread: unreachable" });
  });

  test("of 128 keys are kept, and there are no more keys", async () => {
    const module = pthreads(
      `(local $left i32) (local.set $left (i32.const 128))
       (loop $again
         (if (call $key_create (i32.const 640) (i32.const 2)) (then unreachable))
         (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
       (if (i32.ne (i32.load (i32.const 640)) (i32.const 128)) (then unreachable))
       (drop (call $key_create (i32.const 640) (i32.const 2))) (drop (call $key_delete (i32.const -1))) (drop (call $key_delete (i32.const 500)))
       (call $make (i32.const 128) (i32.const 1) (i32.const 5)) (drop (call $joined (i32.const 128)))
       (if (i32.ne (i32.load (i32.const 600)) (i32.const 5)) (then unreachable))
       (call $key_create (i32.const 640) (i32.const 2))`,
      [setsAndEnds(""), "(func (param i32) (i32.store (i32.const 600) (local.get 0)))"],
    );
    expect(await value(module)).toBe(AGAIN);
  });
});

test("thread-local variables of the linker are made for each thread, in modules that export what makes them", async () => {
  // As linkers have it: a base, and a function that sets it and puts the first values there.
  const module = pthreads(
    `(call $make (i32.const 128) (i32.const 1) (i32.const 1)) (call $make (i32.const 132) (i32.const 1) (i32.const 2))
     (i32.add (i32.add (call $joined (i32.const 128)) (call $joined (i32.const 132))) (i32.load (global.get $tls)))`,
    [
      `(func (param i32) (result i32) (local $left i32) (local.set $left (i32.const 1000))
         (if (i32.le_u (global.get $stack) (i32.const 131072)) (then unreachable))
         (if (i32.gt_u (i32.add (global.get $stack) (i32.const 8)) (i32.add (global.get $tls) (i32.const 8))) (then unreachable))
         (loop $again
           (i32.store (global.get $tls) (i32.add (i32.load (global.get $tls)) (local.get 0)))
           (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
         (i32.load (global.get $tls)))
       (global $tls (mut i32) (i32.const 2048)) (global (export "__tls_size") i32 (i32.const 8)) (global (export "__tls_align") i32 (i32.const 8))
       (func (export "__wasm_init_tls") (param i32) (global.set $tls (local.get 0)) (i32.store (local.get 0) (i32.const 50000)))`,
    ],
  );
  expect(await value(module)).toBe(51_000 + 52_000);
});

describe("hostile arguments end the call with their name", () => {
  const attempts = PTHREADS.filter(
    ([name]) => !/exit|self|equal|detach|destroy|specific|delete|setstacksize/.test(name) || /mutex_destroy/.test(name),
  );

  test.each(attempts)("%s", async (name, { params }) => {
    for (const pointer of ["-4", "0x7ffffffc", "131070"]) {
      const call = `(call $${name.slice("env.pthread_".length)} ${params.map(() => `(i32.const ${pointer})`).join(" ")})`;
      const end = await value(pthreads(call));
      expect([name, pointer, end]).toEqual([
        name,
        pointer,
        name === "env.pthread_join"
          ? expect.objectContaining({ kind: "trapped" })
          : expect.objectContaining({ kind: "trapped", message: expect.stringMatching(/^pthread_\w+: \w+ at \d+ (\+|is not)/) }),
      ]);
    }
  });
});

test("these are all of them, and with those of attributes and destruction that do nothing they answer 0", async () => {
  expect(PTHREADS.map(([name]) => name.slice("env.".length))).toEqual(NAMES);
  const header = readFileSync(join(import.meta.dirname, "../../../../../guest-sdk/include/pthread.h"), "utf8");
  expect(Array.from(header.matchAll(/NEAP_PTHREAD\((pthread_\w+)\)/g), ([, name]) => name)).toEqual(NAMES);
  const idle = ["attr_destroy", "mutexattr_destroy", "cond_destroy", "mutexattr_init", "attr_init", "key_delete"];
  const calls = [
    ...idle.map((name) => `(call $${name} (i32.const 900))`),
    "(call $attr_setstacksize (i32.const 900) (i32.const 1))",
  ];
  const all = [
    ...calls,
    "(call $attr_setdetachstate (i32.const 900) (i32.const 1))",
    "(call $cond_init (i32.const 900) (i32.const 0))",
  ];
  expect(await value(pthreads(all.join(" ") + " i32.or".repeat(all.length - 1)))).toBe(0);
  expect(await value(pthreads("(call $attr_setdetachstate (i32.const 900) (i32.const 2))"))).toBe(INVAL);
});

test("a thread that is made detached cannot be joined", async () => {
  const module = pthreads(
    `(drop (call $attr_init (i32.const 900))) (drop (call $attr_setdetachstate (i32.const 900) (i32.const 1)))
     (if (call $create (i32.const 128) (i32.const 900) (i32.const 1) (i32.const 0)) (then unreachable))
     (call $join (i32.load (i32.const 128)) (i32.const 0))`,
    ["(func (param i32) (result i32) (i32.const 0))"],
  );
  expect(await value(module)).toBe(SRCH);
});

test("H23: without a shared memory they are refused with the flags to use", () => {
  expect(() => pthreads("(i32.const 0)", [], "2 400")).toThrow();
  const text = `(module (import "env" "pthread_create" (func (param i32 i32 i32 i32) (result i32))) (memory 1) (func (export "main")))`;
  expect(() => prepareModule(wat(text), abiTable, LIMITS)).toThrow(/threads need a memory that they share.*-pthread/);
});
