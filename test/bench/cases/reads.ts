import type { BenchCase } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { benchGuest } from "../support/guests.ts";
import { alternate, nth } from "../support/measurement.ts";

const READS = 100;
const VALUE_BYTES = 64;

export const reads: BenchCase = {
  name: "reads",
  measures: "log-free reads as a guest sees them: calls that read 101 objects of 64 B and calls that read one, at 1 client",
  async run(bench) {
    const { rounds, roundMs, warmUpMs } = bench;
    const host = await BenchHost.start(bench, "reads");
    await host.upload("rw", await benchGuest("rw"));
    const keys = Array.from({ length: READS + 1 }, (_, i) => `read/${i}`);
    await host.call(callBody("rw", `0 ${VALUE_BYTES} ${keys.join(" ")}`));
    const one = [callBody("rw", `1 0 ${keys[0]}`)];
    const many = [callBody("rw", `${keys.length} 0 ${keys.join(" ")}`)];
    await host.load(1, warmUpMs / 2, one);
    await host.load(1, warmUpMs / 2, many);
    const taken = await alternate(rounds, [() => host.load(1, roundMs, one), () => host.load(1, roundMs, many)]);
    const [few, all] = [nth(taken, 0), nth(taken, 1)];
    return [
      { what: "a call with 1 read, p50", value: few.p50Ms, unit: "ms" },
      { what: `a call with ${keys.length} reads, p50`, value: all.p50Ms, unit: "ms" },
      { what: "one log-free read, seen by the guest", value: ((all.p50Ms - few.p50Ms) * 1000) / READS, unit: "µs" },
    ];
  },
};
