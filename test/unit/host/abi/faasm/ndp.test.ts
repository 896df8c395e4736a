import { describe, expect, it } from "vitest";
import { Operation } from "../../../../../host/abi/operations.ts";
import { CallState } from "../../../../../host/sandbox/executor/guest-call.ts";
import { guestStateBytes } from "../../../../../host/sandbox/frames/protocol.ts";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { FaasmCalls, RESULT } from "../../../../support/faasm-calls.ts";
import { wat } from "../../../../support/guest-modules.ts";
import { MemoryHost } from "../../../../support/memory-guest.ts";

const KEY = Buffer.from("key");
const PAGE = 65_536;
const MAX = 2n ** 31n - 1n;

describe("__faasmndp_put", () => {
  it("writes the whole object, in place of what there was", async () => {
    const calls = new FaasmCalls();
    expect(await calls.call("__faasmndp_put", KEY, Buffer.from("a long value"))).toBe(0);
    expect(await calls.call("__faasmndp_put", KEY, Buffer.from("short"))).toBe(0);
    expect(calls.host.text("key")).toBe("short");
  });

  it("answers -1, and writes nothing, for an argument that is not positive, or a key that is none", async () => {
    const calls = new FaasmCalls();
    for (const args of [
      [0, 3, 16, 4],
      [16, 0, 16, 4],
      [16, -1, 16, 4],
      [16, 3, 0, 4],
      [16, 3, 16, 0],
      [16, 3, 16, -4],
    ]) {
      expect(await calls.call("__faasmndp_put", ...args), args.join()).toBe(-1);
    }
    expect(await calls.call("__faasmndp_put", Buffer.from([0xff, 0xfe]), KEY)).toBe(-1);
    expect(calls.host.operations).toEqual([]);
  });

  it("writes more than one message holds, and answers -1 for more than an object may have", async () => {
    const calls = new FaasmCalls();
    calls.guest.grow(30);
    calls.memory.fill(7, 200_000);
    const length = 1_500_000;
    calls.memory.set(KEY, 100);
    expect(await calls.call("__faasmndp_put", 100, 3, 200_000, length)).toBe(0);
    expect(calls.host.objects.get("key")?.bytes?.byteLength).toBe(length);
    calls.host.objectMaxBytes = length - 1;
    expect(await calls.call("__faasmndp_put", 100, 3, 200_000, length)).toBe(-1);
  });

  it("ends the call for bytes outside of the memory", async () => {
    await expect(new FaasmCalls().call("__faasmndp_put", KEY, 131_000, 1000)).rejects.toThrow(GuestFault);
  });
});

