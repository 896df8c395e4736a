import { afterAll, beforeAll, expect, test } from "vitest";
import { guestStateBytes } from "../../../../host/sandbox/frames/protocol.ts";
import { isShared } from "../../../../host/sandbox/frames/shared-bytes.ts";
import type { SandboxEnd, SandboxPool } from "../../../../host/sandbox/index.ts";
import type { GuestState } from "../../../../host/sandbox/sandbox.ts";
import { ByteReader } from "../../../../state/bytes.ts";
import { begin, openPool, run } from "../../../support/sandbox-calls.ts";
import { SHIP } from "../../../support/test-imports.ts";
import { artefactOf } from "../../../support/wasm.ts";

const NOTHING = new Uint8Array(0);

let compute: SandboxPool;
let storage: SandboxPool;
beforeAll(async () => {
  [compute, storage] = await Promise.all([openPool({ name: "compute" }), openPool({ name: "storage" })]);
});
afterAll(() => Promise.all([compute.close(), storage.close()]));

/** The part changes memory, all kinds of globals, output and size, and asks on the way; the caller returns a digest of all it sees. */
const callWithPart = (how: "part" | "ship", index = 1) =>
  artefactOf(`(module
    (import "t" "${how}" (func $part (param i32) (result i32)))
    (import "t" "ask" (func $ask (param i32) (result i32)))
    (import "t" "exit" (func $exit (param i32)))
    (import "t" "output" (func $output (param i32 i32)))
    (memory (export "$memory") 2 64)
    (table (export "$table") 5 funcref)
    (elem (i32.const 0) $void $work $fail $nested $leave)
    (global $a (export "$global0") (mut i32) (i32.const 7))
    (global $b (export "$global1") (mut i64) (i64.const 0x1234567890abcdef))
    (global $c (export "$global2") (mut f32) (f32.const 1.5))
    (global $d (export "$global3") (mut f64) (f64.const -0.0))
    (data (i32.const 64) "before after")
    (func $void)
    (func $leave (result i32) (call $exit (i32.const 3)) (i32.const 0))
    (func $fail (result i32) (global.set $a (i32.const 1)) unreachable)
    (func $nested (result i32) (i32.add (i32.const 1) (call $part (i32.const 1))))
    (func $work (result i32)
      (global.set $a (i32.add (global.get $a) (call $ask (i32.const 5))))
      (global.set $b (i64.sub (global.get $b) (i64.const 9)))
      (global.set $c (f32.mul (global.get $c) (f32.const 3)))
      (global.set $d (f64.add (global.get $d) (f64.const 0.25)))
      (i32.store8 (i32.const 64) (i32.const 0))
      (i32.store (i32.const 70000) (i32.add (i32.load (i32.const 70000)) (i32.const 11)))
      (drop (memory.grow (i32.const 2)))
      (i32.store (i32.const 200000) (i32.const 77))
      (call $output (i32.const 71) (i32.const 5))
      (i32.const 1000))
    (func (export "run") (result i32) (local $value i32)
      (i32.store (i32.const 70000) (i32.const 31))
      (call $output (i32.const 64) (i32.const 6))
      (local.set $value (call $part (i32.const ${index})))
      (call $output (i32.const 69) (i32.const 2))
      (i32.store (i32.const 0) (global.get $a))
      (i64.store (i32.const 4) (global.get $b))
      (f32.store (i32.const 12) (global.get $c))
      (f64.store (i32.const 16) (global.get $d))
      (i32.store (i32.const 24) (i32.load (i32.const 70000)))
      (i32.store (i32.const 28) (i32.load (i32.const 200000)))
      (i32.store (i32.const 32) (memory.size))
      (i32.store (i32.const 36) (i32.load (i32.const 64)))
      (call $output (i32.const 0) (i32.const 40))
      (local.get $value)))`);

/** Runs the call on `compute` and its shipped parts on `storage`. */
async function runShipped(
  artefact: ReturnType<typeof callWithPart>,
  damage?: (delta: Uint8Array) => void,
  input: Uint8Array = new Uint8Array(0),
  onStates?: (states: readonly GuestState[]) => void,
): Promise<SandboxEnd> {
  let partEnd: SandboxEnd | undefined;
  const call = begin(compute, artefact, {
    input,
    onOperation: async (caller, operation, args) => {
      if (operation !== SHIP) {
        caller.reply({ code: 6, timeMs: 0, bytes: new Uint8Array(0) });
        return;
      }
      const r = new ByteReader(isShared(args) ? args : Uint8Array.from(args));
      const part = {
        snapshotHash: artefact.snapshot.hash,
        tableIndex: r.u32(),
        state: { delta: r.bytes(), hostState: r.bytes() },
      };
      damage?.(part.state.delta);
      partEnd = await run(storage, artefact, { part, input });
      if (partEnd.kind === "returned" && partEnd.state !== undefined) {
        const { value, state } = partEnd;
        onStates?.([part.state, state]);
        const answer = isShared(state.delta) ? { bytes: NOTHING, state } : { bytes: guestStateBytes.encode(state) };
        caller.reply({ code: value, timeMs: 0, ...answer });
      } else {
        caller.cancel();
      }
    },
  });
  const end = await call.end;
  return end.kind === "killed" ? (partEnd ?? end) : end;
}

