import type { BenchCase } from "../bench-case.ts";
import { FlushLoop } from "../support/flush.ts";
import { alternate, nth } from "../support/measurement.ts";

export const flush: BenchCase = {
  name: "flush",
  measures: "write and fdatasync of 4 KiB into an allocated file: what the disk alone takes",
  async run({ folder, cleanup, rounds, roundMs }) {
    const loop = cleanup.use(new FlushLoop(folder));
    const { p50Ms, p99Ms } = nth(await alternate(rounds, [() => loop.measure(roundMs)]), 0);
    return [
      { what: "one flush, p50", value: p50Ms, unit: "ms" },
      { what: "one flush, p99", value: p99Ms, unit: "ms" },
    ];
  },
};
