import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModuleHash } from "../../../../host/modules/artefact.ts";
import type { SandboxCall, SandboxEnd, SandboxPool } from "../../../../host/sandbox/index.ts";
import { eventually } from "../../../support/eventually.ts";
import { begin, ignore, openPool, run } from "../../../support/sandbox-calls.ts";
import {
  asks,
  asksOnce,
  echo,
  plain,
  recurses,
  resident,
  STAINS_FRESH,
  stains,
  traps,
} from "../../../support/sandbox-modules.ts";
import { artefactOf } from "../../../support/wasm.ts";

const returned = (value: number) => expect.objectContaining({ kind: "returned", value });
const text = (end: SandboxEnd) => (end.kind === "returned" ? Buffer.from(end.output).toString() : `${end.kind}`);

let pool: SandboxPool;
beforeAll(async () => {
  pool = await openPool();
});
afterAll(() => pool.close());

describe.each([
  ["without suspending imports", plain],
  ["on a resident stack", resident],
])("a call %s", (_name, make) => {
  test("gets its input and gives its output and value back", async () => {
    const end = await run(pool, echo(make), { input: Buffer.from("spring tide") });
    expect(end).toEqual(returned(11));
    expect(text(end)).toBe("spring tide");
  });

  test.each([
    ["", new ArrayBuffer(700_000)],
    [", an input in shared memory without a copy", new SharedArrayBuffer(700_000)],
  ])("carries input and output larger than a ring frame%s", async (_, buffer) => {
    const input = Buffer.from(buffer).fill("tide");
    const large = make(
      `(local $n i32) (drop (memory.grow (i32.const 30))) (local.set $n (call $input (i32.const 65536)))
       (call $output (i32.const 65536) (local.get $n)) (i32.const 0)`,
    );
    const end = await run(pool, large, { input });
    expect(end.kind === "returned" && input.equals(end.output)).toBe(true);
  });

  test("H9: finds nothing of the call before it in memory, globals or grown pages", async () => {
    const module = stains(make);
    for (let call = 0; call < 5; call++) {
      expect(await run(pool, module)).toEqual(returned(STAINS_FRESH));
    }
    const grows = make("(i32.add (i32.mul (i32.const 100) (memory.size)) (memory.grow (i32.const 3)))");
    expect(await run(pool, grows)).toEqual(returned(202));
    expect(await run(pool, grows)).toEqual(returned(202));
  });

  test("that traps fails with the engine's message, and the next call of the module is not harmed", async () => {
    expect(await run(pool, traps(make))).toMatchObject({ kind: "trapped", message: "unreachable" });
    const sometimes = make("(if (call $input (i32.const 0)) (then unreachable)) (i32.const 3)");
    expect(await run(pool, sometimes, { input: Buffer.from("x") })).toMatchObject({ kind: "trapped" });
    expect(await run(pool, sometimes)).toEqual(returned(3));
  });

  test("that recurses for ever is killed with stackOverflow, and its worker goes on", async () => {
    expect(await run(pool, recurses(make))).toMatchObject({ kind: "killed", reason: "stackOverflow" });
    expect(await run(pool, echo(make), { input: Buffer.from("ab") })).toEqual(returned(2));
  });

  test("grows its memory up to the cap and no further", async () => {
    const end = await run(pool, make("(drop (memory.grow (i32.const 62))) (i32.add (memory.size) (memory.grow (i32.const 1)))"));
    expect(end).toEqual(returned(63));
  });

  test("that writes more output than allowed is killed, even when it catches what the import throws", async () => {
    const writes = "(call $output (i32.const 0) (i32.const 11))";
    const limits = { outputMaxBytes: 10 };
    expect(await run(pool, make(`${writes} (i32.const 0)`), { limits })).toMatchObject({
      kind: "killed",
      reason: "outputTooLarge",
    });
    const catches = make(`(try (do ${writes}) (catch_all)) (i32.const 0)`);
    expect(await run(pool, catches, { limits })).toMatchObject({ kind: "killed", reason: "outputTooLarge" });
  });

  test("that exits ends with that value, and one that faults with the fault's text", async () => {
    const imports = '(import "t" "exit" (func $exit (param i32))) (import "t" "fault" (func $fault))';
    const withExit = (body: string) => make(body, "", imports);
    expect(await run(pool, withExit("(call $exit (i32.const 9)) (i32.const 0)"))).toEqual(returned(9));
    expect(await run(pool, withExit("(try (do (call $exit (i32.const 9))) (catch_all)) (i32.const 0)"))).toEqual(returned(9));
    expect(await run(pool, withExit("(call $fault) (i32.const 0)"))).toMatchObject({ kind: "trapped", message: "not allowed" });
  });

  test("logs up to its limit, and the log says once that more was left out", async () => {
    const log = "(call $log (i32.const 64) (i32.const 4))";
    const logs = make(`${log} ${log} ${log} ${log} (i32.const 0)`);
    const call = begin(pool, logs, { limits: { logMaxBytes: 6 } });
    await call.end;
    expect(call.logs).toEqual(["neap", "ne", "LOG_LIMIT: the call has printed more than 6 bytes, the rest is left out"]);
  });
});

