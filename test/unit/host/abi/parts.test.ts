import { describe, expect, it, test } from "vitest";
import { Operation, partAnswer } from "../../../../host/abi/operations.ts";
import { guestStateBytes } from "../../../../host/sandbox/frames/protocol.ts";
import { GuestFault } from "../../../../host/sandbox/guest.ts";
import { GuestCalls } from "../../../support/guest-calls.ts";
import { wat } from "../../../support/guest-modules.ts";
import { MemoryHost } from "../../../support/memory-guest.ts";

/** Input byte n: main runs part 0, which runs itself again n times inside, then returns how often it ran. */
const NESTED = new WebAssembly.Module(
  wat(`(module
    (import "neap" "storage_call" (func $storage (param i32 i32 i32) (result i32)))
    (import "neap" "input_read" (func $read (param i32 i32 i32) (result i32)))
    (import "neap" "call_start" (func $start (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "key")
    (table (export "table") 1 funcref)
    (elem (i32.const 0) $part)
    (global $left (mut i32) (i32.const 0))
    (global $runs (mut i32) (i32.const 0))
    (func $part (result i32)
      (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
      (if (i32.eqz (global.get $left)) (then (return (global.get $runs))))
      (global.set $left (i32.sub (global.get $left) (i32.const 1)))
      (call $storage (i32.const 8) (i32.const 3) (i32.const 0)))
    (func (export "main") (result i32)
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1)))
      (global.set $left (i32.load8_u (i32.const 0)))
      (i32.add
        (i32.mul (i32.const 100) (call $storage (i32.const 8) (i32.const 3) (i32.const 0)))
        (call $start (i32.const 8) (i32.const 3) (i32.const 0) (i32.const 0)))))`),
);

/** main runs part 1, which runs part 0 ten times, one after the other; then main itself does. It returns how often part 0 ran. */
const SEQUENCE = new WebAssembly.Module(
  wat(`(module
    (import "neap" "storage_call" (func $storage (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "key")
    (table (export "table") 2 funcref)
    (elem (i32.const 0) $count $sequence)
    (global $runs (mut i32) (i32.const 0))
    (func $count (result i32)
      (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
      (i32.rem_u (global.get $runs) (i32.const 10)))
    (func $sequence (result i32)
      (loop $again
        (br_if $again (call $storage (i32.const 8) (i32.const 3) (i32.const 0))))
      (global.get $runs))
    (func (export "main") (result i32)
      (drop (call $storage (i32.const 8) (i32.const 3) (i32.const 1)))
      (call $sequence)))`),
);

describe("storage_call in the place of the call", () => {
  it("runs the function, says when it has ended, and lets calls be started again", async () => {
    const host = new MemoryHost();
    expect(await host.run(NESTED, Buffer.from([0]))).toMatchObject({ trap: null, value: 100 });
    expect(host.operations).toEqual([Operation.partOffer, Operation.partEnd, Operation.callStart]);
  });

  it("H16: runs inner parts in the same place without another offer, 8 deep", async () => {
    const host = new MemoryHost();
    expect(await host.run(NESTED, Buffer.from([7]))).toMatchObject({ trap: null, value: 800 });
    expect(host.operations).toEqual([Operation.partOffer, Operation.partEnd, Operation.callStart]);
  });

  it("H16: ends a call that nests deeper", async () => {
    const { trap } = await new MemoryHost().run(NESTED, Buffer.from([8]));
    expect(trap).toBe("storage_call: parts are nested deeper than 8");
  });

  it("runs any number of parts one after the other, inner and outer", async () => {
    expect(await new MemoryHost().run(SEQUENCE, "")).toMatchObject({ trap: null, value: 20 });
  });

  it.each([2, 2 ** 31 - 1, -1])("ends a call that names the function %i, which its table has not", async (index) => {
    const calls = new GuestCalls(new MemoryHost());
    calls.guest.attach({ table: new WebAssembly.Table({ element: "anyfunc", initial: 2 }) });
    await expect(calls.call("storage_call", "key", index)).rejects.toThrow(
      new GuestFault(`there is no table function ${index >>> 0}`),
    );
  });

  it("runs it here after all when it was shipped and refused", async () => {
    const host = new MemoryHost();
    host.shipPart = () => ({ kind: "local" });
    expect(await host.run(NESTED, Buffer.from([2]))).toMatchObject({ trap: null, value: 300 });
    const { partOffer, partShip, partEnd, callStart } = Operation;
    expect(host.operations).toEqual([partOffer, partShip, partEnd, callStart]);
  });
});

describe("storage_call in another place", () => {
  it("ships memory and host state, and makes what comes back the call's", async () => {
    const host = new MemoryHost();
    const calls = new GuestCalls(host);
    calls.guest.call.clockCount = 5;
    calls.guest.call.appendOutput(Buffer.from("before "));
    host.shipPart = (bytes) => {
      const { delta, hostState } = guestStateBytes.decode(bytes);
      const there = new GuestCalls(host).guest;
      there.call.restore(hostState);
      there.call.inPart = true;
      there.call.clockCount += 1;
      there.call.appendOutput(Buffer.from("after"));
      const changed = Uint8Array.from(delta);
      changed[5_000] = 77;
      return { kind: "done", value: 42, state: { delta: changed, hostState: there.call.encode() } };
    };
    expect(await calls.call("storage_call", "key", 3)).toBe(42);
    expect(calls.memory[5_000]).toBe(77);
    expect(calls.guest.call.clockCount).toBe(6);
    expect(calls.guest.call.inPart).toBe(false);
    expect(Buffer.from(calls.guest.call.output()).toString()).toBe("before after");
    expect(host.operations).toEqual([Operation.partOffer, Operation.partShip]);
  });

  it("F17: a trap there is the call's own trap, with its message, and changes nothing here", async () => {
    const host = new MemoryHost();
    const calls = new GuestCalls(host);
    host.shipPart = () => ({ kind: "trapped", message: "unreachable" });
    await expect(calls.call("storage_call", "key", 3)).rejects.toThrow(new GuestFault("unreachable"));
    expect(calls.guest.restored).toEqual([]);
  });
});

test("H27: the answer of a part leaves a state in shared memory where it is", () => {
  const delta = new Uint8Array(new SharedArrayBuffer(300_000));
  const answer = { kind: "done", value: -5, state: { delta, hostState: delta.subarray(0, 3) } } as const;
  const told = partAnswer.encode(answer);
  expect(told.state?.delta).toBe(delta);
  expect(told.bytes.byteLength).toBeLessThan(100);
  expect(partAnswer.decode(told)).toEqual(answer);
});
