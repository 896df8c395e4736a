import { describe, expect, it } from "vitest";
import { GuestError, Operation } from "../../../../host/abi/operations.ts";
import { GuestFault } from "../../../../host/sandbox/guest.ts";
import { GuestCalls } from "../../../support/guest-calls.ts";
import { wat } from "../../../support/guest-modules.ts";
import { MemoryHost } from "../../../support/memory-guest.ts";

const BUFFER = 16_384;
const RETURN_VALUE = 60_000;

/** Writes its input and 30 zero bytes, and returns 9. */
const CALLEE = new WebAssembly.Module(
  wat(`(module
    (import "neap" "input_read" (func $read (param i32 i32 i32) (result i32)))
    (import "neap" "output_write" (func $write (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "main") (result i32)
      (call $write (i32.const 0) (i32.add (i32.const 30) (call $read (i32.const 0) (i32.const 0) (i32.const 100))))
      (i32.const 9)))`),
);

function started(): { host: MemoryHost; calls: GuestCalls } {
  const host = new MemoryHost();
  host.functions.set("callee", CALLEE);
  return { host, calls: new GuestCalls(host, 4 * 1024 * 1024) };
}

describe("call_start and call_await", () => {
  it("numbers calls from 0, and gives each its own answer in any order", async () => {
    const { calls } = started();
    expect(await calls.call("call_start", "callee", "first")).toBe(0);
    expect(await calls.call("call_start", "callee", "second")).toBe(1);
    expect(await calls.call("call_await", 1, BUFFER, 6, RETURN_VALUE)).toBe(36n);
    expect(calls.bytesAt(BUFFER, 7).toString()).toBe("second\0");
    expect(await calls.call("call_await", 0, BUFFER, 100, RETURN_VALUE)).toBe(35n);
    expect(calls.bytesAt(BUFFER, 5).toString()).toBe("first");
    expect(calls.bytesAt(RETURN_VALUE, 4).readInt32LE()).toBe(9);
  });

  it("keeps an answer that did not fit, so that asking again with more room asks nothing of the host", async () => {
    const { host, calls } = started();
    await calls.call("call_start", "callee", "input");
    expect(await calls.call("call_await", 0, BUFFER, 0, 0)).toBe(35n);
    expect(await calls.call("call_await", 0, BUFFER, 35, 0)).toBe(35n);
    expect(calls.bytesAt(BUFFER, 5).toString()).toBe("input");
    const operations = host.operations.filter((operation) => operation === Operation.callAwait);
    expect(operations).toHaveLength(1);
  });

  it("H27: a long answer comes in slices, of which no more are asked for than there is room for", async () => {
    const { host, calls } = started();
    host.functions.set(
      "long",
      new WebAssembly.Module(
        wat(`(module
          (import "neap" "output_write" (func $write (param i32 i32)))
          (memory (export "memory") 40)
          (func (export "main") (result i32)
            (memory.fill (i32.const 2000000) (i32.const 120) (i32.const 500000))
            (call $write (i32.const 0) (i32.const 2500000))
            (i32.const 0)))`),
      ),
    );
    const asked = (operation: Operation) => host.operations.filter((one) => one === operation).length;
    await calls.call("call_start", "long", "");
    expect(await calls.call("call_await", 0, BUFFER, 1_100_000, 0)).toBe(2_500_000n);
    expect([asked(Operation.callAwait), asked(Operation.callOutput)]).toEqual([1, 1]);
    expect(await calls.call("call_await", 0, BUFFER, 2_500_000, 0)).toBe(2_500_000n);
    expect([asked(Operation.callAwait), asked(Operation.callOutput)]).toEqual([1, 3]);
    const wanted = Buffer.concat([Buffer.alloc(2_000_000), Buffer.alloc(500_000, "x")]);
    expect(calls.bytesAt(BUFFER, 2_500_000).equals(wanted)).toBe(true);
  });

  it("shows an unknown function at the await, and a handle never given as invalid", async () => {
    const { calls } = started();
    expect(await calls.call("call_start", "nobody", "")).toBe(0);
    expect(await calls.call("call_await", 0, BUFFER, 10, 0)).toBe(BigInt(GuestError.unknownFunction));
    expect(await calls.call("call_await", 1, BUFFER, 10, 0)).toBe(BigInt(GuestError.invalid));
    expect(await calls.call("call_await", -1, BUFFER, 10, 0)).toBe(BigInt(GuestError.invalid));
  });

  it("refuses inside a storage part, where only the part's node numbers steps (H16)", async () => {
    const { host, calls } = started();
    calls.guest.call.inPart = true;
    expect(await calls.call("call_start", "callee", "")).toBe(GuestError.notInPart);
    expect(await calls.call("call_await", 0, BUFFER, 10, 0)).toBe(BigInt(GuestError.notInPart));
    await expect(calls.call("sleep", 1n)).rejects.toThrow(new GuestFault("sleep: not possible inside a storage part"));
    expect(host.operations).toEqual([]);
  });

  it("refuses what is no function name, and an input above 1 MiB", async () => {
    const { host, calls } = started();
    expect(await calls.call("call_start", "../callee", "")).toBe(GuestError.invalid);
    expect(await calls.call("call_start", "c".repeat(129), "")).toBe(GuestError.invalid);
    expect(await calls.call("call_start", "callee", BUFFER, 1024 * 1024 + 1)).toBe(GuestError.tooLarge);
    expect(await calls.call("call_start", "callee", BUFFER, 1024 * 1024)).toBe(0);
    expect(host.operations).toEqual([Operation.callStart]);
  });
});

