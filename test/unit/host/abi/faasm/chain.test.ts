import { describe, expect, it } from "vitest";
import { Operation } from "../../../../../host/abi/operations.ts";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { FaasmCalls, RESULT } from "../../../../support/faasm-calls.ts";
import { wat } from "../../../../support/guest-modules.ts";

/** Writes its input twice as output and returns its length. */
const TWICE = new WebAssembly.Module(
  wat(`(module
    (import "env" "__faasm_read_input" (func $read (param i32 i32) (result i32)))
    (import "env" "__faasm_write_output" (func $write (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "main") (result i32) (local $length i32)
      (local.set $length (call $read (i32.const 0) (i32.const 100)))
      (drop (call $read (local.get $length) (i32.const 100)))
      (call $write (i32.const 0) (i32.mul (i32.const 2) (local.get $length)))
      (local.get $length)))`),
);

function started(): FaasmCalls {
  const calls = new FaasmCalls();
  calls.host.functions.set("twice", TWICE);
  return calls;
}

describe("__faasm_chain_name", () => {
  it("gives ids from 1 on, and each call its own input and answer, in any order", async () => {
    const calls = started();
    expect(await calls.call("__faasm_chain_name", "twice", Buffer.from("ab"))).toBe(1);
    expect(await calls.call("__faasm_chain_name", "twice", Buffer.from("xyz"))).toBe(2);
    expect(await calls.call("__faasm_await_call_output", 2, RESULT, 100)).toBe(3);
    expect(calls.text(RESULT, 6)).toBe("xyzxyz");
    expect(await calls.call("__faasm_await_call_output", 1, RESULT, 100)).toBe(2);
    expect(calls.text(RESULT, 6)).toBe("ababyz");
  });

  it("answers 0 for what can be no function, without a call", async () => {
    const calls = started();
    for (const name of ["", "a/", "/b", "a/b/c", "a/_b", "..", "a b"]) {
      expect(await calls.call("__faasm_chain_name", name, Buffer.alloc(0))).toBe(0);
    }
    expect(calls.host.operations).toEqual([]);
  });

  it("fails at the await for a function that there is not", async () => {
    const calls = started();
    expect(await calls.call("__faasm_chain_name", "nobody", Buffer.alloc(0))).toBe(1);
    expect(await calls.call("__faasm_await_call", 1)).toBe(1);
  });

  it("ends the call for a name without end, an input outside of the memory, or one that is too large", async () => {
    const calls = started();
    await expect(calls.call("__faasm_chain_name", 131_071, 0, 0)).resolves.toBe(0);
    calls.memory.fill(65, 0, 200);
    await expect(calls.call("__faasm_chain_name", 0, 0, 0)).rejects.toThrow("does not end with a NUL within 193 bytes");
    await expect(calls.call("__faasm_chain_name", "twice", 131_071, 2)).rejects.toThrow(GuestFault);
    expect(calls.guest.grow(20)).toBe(2);
    await expect(calls.call("__faasm_chain_name", "twice", 0, 1024 * 1024 + 1)).rejects.toThrow(
      "__faasm_chain_name: input is 1048577 bytes, at most 1048576 are allowed",
    );
    expect(calls.host.operations).toEqual([]);
  });
});

describe("__faasm_chain_ptr", () => {
  it("asks for a call at the index of the table, which is unsigned", async () => {
    const calls = started();
    expect(await calls.call("__faasm_chain_ptr", -1, Buffer.from("in"))).toBe(1);
    expect(calls.host.operations).toEqual([Operation.callStartAt]);
    expect(calls.host.startedAt).toEqual([{ tableIndex: 2 ** 32 - 1, input: "in" }]);
  });
});

describe("__faasm_await_call", () => {
  it("gives the return value, again and again, and keeps the output for whoever asks for it then", async () => {
    const calls = started();
    await calls.call("__faasm_chain_name", "twice", Buffer.from("abc"));
    expect(await calls.call("__faasm_await_call", 1)).toBe(3);
    expect(await calls.call("__faasm_await_call", 1)).toBe(3);
    expect(await calls.call("__faasm_await_call_output", 1, RESULT, 4)).toBe(3);
    expect(calls.text(RESULT, 6)).toBe("abca\0\0");
  });

  it.each([0, 2, -1, 2 ** 31 - 1, -(2 ** 31)])("answers 1 for the id %i, which nobody was given", async (id) => {
    const calls = started();
    await calls.call("__faasm_chain_name", "twice", Buffer.alloc(0));
    expect(await calls.call("__faasm_await_call", id)).toBe(1);
    expect(await calls.call("__faasm_await_call_output", id, 0, 0)).toBe(1);
  });

  it("ends the call for a buffer outside of the memory before it waits", async () => {
    const calls = started();
    await calls.call("__faasm_chain_name", "twice", Buffer.alloc(0));
    await expect(calls.call("__faasm_await_call_output", 1, 131_072, 1)).rejects.toThrow(GuestFault);
    expect(calls.host.operations).toEqual([Operation.callStart]);
  });
});

it("none of them is possible inside a storage part", async () => {
  const calls = started();
  calls.guest.call.inPart = true;
  const asked = [
    ["__faasm_chain_name", "twice", 0, 0],
    ["__faasm_chain_ptr", 0, 0, 0],
    ["__faasm_await_call", 1],
    ["__faasm_await_call_output", 1, 0, 0],
  ] as const;
  for (const [name, ...args] of asked) {
    await expect(calls.call(name, ...args), name).rejects.toThrow(`${name}: not possible inside a storage part`);
  }
  expect(calls.host.operations).toEqual([]);
});
