import { availableParallelism } from "node:os";
import type { BenchCase } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { sampleGuest } from "../support/guests.ts";
import { alternate, nth } from "../support/measurement.ts";

const NAME = "parallel-sum";

export const threads: BenchCase = {
  name: "threads",
  measures:
    "threads of a call: a parallel loop beside the same work in the main thread alone, and one with hardly any work, at 1 client",
  async run(bench) {
    const { rounds, roundMs, warmUpMs, size } = bench;
    const host = await BenchHost.start(bench, "threads", { flags: ["--wall-time-ms", "120000"] });
    await host.upload(NAME, await sampleGuest(NAME));
    const limit = size(3_000_000, 20_000);
    const bodies = [`${limit}`, `${limit} alone`, "8192", "8192 alone"].map((input) => callBody(NAME, input));
    const answers = await Promise.all(bodies.map(async (body) => (await host.call(body)).body.toString()));
    if (answers[0] !== answers[1] || answers[2] !== answers[3]) {
      throw new Error(`threads computed ${answers[0]} and ${answers[2]}, the main thread alone ${answers[1]} and ${answers[3]}`);
    }
    for (const body of bodies) {
      await host.load(1, warmUpMs / bodies.length, [body]);
    }
    const taken = await alternate(
      rounds,
      bodies.map((body) => () => host.load(1, roundMs, [body])),
    );
    const [together, alone, little, littleAlone] = [0, 1, 2, 3].map((at) => nth(taken, at).p50Ms) as [
      number,
      number,
      number,
      number,
    ];
    return [
      { what: `sum of primes below ${limit}, p50`, value: together, unit: "ms" },
      { what: "the same in the main thread alone, p50", value: alone, unit: "ms" },
      { what: `speed-up of parallel-for on ${availableParallelism()} cores`, value: alone / together, unit: "×" },
      { what: "a loop of two chunks, p50: what it costs to start threads", value: little - littleAlone, unit: "ms" },
    ];
  },
};