describe("__faasmndp_getMmap", () => {
  it("adds whole pages for the object and copies it there, so that it disturbs nothing", async () => {
    const calls = new FaasmCalls();
    calls.host.put("key", "the object");
    const pointer = await calls.address("__faasmndp_getMmap", KEY, 0n, MAX, RESULT);
    expect(pointer).toBe(2 * PAGE);
    expect(calls.memory.readUInt32LE(RESULT)).toBe(10);
    expect(calls.text(pointer, 11)).toBe("the object\0");
    expect(calls.pages).toBe(3);
  });

  it("maps a slice", async () => {
    const calls = new FaasmCalls();
    calls.host.put("key", "the object");
    const pointer = await calls.address("__faasmndp_getMmap", KEY, 4n, 3n, RESULT);
    expect(calls.text(pointer, calls.memory.readUInt32LE(RESULT))).toBe("obj");
  });

  it("copies an object that no single message holds", async () => {
    const calls = new FaasmCalls();
    const bytes = Buffer.alloc(2_500_000, "0123456789abcdefg");
    calls.host.put("key", bytes);
    const pointer = await calls.address("__faasmndp_getMmap", KEY, 0n, MAX, RESULT);
    expect(calls.memory.subarray(pointer, pointer + bytes.byteLength).equals(bytes)).toBe(true);
    expect(calls.host.operations.length).toBe(3);
  });

  it.each([
    ["no such object", Buffer.from("other"), 0n, MAX],
    ["an offset at its end", KEY, 10n, MAX],
    ["an offset behind its end", KEY, 2n ** 62n, MAX],
    ["a negative offset", KEY, -1n, MAX],
    ["nothing asked for", KEY, 0n, 0n],
    ["less than nothing asked for", KEY, 0n, -1n],
    ["more asked for than an address can hold", KEY, 0n, MAX + 1n],
    ["no key", Buffer.alloc(0), 0n, MAX],
  ])("answers the pointer 0 and the length 0 for %s", async (_, key, offset, length) => {
    const calls = new FaasmCalls();
    calls.host.put("key", "the object");
    calls.memory.fill(255, RESULT, RESULT + 4);
    expect(await calls.call("__faasmndp_getMmap", key, offset, length, RESULT)).toBe(0);
    expect(calls.memory.readUInt32LE(RESULT)).toBe(0);
    expect(calls.pages).toBe(2);
  });

  it("ends the call when the memory may not grow so far, and for a length outside of it", async () => {
    const calls = new FaasmCalls();
    calls.host.put("key", Buffer.alloc(64 * PAGE));
    await expect(calls.call("__faasmndp_getMmap", KEY, 0n, MAX, RESULT)).rejects.toThrow(
      new GuestFault("__faasmndp_getMmap: the memory of 131072 bytes has no room for 4194304 more"),
    );
    await expect(calls.call("__faasmndp_getMmap", KEY, 0n, MAX, 131_070)).rejects.toThrow(GuestFault);
  });
});

describe("__faasmndp_unmap", () => {
  it("leaves zeros, and the pages are the next to be mapped", async () => {
    const calls = new FaasmCalls();
    calls.host.put("key", "the object");
    const first = await calls.address("__faasmndp_getMmap", KEY, 0n, MAX, RESULT);
    const second = await calls.address("__faasmndp_getMmap", KEY, 0n, MAX, RESULT);
    calls.memory.fill(9, first, first + 2 * PAGE);
    expect(await calls.call("__faasmndp_unmap", first, 10)).toBe(0);
    expect(calls.memory.subarray(first, second).equals(Buffer.alloc(PAGE))).toBe(true);
    expect(calls.memory[second]).toBe(9);
    expect(await calls.address("__faasmndp_getMmap", KEY, 4n, MAX, RESULT)).toBe(first);
    expect(calls.text(first, 7)).toBe("object\0");
    expect(calls.pages).toBe(4);
  });

  it.each([
    [0, 131_072],
    [-1, -1],
    [0, -1],
    [2 * PAGE + 1, 5],
    [5 * PAGE, PAGE],
  ])("leaves everything as it is for what was not mapped: %i + %i", async (pointer, length) => {
    const calls = new FaasmCalls();
    calls.memory.fill(9);
    const before = Buffer.from(calls.memory);
    expect(await calls.call("__faasmndp_unmap", pointer, length)).toBe(0);
    expect(calls.memory.equals(before)).toBe(true);
  });

  it("gives back in pieces, and joins what lies side by side", async () => {
    const calls = new FaasmCalls();
    calls.host.put("key", Buffer.alloc(4 * PAGE, 1));
    const start = await calls.address("__faasmndp_getMmap", KEY, 0n, MAX, RESULT);
    for (const page of [3, 1, 0, 2]) {
      await calls.call("__faasmndp_unmap", start + page * PAGE, PAGE);
    }
    expect(await calls.address("__faasmndp_getMmap", KEY, 0n, MAX, RESULT)).toBe(start);
    expect(calls.pages).toBe(6);
  });
});