test("an entry without a result returns 0", async () => {
  const nothing = artefactOf(
    '(module (import "t" "ask" (func (param i32) (result i32))) (memory (export "$memory") 1) (func (export "run")))',
  );
  expect(await run(pool, nothing)).toEqual(returned(0));
});

test("an operation suspends the guest until its reply", async () => {
  const call = begin(pool, asksOnce, { onOperation: ignore });
  await call.heard(1);
  expect(call.ends()).toBe(0);
  call.call.reply({ code: 1234, timeMs: 0, bytes: new Uint8Array(0) });
  expect(await call.end).toEqual(returned(1234));
});

test("replies larger than a ring frame arrive whole", async () => {
  const large = resident(
    "(drop (memory.grow (i32.const 10))) (call $ask_bytes (i32.const 65536) (i32.const 400000))",
    "",
    '(import "t" "ask_bytes" (func $ask_bytes (param i32 i32) (result i32)))',
  );
  const call = begin(pool, large);
  expect(await call.end).toEqual(returned(400_000));
  expect(call.operations[0]?.args.byteLength).toBe(400_000);
});

test("3,000 calls suspended at once on two workers all complete", async () => {
  const two = await openPool({ workers: 2 });
  const calls = Array.from({ length: 3_000 }, () => begin(two, asksOnce, { onOperation: ignore }));
  await Promise.all(calls.map((call) => call.heard(1)));
  expect(two.load).toMatchObject({ active: 3_000, queued: 0 });
  for (const [at, { call }] of calls.entries()) {
    call.reply({ code: at, timeMs: 0, bytes: new Uint8Array(0) });
  }
  const ends = await Promise.all(calls.map((call) => call.end));
  expect(ends).toEqual(calls.map((_, at) => returned(at)));
  await two.close();
});

test("H2: no more attempts than the ceiling are in sandboxes, the others wait and then run", async () => {
  const small = await openPool({ sandboxesMax: 30, longSlicesMax: 1 });
  const calls = Array.from({ length: 50 }, () => begin(small, asksOnce, { onOperation: ignore }));
  // A tenth is kept for calls that compute for long; the lane may have as many as the worker.
  await Promise.all(calls.slice(0, 13).map((call) => call.heard(1)));
  expect(small.load).toMatchObject({ active: 13, queued: 37 });
  for (const call of calls) {
    await call.heard(1);
    call.call.reply({ code: 5, timeMs: 0, bytes: new Uint8Array(0) });
  }
  expect(await Promise.all(calls.map((call) => call.end))).toEqual(calls.map(() => returned(5)));
  await small.close();
});

