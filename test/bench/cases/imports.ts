import type { BenchCase } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { benchGuest } from "../support/guests.ts";
import { alternate, nth } from "../support/measurement.ts";

const OBJECT_BYTES = 4096;

/** How a guest reaches the host, and how often in the calls that are measured. */
const KINDS = [
  { kind: "clock", count: 1_000, what: "is answered in the worker (clock)" },
  { kind: "read", count: 100, what: "waits for the main thread (a log-free read)" },
  { kind: "write", count: 100, what: "goes on at once (a posted write)" },
  { kind: "update", count: 50, what: "waits twice (read, and write if nobody else has)" },
] as const;

/** Imports of Faasm's host interface by group. */
const FAASM = [
  { group: "input", count: 1_000, what: "__faasm_read_input of 64 B" },
  { group: "read", count: 100, what: "__faasm_read_state_offset of 64 B" },
  { group: "push", count: 50, what: "__faasm_push_state of 64 B of a value of 4 KiB" },
  { group: "lock", count: 50, what: "__faasm_lock_state_write and unlock" },
  { group: "map", count: 200, what: "mmap and munmap of a page" },
  { group: "object", count: 100, what: "__faasmndp_getMmap of 4 KiB and unmap" },
  { group: "chain", count: 20, what: "__faasm_chain_name and await_call of a function that does nothing" },
] as const;

export const imports: BenchCase = {
  name: "imports",
  measures:
    "what one call of the host costs a guest, by kind, and by group of Faasm's: calls of a function that makes many, and that makes one or none, at 1 client",
  async run(bench) {
    const { rounds, roundMs, warmUpMs } = bench;
    const host = await BenchHost.start(bench, "imports");
    await host.upload("imports", await benchGuest("imports"));
    const input = (kind: string, count: number): string[] => [callBody("imports", `${kind} ${count}`)];
    await host.call(input("write", 1)[0] ?? "");
    await host.upload("faasm", await benchGuest("faasm"));
    await host.call(callBody("faasm", "push 1"));
    await host.request("PUT", "/v1/tenants/bench/objects/bench", new Uint8Array(OBJECT_BYTES));
    const loads = [
      ...KINDS.flatMap(({ kind, count }) => [input(kind, 1), input(kind, 1 + count)]),
      [callBody("faasm", "none 0")],
      ...FAASM.map(({ group, count }) => [callBody("faasm", `${group} ${count}`)]),
    ];
    for (const bodies of loads) {
      await host.load(1, warmUpMs / loads.length, bodies);
    }
    const taken = await alternate(
      rounds,
      loads.map((bodies) => () => host.load(1, roundMs / 2, bodies)),
    );
    const kinds = KINDS.flatMap(({ count, what }, at) => {
      const [one, many] = [nth(taken, 2 * at).p50Ms, nth(taken, 2 * at + 1).p50Ms];
      return [
        { what: `a call with 1 + ${count}, p50, each of which ${what}`, value: many, unit: "ms" as const },
        { what: `one that ${what}`, value: ((many - one) * 1000) / count, unit: "µs" as const },
      ];
    });
    const emptyMs = nth(taken, 2 * KINDS.length).p50Ms;
    const groups = FAASM.map(({ count, what }, at) => ({
      what: `one ${what}`,
      value: ((nth(taken, 2 * KINDS.length + 1 + at).p50Ms - emptyMs) * 1000) / count,
      unit: "µs" as const,
    }));
    return [...kinds, { what: "an empty call of a function in Faasm's way, p50", value: emptyMs, unit: "ms" }, ...groups];
  },
};