test("H15: a part that runs elsewhere leaves the call exactly as one that runs here", async () => {
  const local = await run(compute, callWithPart("part"));
  const shipped = await runShipped(callWithPart("ship"));
  expect(local).toMatchObject({ kind: "returned", value: 1000 });
  expect({ ...shipped, cpuMs: 0 }).toEqual({ ...local, cpuMs: 0 });
});

test("a part runs beside an input in shared memory", async () => {
  const input = new Uint8Array(new SharedArrayBuffer(300_000));
  expect(await runShipped(callWithPart("ship"), undefined, input)).toMatchObject({ kind: "returned", value: 1000 });
});

test("a part runs on a sandbox that a call has used before, and the next call finds nothing of it", async () => {
  const artefact = callWithPart("ship");
  const first = await runShipped(artefact);
  const second = await runShipped(artefact);
  expect({ ...second, cpuMs: 0 }).toEqual({ ...first, cpuMs: 0 });
});

test("H27: a large state goes to the part and back in shared memory: the main thread copies none of it", async () => {
  // The caller fills 2 MiB, the part adds one to each word, the caller sums up.
  const artefact = artefactOf(`(module
    (import "t" "ship" (func $part (param i32) (result i32)))
    (memory (export "$memory") 40)
    (table (export "$table") 1 funcref)
    (elem (i32.const 0) $work)
    (func $each (param $add i32) (result i32) (local $at i32) (local $sum i32)
      (loop $next
        (i32.store (local.get $at) (i32.add (local.get $add) (i32.load (local.get $at))))
        (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 2097152))))
      (local.get $sum))
    (func $work (result i32) (call $each (i32.const 1)))
    (func (export "run") (result i32)
      (drop (call $each (i32.const 2)))
      (drop (call $part (i32.const 0)))
      (call $each (i32.const 0))))`);
  let shipped: readonly GuestState[] = [];
  const end = await runShipped(artefact, undefined, NOTHING, (states) => {
    shipped = states;
  });
  expect(end).toMatchObject({ kind: "returned", value: 3 * (2_097_152 / 4) });
  for (const { delta, hostState } of shipped) {
    expect(delta.byteLength).toBeGreaterThan(2_000_000);
    expect([isShared(delta), isShared(hostState)]).toEqual([true, true]);
  }
  expect(shipped).toHaveLength(2);
});

test("H18: a part within a part runs on a stack of its own", async () => {
  expect(await run(compute, callWithPart("part", 3))).toMatchObject({ kind: "returned", value: 1001 });
});

test("H18: a trap in a part is the call's own, here and elsewhere", async () => {
  expect(await run(compute, callWithPart("part", 2))).toMatchObject({ kind: "trapped", message: "unreachable" });
  expect(await runShipped(callWithPart("ship", 2))).toMatchObject({ kind: "trapped", message: "unreachable" });
  expect(await run(compute, callWithPart("part"))).toMatchObject({ kind: "returned", value: 1000 });
});

test("an exit inside a part is the guest's fault, here and elsewhere", async () => {
  const fault = { kind: "trapped", message: "the guest exited inside a storage part" };
  expect(await run(compute, callWithPart("part", 4))).toMatchObject(fault);
  expect(await runShipped(callWithPart("ship", 4))).toMatchObject(fault);
});

test.each([
  [0, "does not take nothing and return an i32"],
  [5, "no function at 5"],
  [-1, "no function at 4294967295"],
])("a table index that names no function () → i32 is the guest's fault (%i)", async (index, text) => {
  const end = await run(compute, callWithPart("part", index));
  expect(end).toMatchObject({ kind: "trapped", message: expect.stringContaining(text) });
});

test("a part of another snapshot is refused before it runs", async () => {
  const artefact = callWithPart("ship");
  const part = { snapshotHash: "0".repeat(64), tableIndex: 1, state: { delta: new Uint8Array(0), hostState: new Uint8Array(0) } };
  const call = begin(storage, artefact, { part });
  expect(await call.end).toMatchObject({ kind: "killed", reason: "cancelled" });
  expect(call.operations.length).toBe(0);
});

test("a damaged state ends the part without a result, and its sandbox is not harmed", async () => {
  const artefact = callWithPart("ship");
  const damaged = await runShipped(artefact, (delta) => delta.fill(255, 0, 4));
  expect(damaged).toMatchObject({ kind: "killed", reason: "cancelled", message: expect.stringContaining("damaged") });
  expect(await runShipped(artefact)).toMatchObject({ kind: "returned", value: 1000 });
});