/** The parts return what they find at the object they map, which they leave mapped, and add what they were called with. */
const PARTS = new WebAssembly.Module(
  wat(`(module
    (import "env" "__faasmndp_getMmap" (func $map (param i32 i32 i64 i64 i32) (result i32)))
    (import "env" "__faasmndp_storageCallAndAwait" (func $part (param i32 i32 i32) (result i32)))
    (import "env" "__faasmndp_storageCallAndAwait1" (func $part1 (param i32 i32 i32 i32) (result i32)))
    (import "env" "__faasmndp_storageCallAndAwait2" (func $part2 (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "__faasm_write_output" (func $write (param i32 i32)))
    (memory (export "memory") 1 10)
    (data (i32.const 100) "key")
    (table (export "table") 3 funcref)
    (elem (i32.const 0) $none $one $two)
    (global $at (mut i32) (i32.const 0))
    (func $first (result i32)
      (global.set $at (call $map (i32.const 100) (i32.const 3) (i64.const 0) (i64.const 100) (i32.const 0)))
      (i32.load8_u (global.get $at)))
    (func $none (result i32) (call $first))
    (func $one (param i32) (result i32) (i32.add (call $first) (local.get 0)))
    (func $two (param i32 i32) (result i32) (i32.sub (i32.add (call $first) (local.get 0)) (local.get 1)))
    (func (export "main") (result i32)
      (i32.store (i32.const 8) (call $part (i32.const 100) (i32.const 3) (i32.const 0)))
      (i32.store (i32.const 12) (call $part1 (i32.const 100) (i32.const 3) (i32.const 1) (i32.const 1000)))
      (i32.store (i32.const 16) (call $part2 (i32.const 100) (i32.const 3) (i32.const 2) (i32.const 1000) (i32.const -5)))
      (i32.store (i32.const 20) (i32.load8_u (global.get $at)))
      (i32.store (i32.const 24) (memory.size))
      (call $write (i32.const 8) (i32.const 20))
      (i32.const 0)))`),
);

describe("__faasmndp_storageCallAndAwait", () => {
  it("H19: runs the function with its arguments, and what it has mapped is gone at its end", async () => {
    const host = new MemoryHost();
    host.put("key", "A");
    const { trap, output } = await host.run(PARTS, "");
    expect(trap).toBeNull();
    const words = Array.from({ length: 5 }, (_, at) => Buffer.from(output).readInt32LE(at * 4));
    expect(words).toEqual([65, 1065, 1070, 0, 2]);
  });

  it("H15: ships the arguments and the mapped pages with the call", async () => {
    const calls = new FaasmCalls();
    calls.host.put("key", "A");
    const mapped = await calls.address("__faasmndp_getMmap", KEY, 0n, MAX, RESULT);
    const there = new CallState({ ...calls.guest.call, cpuTimeMs: 1 });
    calls.host.shipPart = (bytes) => {
      const { delta, hostState } = guestStateBytes.decode(bytes);
      there.restore(hostState);
      return { kind: "done", value: -7, state: { delta: Uint8Array.from(delta), hostState: there.encode() } };
    };
    expect(await calls.call("__faasmndp_storageCallAndAwait2", KEY, 9, 3, -4)).toBe(-7);
    expect(there.partArguments).toEqual([3, -4]);
    await calls.call("__faasmndp_unmap", mapped, 1);
    expect(await calls.address("__faasmndp_getMmap", KEY, 0n, MAX, RESULT)).toBe(mapped);
  });

  it("answers -1 for a key that is none", async () => {
    const calls = new FaasmCalls();
    expect(await calls.call("__faasmndp_storageCallAndAwait", Buffer.alloc(0), 0)).toBe(-1);
    expect(calls.host.operations).toEqual([]);
  });

  it("asks where to run once for each outermost part", async () => {
    const host = new MemoryHost();
    host.put("key", "A");
    await host.run(PARTS, "");
    expect(host.operations.filter((one) => one === Operation.partOffer)).toHaveLength(3);
  });
});
