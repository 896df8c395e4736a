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
  });

  it("appends what is written, in order", async () => {
    const calls = new GuestCalls(new MemoryHost());
    await calls.call("output_write", "one ");
    await calls.call("output_write", "two");
    expect(Buffer.from(calls.guest.call.output()).toString()).toBe("one two");
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

describe("env.abort", () => {
  const abort = (message: string, file: string) => {
    const guest = new MemoryGuest(new MemoryHost(), new Uint8Array(0));
    const memory = Buffer.alloc(65_536);
    guest.attachBytes(memory);
    const place = (text: string, pointer: number) => {
      memory.writeUInt32LE(text.length * 2, pointer - 4);
      memory.write(text, pointer, "utf16le");
      return pointer;
    };
    const run = createImports(guest)["env.abort"]?.run as ((...args: number[]) => never) | undefined;
    return () => run?.(place(message, 16), file === "" ? 0 : place(file, 30_000), 7, 9);
  };

  it("ends the call with AssemblyScript's message and its place", () => {
    expect(abort("größer als 😀", "main.ts")).toThrow(new GuestFault("größer als 😀 at main.ts:7:9"));
    expect(abort("", "")).toThrow(new GuestFault("abort"));
  });

  it("cuts a message that never ends", () => {
    expect(abort("x".repeat(10_000), "")).toThrow(new GuestFault("x".repeat(2_048)));
  });
});
