import { describe, expect, it } from "vitest";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { FaasmCalls } from "../../../../support/faasm-calls.ts";

const ROOM = 1000;

describe("puts", () => {
  it("writes a line to the output", async () => {
    const calls = new FaasmCalls();
    expect(await calls.call("puts", "hello")).toBe(6);
    expect(await calls.call("puts", "")).toBe(1);
    expect(calls.output).toBe("hello\n\n");
  });

  it("ends the call for a text without end", async () => {
    const calls = new FaasmCalls();
    calls.memory.fill(65);
    await expect(calls.call("puts", 100)).rejects.toThrow(GuestFault);
    expect(calls.output).toBe("");
  });
});

it("bzero fills with zeros, and ends the call outside of the memory", async () => {
  const calls = new FaasmCalls();
  calls.memory.fill(9);
  await calls.call("bzero", ROOM, 3);
  expect([...calls.memory.subarray(ROOM - 1, ROOM + 4)]).toEqual([9, 0, 0, 0, 9]);
  await expect(calls.call("bzero", 131_071, 2)).rejects.toThrow(GuestFault);
});

it("getcwd is the root, when there is room for it", async () => {
  const calls = new FaasmCalls();
  expect(await calls.call("getcwd", ROOM, 2)).toBe(ROOM);
  expect(calls.text(ROOM, 2)).toBe("/\0");
  expect(await calls.call("getcwd", ROOM, 1)).toBe(0);
  await expect(calls.call("getcwd", -1, 2)).rejects.toThrow(GuestFault);
});

it("uname has six names, each with its end", async () => {
  const calls = new FaasmCalls();
  calls.memory.fill(9);
  expect(await calls.call("uname", ROOM)).toBe(0);
  const names = Array.from({ length: 6 }, (_, at) => calls.text(ROOM + 65 * at, 65).replace(/\0+$/, ""));
  expect(names).toEqual(["Neap", "neap", "1", "1", "wasm32", "(none)"]);
  expect(calls.memory[ROOM + 390]).toBe(9);
  await expect(calls.call("uname", 131_072 - 389)).rejects.toThrow(GuestFault);
});

it("getpwuid, dup, __wasi_fd_dup and ioctl say that there is no such thing", async () => {
  const calls = new FaasmCalls();
  expect(await calls.call("getpwuid", 0)).toBe(0);
  expect(await calls.call("dup", 1)).toBe(-1);
  expect(await calls.call("__wasi_fd_dup", 1, -1)).toBe(58);
  expect(await calls.call("ioctl", 1, 21_523, -1)).toBe(-1);
});