test("attempts beyond the queue's limit are killed with overloaded", async () => {
  const small = await openPool({ sandboxesMax: 2, longSlicesMax: 1, queueMax: 1 });
  await run(small, asksOnce);
  const [first, second, third] = [0, 1, 2].map(() => begin(small, asksOnce, { onOperation: ignore }));
  expect(await third?.end).toMatchObject({ kind: "killed", reason: "overloaded" });
  first?.call.cancel();
  await second?.heard(1);
  await small.close();
  expect(await second?.end).toMatchObject({ kind: "killed", reason: "closed" });
});

test("H6: what is said to or by an attempt that has ended is not heard by the next use of its slot", async () => {
  const one = await openPool({ sandboxesMax: 2, longSlicesMax: 1 });
  // Whatever is slow the first time is not any more: a cancelled call that computes for 10 ms costs its worker.
  await run(one, asksOnce);
  const first = begin(one, asks(2), { onOperation: ignore });
  await first.heard(1);
  first.call.cancel();
  const second = begin(one, asksOnce, { onOperation: ignore });
  await second.heard(1);
  first.call.reply({ code: 666, timeMs: 0, bytes: new Uint8Array(0) });
  second.call.reply({ code: 1, timeMs: 0, bytes: new Uint8Array(0) });
  expect(await second.end).toEqual(returned(1));
  expect([first.ends(), first.operations.length]).toEqual([1, 1]);
  await one.close();
});

test("close ends every attempt once, those started later too", async () => {
  const closing = await openPool();
  const calls = Array.from({ length: 20 }, () => begin(closing, asksOnce, { onOperation: ignore }));
  await calls[0]?.heard(1);
  await closing.close();
  calls.push(begin(closing, asksOnce));
  for (const call of calls) {
    expect(await call.end).toMatchObject({ kind: "killed", reason: "closed" });
    expect(call.ends()).toBe(1);
  }
});

test("a pool whose imports cannot be loaded does not open", async () => {
  await expect(openPool({ importsUrl: new URL("file:///nowhere/imports.ts") })).rejects.toThrow();
});

describe("H5: posted operations", () => {
  test("and what was printed are heard of while their guest computes on, however fast it came to that", async () => {
    const computes = resident(`(call $post (i32.const 64) (i32.const 4)) (call $log (i32.const 64) (i32.const 4))
      (if (call $input (i32.const 1024)) (then (loop $forever (br $forever)))) (i32.const 0)`);
    const own = await openPool();
    // Whatever is slow the first time is not any more.
    for (let call = 0; call < 200; call++) {
      await run(own, computes);
    }
    const call = begin(own, computes, { input: Buffer.from("on"), limits: { wallTimeMs: 60_000 } });
    await call.heard(1);
    await eventually("it has been printed", () => call.logs.length === 1);
    await own.close();
  });

  const posts = (times: number, bytes: number) =>
    resident(`(local $left i32) (local.set $left (i32.const ${times}))
      (loop $again (call $post (i32.const 0) (i32.const ${bytes}))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $ask (i32.const 5))`);

  test("do not wait for the host, up to 256 of them", async () => {
    const call = begin(pool, posts(300, 8), { onOperation: ignore });
    await call.heard(256);
    const probe = await run(pool, asksOnce);
    expect([probe.kind, call.operations.length]).toEqual(["returned", 256]);
    for (let done = 0; done < 256; done++) {
      call.call.acknowledge();
    }
    await call.heard(301);
    expect(call.operations.at(-1)).toMatchObject({ waits: true });
    call.call.cancel();
    await call.end;
  });

  test("do not wait for the host, up to 256 KiB of them", async () => {
    const call = begin(pool, posts(6, 100_000), { onOperation: ignore });
    await call.heard(3);
    await run(pool, asksOnce);
    expect(call.operations.length).toBe(3);
    call.call.acknowledge();
    await call.heard(4);
    call.call.cancel();
    await call.end;
  });

  test("arrive in order, between those that wait", async () => {
    const call = begin(pool, posts(1_000, 8));
    expect(await call.end).toEqual(returned(6));
    expect(call.operations.map(({ waits }) => waits)).toEqual([...Array(1_000).fill(false), true]);
  });
});

