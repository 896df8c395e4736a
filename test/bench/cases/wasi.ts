import type { BenchCase } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { benchGuest } from "../support/guests.ts";
import { alternate, nth } from "../support/measurement.ts";

const FILE_BYTES = 1024 * 1024;

/** Imports by group, and how often in the calls that are measured. */
const GROUPS = [
  { guest: "wasi-streams", group: "clock", count: 2_000, what: "clock_time_get" },
  { guest: "wasi-streams", group: "env", count: 2_000, what: "environ_sizes_get" },
  { guest: "wasi-streams", group: "random", count: 1_000, what: "random_get of 16 B" },
  { guest: "wasi-streams", group: "stdio", count: 2_000, what: "fd_write of 16 B to the output" },
  { guest: "wasi-files", group: "write", count: 1_000, what: "fd_pwrite of 64 B to a file of the call's own" },
  { guest: "wasi-files", group: "read", count: 1_000, what: "fd_pread of the next 64 B of a shared file" },
  { guest: "wasi-files", group: "open", count: 100, what: "path_open and fd_close of a shared file" },
] as const;

export const wasi: BenchCase = {
  name: "wasi",
  measures:
    "what an import of WASI costs a program, by group: calls that make many, and calls of the same function that make none, at 1 client",
  async run(bench) {
    const { rounds, roundMs, warmUpMs } = bench;
    const host = await BenchHost.start(bench, "wasi");
    for (const guest of ["wasi-streams", "wasi-files"] as const) {
      await host.upload(guest, await benchGuest(guest));
    }
    await host.request("PUT", "/v1/tenants/bench/files/bench", new Uint8Array(FILE_BYTES));
    const loads = [
      ...(["wasi-streams", "wasi-files"] as const).map((guest) => [callBody(guest, "none 0")]),
      ...GROUPS.map(({ guest, group, count }) => [callBody(guest, `${group} ${count}`)]),
    ];
    for (const bodies of loads) {
      await host.load(1, warmUpMs / loads.length, bodies);
    }
    const taken = await alternate(
      rounds,
      loads.map((bodies) => () => host.load(1, roundMs / 2, bodies)),
    );
    const empty = { "wasi-streams": nth(taken, 0).p50Ms, "wasi-files": nth(taken, 1).p50Ms };
    return [
      { what: "an empty call of a program without files, p50", value: empty["wasi-streams"], unit: "ms" },
      { what: "an empty call of one with files, p50", value: empty["wasi-files"], unit: "ms" },
      ...GROUPS.map(({ guest, count, what }, at) => ({
        what: `one ${what}`,
        value: ((nth(taken, 2 + at).p50Ms - empty[guest]) * 1000) / count,
        unit: "µs" as const,
      })),
    ];
  },
};
