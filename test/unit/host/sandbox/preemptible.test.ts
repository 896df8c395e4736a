import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Artefact } from "../../../../host/modules/index.ts";
import type { SandboxCall, SandboxEnd, SandboxPool } from "../../../../host/sandbox/index.ts";
import { eventually } from "../../../support/eventually.ts";
import { preemptible } from "../../../support/preemptible.ts";
import { begin, type CallOptions, ignore, openPool, persist, run, tellsByMemory } from "../../../support/sandbox-calls.ts";
import { asks, asksOnce, loops, plain, recurses, resident, STAINS_FRESH, stains } from "../../../support/sandbox-modules.ts";

const returned = (value: number) => expect.objectContaining({ kind: "returned", value });
/** Takes some slices. */
const COUNTS = `(local $left i32) (local.set $left (i32.const 20000000))
  (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) (i32.const 11)`;
const FIBONACCI = `(func $f (param i32) (result i32) (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
  (else (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 2)))))))`;
const FIBONACCI_BY_TABLE = `(table 1 funcref) (elem (i32.const 0) $g) (type $one (func (param i32) (result i32)))
  (func $g (param i32) (result i32) (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
  (else (i32.add (call_indirect (type $one) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))
    (call_indirect (type $one) (i32.sub (local.get 0) (i32.const 2)) (i32.const 0))))))`;

let pool: SandboxPool;
beforeAll(async () => {
  pool = await openPool();
});
afterAll(() => pool.close());

describe.each([
  ["without suspending imports", plain],
  ["with suspending imports", resident],
])("a preemptible guest %s", (_name, make) => {
  test("does what it would do otherwise, and finds nothing of the call before it", async () => {
    const module = preemptible(stains(make));
    for (let call = 0; call < 3; call++) {
      expect(await run(pool, module)).toEqual(returned(STAINS_FRESH));
    }
    expect(await keep(preemptible(make(COUNTS))).end).toEqual(returned(11));
  });

  test("H32: ten that loop for ever keep no other call of their worker waiting, displaced or failed", async () => {
    const suspended = await suspend();
    let others = 0;
    const count = () => {
      others += 1;
    };
    const endless = Array.from({ length: 10 }, () => keep(preemptible(loops(make))));
    for (let call = 0; call < 50; call++) {
      expect((await persist(pool, asks(5), {}, count)).kind).toBe("returned");
    }
    expect(await keep(preemptible(make(COUNTS))).end).toEqual(returned(11));
    for (const loop of endless) {
      loop.cancel();
      expect(await loop.end).toMatchObject({ kind: "killed", reason: "cancelled" });
      expect(loop.displaced()).toBeLessThanOrEqual(1 + displacedMax());
    }
    await eventually("the loops have left their sandboxes", () => pool.load.active === 1);
    suspended.answer(3);
    expect(await suspended.end).toEqual(returned(3));
    expect(others + suspended.displaced()).toBeLessThanOrEqual(displacedMax());
  });

  test.each([
    ["loops", loops(make)],
    [
      "loops and catches what can be caught",
      make("(loop $forever (try (do (loop $inner (br $inner))) (catch_all)) (br $forever)) (i32.const 0)"),
    ],
    ["calls itself again and again", make("(call $f (i32.const 60))", FIBONACCI)],
    ["calls itself through a table", make("(call $g (i32.const 60))", FIBONACCI_BY_TABLE)],
  ])("H8: that %s ends at its wall-time limit, and its worker goes on with all other calls", async (_what, module) => {
    const suspended = await suspend();
    const call = keep(preemptible(module), { limits: { wallTimeMs: 200 } });
    expect(await call.end).toMatchObject({ kind: "killed", reason: "wallTime" });
    await eventually("it has left its sandbox", () => pool.load.active === 1);
    suspended.answer(3);
    expect(await suspended.end).toEqual(returned(3));
    expect(suspended.displaced()).toBeLessThanOrEqual(displacedMax());
  });

  test("that recurses for ever is killed with stackOverflow", async () => {
    expect(await run(pool, preemptible(recurses(make)))).toMatchObject({ kind: "killed", reason: "stackOverflow" });
  });
});

test("a plain guest in the same place displaces the calls of its worker: the difference is the polls'", async () => {
  const suspended = begin(pool, asksOnce, { onOperation: ignore });
  await suspended.heard(1);
  const call = begin(pool, loops(plain), { limits: { wallTimeMs: 200 } });
  expect(await call.end).toMatchObject({ kind: "killed", reason: "wallTime" });
  expect(await suspended.end).toMatchObject({ kind: "displaced" });
});

test("a part of a call that loops gives way, and ends with its call", async () => {
  const part = preemptible(
    resident(
      `(call $part (i32.const 0))`,
      `(table (export "$table") 1 funcref) (elem (i32.const 0) $work)
       (func $work (result i32) (loop $forever (br $forever)) (i32.const 1))`,
      '(import "t" "part" (func $part (param i32) (result i32)))',
    ),
  );
  const call = keep(part);
  for (let other = 0; other < 10; other++) {
    expect((await run(pool, asks(5))).kind).toBe("returned");
  }
  call.cancel();
  expect(await call.end).toMatchObject({ kind: "killed", reason: "cancelled" });
  await eventually("it has left its sandbox", () => pool.load.active === 0);
});

test("one that computes for long begins anew in the background, once; the next call of its function begins there", async () => {
  const module = preemptible(resident("(loop $forever (drop (i32.const 77)) (br $forever)) (i32.const 0)"));
  const first = keep(module);
  await eventually("it has been moved", () => first.displaced() === 1);
  const second = keep(module);
  const third = keep(preemptible(plain(COUNTS)));
  expect(await third.end).toEqual(returned(11));
  for (const call of [first, second]) {
    call.cancel();
    await call.end;
  }
  expect([first.displaced(), second.displaced()]).toEqual([1, 0]);
});

/** Runs a call as its owner would: a displaced attempt is started again. */
function keep(module: Artefact, options: CallOptions = {}) {
  let displaced = 0;
  let now = begin(pool, module, options);
  const toTheEnd = async (): Promise<SandboxEnd> => {
    for (;;) {
      const end = await now.end;
      if (end.kind !== "displaced") {
        return end;
      }
      displaced += 1;
      now = begin(pool, module, options);
    }
  };
  return { end: toTheEnd(), cancel: () => now.call.cancel(), displaced: () => displaced };
}

/** A guest that a pipe tells to give way may be told too late on a busy machine: then its worker is given up. */
const displacedMax = () => (tellsByMemory() ? 0 : Number.POSITIVE_INFINITY);

/** A call that waits for an answer in its sandbox, begun again as its owner would. */
async function suspend() {
  let asking: SandboxCall | undefined;
  let value: number | undefined;
  const reply = () => value !== undefined && asking?.reply({ code: value, timeMs: 0, bytes: new Uint8Array(0) });
  const onOperation = (call: SandboxCall) => {
    asking = call;
    reply();
  };
  const { end, displaced } = keep(asksOnce, { onOperation });
  await eventually("it waits", () => asking !== undefined);
  return {
    end,
    displaced,
    answer(given: number) {
      value = given;
      reply();
    },
  };
}
