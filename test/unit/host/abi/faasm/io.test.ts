import { describe, expect, it } from "vitest";
import { CallState, GuestKill } from "../../../../../host/sandbox/executor/guest-call.ts";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { FaasmCalls, RESULT } from "../../../../support/faasm-calls.ts";
import { wat } from "../../../../support/guest-modules.ts";
import { MemoryHost } from "../../../../support/memory-guest.ts";

describe("__faasm_read_input", () => {
  it("answers the size for a length of 0, and copies as much as there is room for", async () => {
    const calls = new FaasmCalls("hello");
    expect(await calls.call("__faasm_read_input", 0, 0)).toBe(5);
    expect(await calls.call("__faasm_read_input", RESULT, 3)).toBe(3);
    expect(calls.text(RESULT, 4)).toBe("hel\0");
    expect(await calls.call("__faasm_read_input", RESULT, 100)).toBe(5);
    expect(calls.text(RESULT, 5)).toBe("hello");
  });

  it("answers 0 for an empty input", async () => {
    expect(await new FaasmCalls("").call("__faasm_read_input", RESULT, 10)).toBe(0);
  });

  it.each([
    [-1, 1],
    [131_072, 1],
    [0, -1],
  ])("ends the call for a buffer at %i + %i", async (pointer, length) => {
    await expect(new FaasmCalls("hello").call("__faasm_read_input", pointer, length)).rejects.toThrow(GuestFault);
  });
});

describe("__faasm_write_output", () => {
  it("puts its bytes in place of those before, behind what was printed", async () => {
    const calls = new FaasmCalls();
    await calls.call("__faasm_write_output", Buffer.from("first, longer"));
    calls.guest.call.appendOutput(Buffer.from("printed "));
    await calls.call("__faasm_write_output", Buffer.from("second"));
    expect(calls.output).toBe("printed second");
    await calls.call("__faasm_write_output", 0, 0);
    expect(calls.output).toBe("printed ");
  });

  it("takes a copy: what the guest writes there later is no output", async () => {
    const calls = new FaasmCalls();
    await calls.call("__faasm_write_output", Buffer.from("kept"));
    calls.memory.fill(0);
    expect(calls.output).toBe("kept");
  });

  it("ends the attempt above the limit, which counts what was printed", async () => {
    const pins = { input: Buffer.alloc(0), commandLine: Buffer.alloc(0), startTimeMs: 0, seed: Buffer.alloc(16) };
    const call = new CallState({ ...pins, outputMaxBytes: 10, logMaxBytes: 0, cpuTimeMs: 1 });
    call.appendOutput(Buffer.alloc(4));
    call.replaceOutput(Buffer.alloc(6));
    expect(() => call.replaceOutput(Buffer.alloc(7))).toThrow(GuestKill);
    expect(() => call.appendOutput(Buffer.alloc(1))).toThrow(GuestKill);
    expect(call.output().byteLength).toBe(10);
  });

  it("H15: travels with the call, and can be replaced there", () => {
    const pins = { input: Buffer.alloc(0), commandLine: Buffer.alloc(0), startTimeMs: 0, seed: Buffer.alloc(16) };
    const here = new CallState({ ...pins, outputMaxBytes: 100, logMaxBytes: 0, cpuTimeMs: 1 });
    here.appendOutput(Buffer.from("printed "));
    here.replaceOutput(Buffer.from("first"));
    const there = new CallState({ ...pins, outputMaxBytes: 100, logMaxBytes: 0, cpuTimeMs: 1 });
    there.restore(here.encode());
    there.replaceOutput(Buffer.from("second"));
    expect(Buffer.from(there.output()).toString()).toBe("printed second");
  });

  it("ends the call for bytes outside of the memory", async () => {
    await expect(new FaasmCalls().call("__faasm_write_output", 131_071, 2)).rejects.toThrow(
      new GuestFault("__faasm_write_output: bytes at 131071 + 2 is outside the memory of 131072 bytes"),
    );
  });
});

describe("__faasm_conf_flag", () => {
  it("is 1 for ALWAYS_ON only", async () => {
    const calls = new FaasmCalls();
    const answers = ["ALWAYS_ON", "ALWAYS_OFF", "PYTHON_PRELOAD", ""].map((name) => calls.call("__faasm_conf_flag", name));
    expect(await Promise.all(answers)).toEqual([1, 0, 0, 0]);
  });

  it("ends the call for a name without end", async () => {
    const calls = new FaasmCalls();
    calls.memory.fill(65);
    await expect(calls.call("__faasm_conf_flag", 0)).rejects.toThrow(
      "__faasm_conf_flag: name at 0 does not end with a NUL within 256 bytes and the memory",
    );
    await expect(calls.call("__faasm_conf_flag", 131_000)).rejects.toThrow(GuestFault);
    await expect(calls.call("__faasm_conf_flag", -1)).rejects.toThrow(GuestFault);
  });
});

it("__faasm_backtrace logs the functions that are being called, as many as were asked for", async () => {
  const host = new MemoryHost();
  const module = (depth: number) =>
    new WebAssembly.Module(
      wat(`(module
        (import "env" "__faasm_backtrace" (func $backtrace (param i32)))
        (memory (export "memory") 1)
        (func $inner (call $backtrace (i32.const ${depth})))
        (func $outer (call $inner))
        (func (export "main") (result i32) (call $outer) (i32.const 0)))`),
    );
  await host.run(module(2), "");
  expect(host.logs[0]?.split("\n").map((line) => line.split(" ")[1])).toEqual(["inner", "outer"]);
  await host.run(module(-1), "");
  expect(host.logs[1]).toBe("");
});