describe("call_start_bound", () => {
  it("gives handles in one row with call_start, and asks the host for a bound call", async () => {
    const { host, calls } = started();
    expect(await calls.call("call_start", "callee", "first")).toBe(0);
    expect(await calls.call("call_start_bound", "callee", "second")).toBe(1);
    expect(await calls.call("call_await", 1, BUFFER, 6, 0)).toBe(36n);
    expect(calls.bytesAt(BUFFER, 6).toString()).toBe("second");
    expect(host.operations).toContain(Operation.callStartBound);
  });
});

describe("call_spawn", () => {
  it("stores the id of the call and gives its size; with pointer 0 it asks for none and gives 0", async () => {
    const { host, calls } = started();
    expect(await calls.call("call_spawn", "callee", "now", 0n, BUFFER, 64)).toBe(10);
    expect(calls.bytesAt(BUFFER, 11).toString()).toBe("1-spawned1\0");
    expect(await calls.call("call_spawn", "callee", "later", 31_622_400_000n, 0, 0)).toBe(0);
    expect(host.spawned).toEqual([
      { functionName: "callee", input: "now", delayMs: 0 },
      { functionName: "callee", input: "later", delayMs: 31_622_400_000 },
    ]);
  });

  it("says that there is no such function to whom asks for the id", async () => {
    const { calls } = started();
    expect(await calls.call("call_spawn", "nobody", "", 0n, BUFFER, 64)).toBe(GuestError.unknownFunction);
    expect(await calls.call("call_spawn", "nobody", "", 0n, 0, 0)).toBe(0);
  });

  it("refuses bad names, long inputs, too little room and delays out of range before anything has happened", async () => {
    const { host, calls } = started();
    expect(await calls.call("call_spawn", "../callee", "", 0n, BUFFER, 64)).toBe(GuestError.invalid);
    expect(await calls.call("call_spawn", "callee", BUFFER, 1024 * 1024 + 1, 0n, BUFFER, 64)).toBe(GuestError.tooLarge);
    expect(await calls.call("call_spawn", "callee", "", 0n, BUFFER, 63)).toBe(GuestError.tooLarge);
    await expect(calls.call("call_spawn", "callee", "", -1n, BUFFER, 64)).rejects.toThrow(GuestFault);
    await expect(calls.call("call_spawn", "callee", "", 31_622_400_001n, BUFFER, 64)).rejects.toThrow(
      new GuestFault("call_spawn: delay is 31622400001 ms, must be 0 to 31622400000"),
    );
    calls.guest.call.inPart = true;
    expect(await calls.call("call_spawn", "callee", "", 0n, BUFFER, 64)).toBe(GuestError.notInPart);
    expect(host.operations).toEqual([]);
  });
});

describe("call_select and call_cancel", () => {
  const handlesAt = (calls: GuestCalls, ...handles: number[]) => {
    handles.forEach((handle, index) => {
      new DataView(calls.guest.memory().buffer).setInt32(BUFFER + 4 * index, handle, true);
    });
  };

  it("select gives an index into the handles; a cancelled call's outcome says so, an awaited one's stays", async () => {
    const { calls } = started();
    await calls.call("call_start", "callee", "first");
    await calls.call("call_start", "callee", "second");
    handlesAt(calls, 1, 0);
    expect([0, 1]).toContain(await calls.call("call_select", BUFFER, 2));
    expect(await calls.call("call_cancel", 1)).toBe(1);
    expect(await calls.call("call_await", 1, BUFFER, 100, RETURN_VALUE)).toBe(9n);
    expect(calls.bytesAt(BUFFER, 9).toString()).toBe("cancelled");
    expect(calls.bytesAt(RETURN_VALUE, 4).readInt32LE()).toBe(1);
    await calls.call("call_await", 0, BUFFER, 100, 0);
    expect(await calls.call("call_cancel", 0)).toBe(0);
  });

  it("refuse handles never given, no handles, more than 64, and storage parts", async () => {
    const { host, calls } = started();
    await calls.call("call_start", "callee", "");
    for (const handle of [1, -1]) {
      handlesAt(calls, 0, handle);
      expect(await calls.call("call_select", BUFFER, 2)).toBe(GuestError.invalid);
      expect(await calls.call("call_cancel", handle)).toBe(GuestError.invalid);
    }
    expect(await calls.call("call_select", BUFFER, 0)).toBe(GuestError.invalid);
    expect(await calls.call("call_select", BUFFER, 65)).toBe(GuestError.invalid);
    await expect(calls.call("call_select", BUFFER, -1)).rejects.toThrow(GuestFault);
    calls.guest.call.inPart = true;
    expect(await calls.call("call_select", BUFFER, 1)).toBe(GuestError.notInPart);
    expect(await calls.call("call_cancel", 0)).toBe(GuestError.notInPart);
    expect(host.operations).toEqual([Operation.callStart]);
  });
});

describe("sleep", () => {
  it("sleeps from 0 ms to 366 days", async () => {
    const { host, calls } = started();
    await calls.call("sleep", 0n);
    await calls.call("sleep", 31_622_400_000n);
    expect(host.sleptMs).toBe(366 * 24 * 60 * 60 * 1000);
  });

  it("ends a call that asks for less or more", async () => {
    const { calls } = started();
    await expect(calls.call("sleep", -1n)).rejects.toThrow(GuestFault);
    await expect(calls.call("sleep", 31_622_400_001n)).rejects.toThrow(
      new GuestFault("sleep: duration is 31622400001 ms, must be 0 to 31622400000"),
    );
  });
});
