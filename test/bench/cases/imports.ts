import type { BenchCase } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { benchGuest } from "../support/guests.ts";
import { alternate, nth } from "../support/measurement.ts";

/** How a guest reaches the host, and how often in the calls that are measured. */
const KINDS = [
  { kind: "clock", count: 1_000, what: "is answered in the worker (clock)" },
  { kind: "read", count: 100, what: "waits for the main thread (a log-free read)" },
  { kind: "write", count: 100, what: "goes on at once (a posted write)" },
  { kind: "update", count: 50, what: "waits twice (read, and write if nobody else has)" },
] as const;

export const imports: BenchCase = {
  name: "imports",
  measures:
    "what one call of the host costs a guest, by kind: calls of a function that makes many, and calls that make one, at 1 client",
  async run(bench) {
    const { rounds, roundMs, warmUpMs } = bench;
    const host = await BenchHost.start(bench, "imports");
    await host.upload("imports", await benchGuest("imports"));
    const input = (kind: string, count: number): string[] => [callBody("imports", `${kind} ${count}`)];
    await host.call(input("write", 1)[0] ?? "");
    const loads = KINDS.flatMap(({ kind, count }) => [input(kind, 1), input(kind, 1 + count)]);
    for (const bodies of loads) {
      await host.load(1, warmUpMs / loads.length, bodies);
    }
    const taken = await alternate(
      rounds,
      loads.map((bodies) => () => host.load(1, roundMs / 2, bodies)),
    );
    return KINDS.flatMap(({ count, what }, at) => {
      const [one, many] = [nth(taken, 2 * at).p50Ms, nth(taken, 2 * at + 1).p50Ms];
      return [
        { what: `a call with 1 + ${count}, p50, each of which ${what}`, value: many, unit: "ms" as const },
        { what: `one that ${what}`, value: ((many - one) * 1000) / count, unit: "µs" as const },
      ];
    });
  },
};