describe("a module that is prepared", () => {
  test.each([
    ["without suspending imports", plain],
    ["on a resident stack", resident],
  ])("has a sandbox ready before its first call, %s", async (_name, make) => {
    await using cleanup = new AsyncDisposableStack();
    const fresh = cleanup.adopt(await openPool(), (opened) => opened.close());
    const module = stains(make);
    fresh.prepare(module, "acme");
    await eventually("a sandbox that lies ready", () => fresh.load.idle === 1);
    expect(await run(fresh, module)).toEqual(returned(STAINS_FRESH));
    fresh.prepare(module, "acme");
    expect(await run(fresh, module)).toEqual(returned(STAINS_FRESH));
    await eventually("the same sandbox, and no other one", () => fresh.load.idle === 1);
  });

  test("is no good: its first call says so, and the worker goes on", async () => {
    const unlinked = plain("(call $unknown)", "", '(import "t" "unknown" (func $unknown (result i32)))');
    const broken = { ...echo(plain), hash: "broken" as ModuleHash, wasm: Uint8Array.of(0, 1, 2, 3) };
    pool.prepare(unlinked, "acme");
    pool.prepare(broken, "acme");
    expect(await run(pool, unlinked)).toMatchObject({ kind: "trapped", message: expect.stringContaining("t.unknown") });
    expect(await run(pool, broken)).toMatchObject({ kind: "killed", message: expect.stringContaining("does not compile") });
    expect(await run(pool, echo(plain), { input: Buffer.from("neap") })).toEqual(returned(4));
  });
});

describe("H2: nested calls in a pool that is full", () => {
  /** Begins a chain: each call but the deepest asks, and is answered when the one it has started has ended. */
  function chain(full: SandboxPool, depth: number, depthMax: number, order: number[]): Promise<SandboxEnd> {
    const answer = (call: SandboxCall) => {
      if (depth === depthMax) {
        call.reply({ code: 1, timeMs: 0, bytes: new Uint8Array(0) });
      } else {
        void chain(full, depth + 1, depthMax, order).then(() => call.reply({ code: 1, timeMs: 0, bytes: new Uint8Array(0) }));
      }
    };
    order.push(depth);
    return begin(full, asksOnce, { depth, onOperation: answer }).end;
  }

  test("many chains of depth 5 on one worker with few sandboxes all come to their end, far within their wall time", async () => {
    for (const sandboxesMax of [2, 4, 8]) {
      const full = await openPool({ sandboxesMax });
      const chains = Array.from({ length: 50 }, () => chain(full, 0, 5, []));
      const ends = await Promise.all(chains);
      expect(ends.every(({ kind }) => kind === "returned")).toBe(true);
      await full.close();
    }
  });

  test("a root beyond the queue's limit is refused, a nested call never", async () => {
    const full = await openPool({ sandboxesMax: 2, queueMax: 1 });
    const first = begin(full, asks(1), { onOperation: ignore });
    await first.heard(1);
    const waits = begin(full, echo(resident));
    expect((await begin(full, echo(resident)).end).kind).toBe("killed");
    expect((await begin(full, echo(resident), { depth: 1 }).end).kind).toBe("returned");
    first.call.cancel();
    expect((await waits.end).kind).toBe("returned");
    await full.close();
  });

  test("of what waits, the deepest is first", async () => {
    const full = await openPool({ sandboxesMax: 2 });
    const busy = begin(full, asks(1), { onOperation: ignore });
    await busy.heard(1);
    const ended: string[] = [];
    const wait = async (name: string, depth: number) => {
      await begin(full, echo(resident), { depth }).end;
      ended.push(name);
    };
    const beyond = begin(full, asks(1), { depth: 3, onOperation: ignore });
    await beyond.heard(1);
    const all = [wait("root", 0), wait("first", 1), wait("third", 3), wait("second", 2)];
    beyond.call.cancel();
    await Promise.all(all.slice(1));
    expect(ended).toEqual(["third", "second", "first"]);
    busy.call.cancel();
    await Promise.all(all);
    await full.close();
  });
});
