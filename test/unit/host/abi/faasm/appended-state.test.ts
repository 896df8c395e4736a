import { describe, expect, it } from "vitest";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { FaasmCalls, RESULT } from "../../../../support/faasm-calls.ts";

async function appended(...elements: string[]): Promise<FaasmCalls> {
  const calls = new FaasmCalls();
  for (const element of elements) {
    await calls.call("__faasm_append_state", "list", Buffer.from(element));
  }
  return calls;
}

async function read(calls: FaasmCalls, count: number, length = 20, key = "list"): Promise<string> {
  calls.memory.fill(".", RESULT, RESULT + 24);
  await calls.call("__faasm_read_appended_state", key, RESULT, length, count);
  return calls.text(RESULT, 24).replace(/\.+$/, "");
}

describe("__faasm_append_state and __faasm_read_appended_state", () => {
  it("keep the elements in their order", async () => {
    const calls = await appended("one ", "two ", "", "three");
    expect(await read(calls, 4)).toBe("one two three");
    expect(await read(calls, 2)).toBe("one two ");
    expect(await read(calls, 0)).toBe("");
  });

  it("copy what there is, when that are fewer elements or less room", async () => {
    const calls = await appended("one ", "two ");
    expect(await read(calls, 100)).toBe("one two ");
    expect(await read(calls, -1)).toBe("one two ");
    expect(await read(calls, 100, 6)).toBe("one tw");
    expect(await read(calls, 100, 0)).toBe("");
    expect(await read(calls, 100, 20, "other")).toBe("");
  });

  it("are of one key each, and are no value of it", async () => {
    const calls = await appended("one");
    expect(await calls.call("__faasm_read_state", "list", 0, 0)).toBe(0);
  });

  it("end the call for an element that is too large, or bytes outside of the memory", async () => {
    const calls = await appended();
    calls.guest.grow(10);
    await expect(calls.call("__faasm_append_state", "list", 0, 262_145)).rejects.toThrow(
      "__faasm_append_state: 262145 bytes, at most 262144 are allowed",
    );
    await expect(calls.call("__faasm_append_state", "list", -1, 10)).rejects.toThrow(GuestFault);
    await expect(calls.call("__faasm_read_appended_state", "list", -1, 10, 1)).rejects.toThrow(GuestFault);
    await expect(calls.call("__faasm_append_state", "", 0, 0)).rejects.toThrow(GuestFault);
  });
});

describe("__faasm_clear_appended_state", () => {
  it("empties the list, and what comes then is its beginning", async () => {
    const calls = await appended("one ", "two ");
    await calls.call("__faasm_clear_appended_state", "list");
    expect(await read(calls, 10)).toBe("");
    await calls.call("__faasm_append_state", "list", Buffer.from("three"));
    expect(await read(calls, 10)).toBe("three");
  });

  it("does nothing to a list that there is not", async () => {
    const calls = await appended();
    await calls.call("__faasm_clear_appended_state", "list");
    expect(await read(calls, 10)).toBe("");
    await expect(calls.call("__faasm_clear_appended_state", -1)).rejects.toThrow(GuestFault);
  });
});
