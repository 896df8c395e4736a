import { describe, expect, it } from "vitest";
import { typeName } from "../../../../../host/abi/faasm/type-name.ts";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { FaasmCalls } from "../../../../support/faasm-calls.ts";

const [TYPE, NAME, TEXT] = [1000, 1100, 1200];

/** Throws an exception whose type has this mangled name, and whose object begins with these words. */
async function thrown(name: string, ...words: number[]): Promise<string> {
  const calls = new FaasmCalls();
  calls.memory.write(`${name}\0`, NAME);
  calls.memory.write("what happened\0", TEXT);
  calls.memory.writeUInt32LE(NAME, TYPE + 4);
  const exception = Number(await calls.call("__cxa_allocate_exception", 16));
  for (const [at, word] of words.entries()) {
    calls.memory.writeUInt32LE(word, exception + 4 * at);
  }
  return calls.call("__cxa_throw", exception, TYPE, 0).then(
    () => "went on",
    (error: unknown) => (error instanceof GuestFault ? error.message : "another error"),
  );
}

describe("__cxa_throw", () => {
  it.each([
    ["St13runtime_error", [7, TEXT], "std::runtime_error: what happened"],
    ["St12out_of_range", [7, TEXT], "std::out_of_range: what happened"],
    ["PKc", [TEXT], "char const*: what happened"],
    ["i", [0xffff_ffff], "int: -1"],
    ["N3app5errorE", [7, TEXT], "app::error"],
    ["7MyError", [], "MyError"],
  ])("ends the call with what was thrown: %s", async (name, words, message) => {
    expect(await thrown(name, ...words)).toBe(`a C++ exception was thrown: ${message}`);
  });

  it("reads nothing outside of the memory", async () => {
    expect(await thrown("St13runtime_error", 7, 0xffff_fff0)).toBe("a C++ exception was thrown: std::runtime_error");
    for (const pointer of [0, -1, 131_070, 2 ** 31 - 1]) {
      await expect(new FaasmCalls().call("__cxa_throw", pointer, pointer, pointer)).rejects.toThrow(
        "a C++ exception was thrown: an unknown type",
      );
    }
  });
});

describe("typeName", () => {
  it.each([
    ["NSt3__112bad_functionE", "std::bad_function"],
    ["N1a1b1cE", "a::b::c"],
    ["x", "long long"],
    ["3ab", "3ab"],
    ["0", "0"],
    ["", ""],
    ["St6vectorIiSaIiEE", "St6vectorIiSaIiEE"],
    [`${"9".repeat(400)}a`, `${"9".repeat(400)}a`],
  ])("of %j is %j", (mangled, name) => {
    expect(typeName(mangled)).toBe(name);
  });
});

describe("__cxa_allocate_exception and __cxa_free_exception", () => {
  it("give room with a header in front of it, and take it back", async () => {
    const calls = new FaasmCalls();
    const first = Number(await calls.call("__cxa_allocate_exception", 100_000));
    expect(first % 16).toBe(0);
    expect(calls.memory.subarray(first, first + 100_000).every((byte) => byte === 0)).toBe(true);
    await calls.call("__cxa_free_exception", first);
    expect(await calls.call("__cxa_allocate_exception", 8)).toBe(first);
  });

  it("end the call when there is no room, and leave what is not theirs", async () => {
    const calls = new FaasmCalls();
    await expect(calls.call("__cxa_allocate_exception", -1)).rejects.toThrow("a C++ exception of 4294967295 bytes was thrown");
    calls.memory.fill(9);
    for (const pointer of [0, 128, 65_664, -1]) {
      await calls.call("__cxa_free_exception", pointer);
    }
    expect(calls.memory.every((byte) => byte === 9)).toBe(true);
  });
});

describe("what a throw would lead to", () => {
  it.each([
    "__cxa_rethrow",
    "__cxa_begin_catch",
    "__cxa_end_catch",
    "__cxa_get_exception_ptr",
    "_Unwind_RaiseException",
    "_Unwind_Resume",
    "_Unwind_Resume_or_Rethrow",
    "_Unwind_DeleteException",
  ])("%s ends the call", async (name) => {
    await expect(new FaasmCalls().call(name, 1000)).rejects.toThrow(
      new GuestFault(`${name}: the module was built without exceptions, a throw ends the call`),
    );
  });
});
