import { describe, expect, it } from "vitest";
import { GuestFault } from "../../../../../host/sandbox/guest.ts";
import { FaasmCalls } from "../../../../support/faasm-calls.ts";

describe("__faasm_sm_reduce", () => {
  it("takes each type and operation, and changes nothing", async () => {
    const calls = new FaasmCalls();
    const before = Buffer.from(calls.memory);
    for (let type = 0; type < 6; type++) {
      for (let operation = 0; operation < 6; operation++) {
        expect(await calls.call("__faasm_sm_reduce", 131_064, type, operation, 1)).toBeUndefined();
      }
    }
    expect(calls.memory.equals(before)).toBe(true);
  });

  it.each([
    [1000, 6, 0],
    [1000, -1, 0],
    [1000, 0, 6],
    [1000, 0, -1],
    [131_065, 5, 0],
    [131_069, 2, 1],
    [-1, 0, 0],
  ])("ends the call for a variable at %i of type %i, operation %i", async (pointer, type, operation) => {
    await expect(new FaasmCalls().call("__faasm_sm_reduce", pointer, type, operation, 0)).rejects.toThrow(GuestFault);
  });
});

it("__faasm_migrate_point goes on where it is", async () => {
  const calls = new FaasmCalls();
  expect(await calls.call("__faasm_migrate_point", -1, 7)).toBeUndefined();
  expect(calls.host.operations).toEqual([]);
});
