/** Pointers and lengths of the host's own imports: a range that ends with the memory is inside, one byte more ends the call. */
import { describe, expect, it } from "vitest";
import { GuestFault } from "../../../../host/sandbox/guest.ts";
import { GuestCalls } from "../../../support/guest-calls.ts";
import { MemoryHost } from "../../../support/memory-guest.ts";

const END = 65_536;

/** What it is called in the message, the argument with the pointer, and the argument with the length, or so many bytes. */
type Range = readonly [what: string, pointer: number, length: number | { readonly bytes: number }];
type Args = readonly (number | bigint)[];

const number = (bytes: number) => ({ bytes });

/** Where the arguments mean nothing else they are pointers to 0 and lengths of 8. */
const IMPORTS: readonly (readonly [name: string, args: Args, ...ranges: Range[]])[] = [
  ["input_read", [0, 0, 8], ["buffer", 0, 2]],
  ["output_write", [0, 8], ["text", 0, 1]],
  ["log_write", [0, 8], ["text", 0, 1]],
  ["fail", [0, 8], ["text", 0, 1]],
  ["object_read", [0, 8, 0n, 0, 8, 8], ["key", 0, 1], ["buffer", 3, 4], ["version", 5, number(8)]],
  ["object_read_for_update", [0, 8, 0, 8, 8], ["key", 0, 1], ["buffer", 2, 3], ["version", 4, number(8)]],
  ["object_write", [0, 8, 0, 8], ["key", 0, 1], ["value", 2, 3]],
  ["object_update", [0, 8, 0, 8, 0n], ["key", 0, 1], ["value", 2, 3]],
  ["object_delete", [0, 8], ["key", 0, 1]],
  ["object_list", [0, 8, 0, 8, 0, 8], ["prefix", 0, 1], ["after", 2, 3], ["buffer", 4, 5]],
  ["call_start", [0, 8, 0, 8], ["name", 0, 1], ["input", 2, 3]],
  ["call_start_bound", [0, 8, 0, 8], ["name", 0, 1], ["input", 2, 3]],
  ["call_await", [0, 0, 8, 8], ["buffer", 1, 2], ["return value", 3, number(4)]],
  ["call_spawn", [0, 8, 0, 8, 0n, 8, 64], ["name", 0, 1], ["input", 2, 3], ["id", 5, 6]],
  ["call_select", [0, 2], ["handles", 0, number(8)]],
  ["storage_call", [0, 8, 0], ["key", 0, 1]],
  ["log_append", [0, 8, 0, 8, 0, 8, 0, 8], ["tags", 0, 1], ["conditions", 2, 3], ["record", 4, 5], ["outcome", 7, number(20)]],
  ["log_post", [0, 8, 0, 8], ["tags", 0, 1], ["record", 2, 3]],
  ["log_read_prev", [0, 8, 0n, 0, 8, 8], ["tag", 0, 1], ["buffer", 3, 4], ["head", 5, number(12)]],
  ["log_read_next", [0, 8, 0n, 0, 8, 8], ["tag", 0, 1], ["buffer", 3, 4], ["head", 5, number(12)]],
  ["log_await_next", [0, 8, 0n, 0n, 0, 8, 8], ["tag", 0, 1], ["buffer", 4, 5], ["head", 6, number(12)]],
  ["log_tail", [0, 8, 0], ["tag", 0, 1], ["tail", 2, number(28)]],
  ["log_trim", [0, 8, 0n], ["tag", 0, 1]],
  ["http_request", [0, 8, 0, 8, 0, 8, 0, 8, 0], ["method", 0, 1], ["url", 2, 3], ["headers", 4, 5], ["body", 6, 7]],
  ["http_read", [0, 0n, 0, 8], ["buffer", 2, 3]],
  ["random_fill", [0, 8], ["buffer", 0, 1]],
  ["transaction_conflict", [0, 8], ["buffer", 0, 1]],
  ["lock", [0, 8], ["name", 0, 1]],
  ["lock_try", [0, 8], ["name", 0, 1]],
  ["unlock", [0, 8], ["name", 0, 1]],
  ["region.open", [0, 8, 64, 0], ["name", 0, 1]],
  ["region.push", [1, 0, 8, 0, 8], ["key", 3, 4]],
  ["region.push_partial", [1, 0, 8, 0, 8, 0n], ["key", 3, 4]],
  ["region.append", [1, 0, 8, 0, 8], ["key", 3, 4]],
  ["region.pull", [1, 0, 8, 0, 8, 0n], ["key", 3, 4]],
  ["region.snapshot", [1, 0, 8, 0], ["buffer", 3, 2]],
];

const cases = IMPORTS.flatMap(([name, args, ...ranges]) => ranges.map((range) => ({ name, args, what: range[0], range })));

describe.each(cases)("$name: $what", ({ name, args, range: [what, pointer, length] }) => {
  const bytes = typeof length === "number" ? Number(args[length]) : length.bytes;
  const withArgs = (values: Readonly<Record<number, number>>) => args.map((arg, at) => values[at] ?? arg);

  it("may end with the memory", async () => {
    const fault = new RegExp(`: ${what} at `);
    await new GuestCalls(new MemoryHost()).call(name, ...withArgs({ [pointer]: END - bytes })).catch((error: unknown) => {
      // As "fail" does.
      expect(error).toBeInstanceOf(GuestFault);
      expect(String(error)).not.toMatch(fault);
    });
  });

  it("ends the call when it goes beyond it, before anything has happened", async () => {
    const outside = [
      { [pointer]: END - bytes + 1 },
      { [pointer]: -1 },
      { [pointer]: -(2 ** 31) },
      ...(typeof length === "number" ? [{ [length]: -1 }, { [pointer]: 1, [length]: END }] : []),
    ];
    for (const values of outside) {
      const host = new MemoryHost();
      const calls = new GuestCalls(host);
      const state = calls.guest.call.encode();
      const [at, size] = [values[pointer] ?? args[pointer], typeof length === "number" ? (values[length] ?? bytes) : bytes];
      await expect(calls.call(name, ...withArgs(values)), JSON.stringify(values)).rejects.toThrow(
        new GuestFault(`${name}: ${what} at ${Number(at) >>> 0} + ${Number(size) >>> 0} is outside the memory of ${END} bytes`),
      );
      expect([host.operations, host.logs]).toEqual([[], []]);
      expect(calls.guest.call.encode()).toEqual(state);
      expect(calls.memory.every((byte) => byte === 0)).toBe(true);
    }
  });
});
