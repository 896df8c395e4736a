import { describe, expect, it } from "vitest";
import { CallState } from "../../../../../host/sandbox/executor/guest-call.ts";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { FaasmCalls, RESULT } from "../../../../support/faasm-calls.ts";

const PAGE = 65_536;
const [NONE, ANONYMOUS, FIXED] = [0, 0x20, 0x10];

const map = (calls: FaasmCalls, length: number, { flags = ANONYMOUS, fd = -1, offset = 0n } = {}) =>
  calls.call("mmap", 0, length, 3, flags, fd, offset);

/** A file of the call with this text, its descriptor. */
async function open(calls: FaasmCalls, text: string): Promise<number> {
  calls.memory.write("file", 1000);
  calls.memory.write(text, 1100);
  calls.memory.writeUInt32LE(1100, 1008);
  calls.memory.writeUInt32LE(text.length, 1012);
  expect(await calls.wasi("path_open", 3, 0, 1000, 4, 9, 0x46n, 0n, 0, RESULT)).toBe(0);
  const fd = calls.memory.readUInt32LE(RESULT);
  expect(await calls.wasi("fd_write", fd, 1008, 1, RESULT)).toBe(0);
  return fd;
}

describe("mmap", () => {
  it("gives zeros behind the memory, in whole pages", async () => {
    const calls = new FaasmCalls();
    expect(await map(calls, 1)).toBe(2 * PAGE);
    expect(await map(calls, PAGE + 1)).toBe(3 * PAGE);
    expect(calls.pages).toBe(5);
    expect(calls.memory.subarray(2 * PAGE).equals(Buffer.alloc(3 * PAGE))).toBe(true);
  });

  it("gives a copy of a file from an offset, with zeros behind its end", async () => {
    const calls = new FaasmCalls();
    const fd = await open(calls, "the bytes of a file");
    const pointer = Number(await map(calls, 10, { flags: NONE, fd, offset: 4n }));
    expect(calls.text(pointer, 10)).toBe("bytes of a");
    const all = Number(await map(calls, 100, { flags: NONE, fd }));
    expect(calls.text(all, 21)).toBe("the bytes of a file\0\0");
    calls.memory.write("XXX", all);
    expect(calls.text(Number(await map(calls, 3, { flags: NONE, fd })), 3)).toBe("the");
  });

  it("gives a copy of a file that the tenant shares", async () => {
    const calls = new FaasmCalls();
    calls.host.put("files/shared", "what is shared");
    calls.memory.write("shared", 1000);
    expect(await calls.wasi("path_open", 3, 0, 1000, 6, 0, 2n, 0n, 0, RESULT)).toBe(0);
    const pointer = Number(await map(calls, 6, { flags: NONE, fd: calls.memory.readUInt32LE(RESULT), offset: 8n }));
    expect(calls.text(pointer, 7)).toBe("shared\0");
  });

  it.each([
    ["no length", 0, {}],
    ["a fixed address", PAGE, { flags: ANONYMOUS | FIXED }],
    ["a descriptor that is not open", PAGE, { flags: NONE, fd: 99 }],
    ["standard input", PAGE, { flags: NONE, fd: 0 }],
    ["a folder", PAGE, { flags: NONE, fd: 3 }],
    ["a negative offset", PAGE, { offset: -1n }],
    ["more than the memory may have", 63 * PAGE, {}],
    ["more than an address holds", -1, {}],
  ])("answers -1 for %s, and takes nothing", async (_, length, options) => {
    const calls = new FaasmCalls();
    expect(await map(calls, length, options)).toBe(-1);
    const pages = calls.pages;
    expect(await map(calls, PAGE)).toBe(2 * PAGE);
    expect(calls.pages).toBe(Math.max(3, pages));
  });
});

describe("munmap", () => {
  it("leaves zeros, which are the next to be mapped, in a part of the call elsewhere too", async () => {
    const calls = new FaasmCalls();
    const pointer = Number(await map(calls, 3 * PAGE));
    calls.memory.fill(9, pointer);
    expect(await calls.call("munmap", pointer + PAGE, PAGE)).toBe(0);
    expect([calls.memory[pointer + PAGE - 1], calls.memory[pointer + PAGE], calls.memory[pointer + 2 * PAGE]]).toEqual([9, 0, 9]);
    const there = new CallState({ ...calls.guest.call, cpuTimeMs: 1 });
    there.restore(calls.guest.call.encode());
    expect(there.mappings.take(PAGE, "plain", () => -1)).toBe(pointer + PAGE);
    expect(await map(calls, PAGE)).toBe(pointer + PAGE);
  });

  it.each([
    [0, PAGE],
    [PAGE, PAGE],
  ])("answers 0 for %i + %i, which was not mapped, and changes nothing", async (pointer, length) => {
    const calls = new FaasmCalls();
    calls.memory.fill(9);
    expect(await calls.call("munmap", pointer, length)).toBe(0);
    expect(calls.memory.every((byte) => byte === 9)).toBe(true);
  });

  it.each([
    [1, PAGE],
    [0, 0],
    [PAGE, -1],
    [-PAGE, PAGE],
    [0, 3 * PAGE],
  ])("answers -1 for %i + %i", async (pointer, length) => {
    expect(await new FaasmCalls().call("munmap", pointer, length)).toBe(-1);
  });
});

describe("__sbrk", () => {
  it("answers where the new memory begins", async () => {
    const calls = new FaasmCalls();
    expect(await calls.call("__sbrk", 0)).toBe(2 * PAGE);
    expect(await calls.call("__sbrk", 1)).toBe(2 * PAGE);
    expect(await calls.call("__sbrk", 2 * PAGE)).toBe(3 * PAGE);
    expect(calls.pages).toBe(5);
  });

  it.each([-1, -(2 ** 31), 63 * PAGE, 2 ** 31 - 1])("answers -1 for %i", async (increment) => {
    const calls = new FaasmCalls();
    expect(await calls.call("__sbrk", increment)).toBe(-1);
    expect(calls.pages).toBe(2);
  });
});

it("an object that is mapped is not what mmap gives back to somebody else", async () => {
  const calls = new FaasmCalls();
  calls.host.put("key", "object");
  const object = await calls.address("__faasmndp_getMmap", Buffer.from("key"), 0n, 100n, RESULT);
  expect(await map(calls, 1)).not.toBe(object);
  await expect(calls.call("__faasmndp_getMmap", Buffer.from("key"), 0n, 100n, -1)).rejects.toThrow(GuestFault);
});
