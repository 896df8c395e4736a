import { describe, expect, it } from "vitest";
import { createImports } from "../../../../host/abi/create-imports.ts";
import { GuestFault } from "../../../../host/sandbox/guest.ts";
import { GuestCalls } from "../../../support/guest-calls.ts";
import { MemoryGuest, MemoryHost } from "../../../support/memory-guest.ts";

describe("input and output", () => {
  it("gives the input piece by piece, and nothing behind its end", async () => {
    const guest = new MemoryGuest(new MemoryHost(), Buffer.from("0123456789"));
    const memory = Buffer.alloc(100, ".");
    guest.attachBytes(memory);
    const imports = createImports(guest);
    const read = imports["neap.input_read"]?.run as ((...args: number[]) => number) | undefined;
    expect([read?.(0, 0, 4), read?.(10, 8, 10), read?.(20, 10, 10), read?.(20, -1, 10)]).toEqual([4, 2, 0, 0]);
    expect(memory.toString("utf8", 0, 22)).toBe("0123......89..........");
    const size = imports["neap.input_size"]?.run as (() => number) | undefined;
    expect([size?.(), await new GuestCalls(new MemoryHost()).call("input_size")]).toEqual([10, 0]);
  });

  it("appends what is written, in order", async () => {
    const calls = new GuestCalls(new MemoryHost());
    await calls.call("output_write", "one ");
    await calls.call("output_write", "two");
    await calls.call("output_write", 65_536, 0);
    expect(Buffer.from(calls.guest.call.output()).toString()).toBe("one two");
  });

  it("ends a call whose output is larger than it may be", async () => {
    const calls = new GuestCalls(new MemoryHost(), 32 * 1024 * 1024);
    await calls.call("output_write", 0, 32 * 1024 * 1024);
    await calls.call("output_write", 0, 32 * 1024 * 1024);
    await expect(calls.call("output_write", 0, 1)).rejects.toThrow("output is 67108865 bytes, at most 67108864 are allowed");
  });
});

describe("log_write", () => {
  it("passes text on and shows what is not UTF-8 as such", async () => {
    const host = new MemoryHost();
    const calls = new GuestCalls(host);
    await calls.call("log_write", "grüße");
    calls.memory.set([0x61, 0xff, 0x62], 0);
    await calls.call("log_write", 0, 3);
    expect(host.logs).toEqual(["grüße", "a\ufffdb"]);
  });

  it("does not even decode what is above the call's limit", async () => {
    const host = new MemoryHost();
    const calls = new GuestCalls(host);
    calls.memory.fill(0x78);
    await calls.call("log_write", 0, 60_000);
    await calls.call("log_write", 0, 60_000);
    const { length } = host.logs.join("");
    expect(length).toBeGreaterThan(calls.guest.call.logMaxBytes);
    expect(length).toBeLessThan(calls.guest.call.logMaxBytes + 10);
  });
});

describe("fail", () => {
  it("ends the call with the guest's text, cut where it is too long", async () => {
    const calls = new GuestCalls(new MemoryHost());
    await expect(calls.call("fail", "größer als 😀")).rejects.toThrow(new GuestFault("größer als 😀"));
    await expect(calls.call("fail", "")).rejects.toThrow(new GuestFault("the function failed"));
    calls.memory.fill(0x78);
    await expect(calls.call("fail", 0, 60_000)).rejects.toThrow(new GuestFault("x".repeat(4096)));
    await expect(calls.call("fail", 65_536, 1)).rejects.toThrow("fail: text at 65536 + 1 is outside the memory");
  });
});
