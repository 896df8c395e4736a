import { availableParallelism } from "node:os";
import type { BenchCase, Row } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { sampleGuest } from "../support/guests.ts";
import { alternate, nth } from "../support/measurement.ts";

/** Each with what it is told of the size, in the smoke test and else. */
const FUNCTIONS = [
  { name: "primes", large: 3_000_000, small: 20_000 },
  { name: "matmul", large: 500, small: 40 },
] as const;

export const openmp: BenchCase = {
  name: "openmp",
  measures:
    "OpenMP in C: the same functions with one thread and with one for each core, and a region with hardly any work, at 1 client",
  async run(bench) {
    const { rounds, roundMs, warmUpMs, size } = bench;
    const host = await BenchHost.start(bench, "openmp", { flags: ["--wall-time-ms", "120000"] });
    const cores = availableParallelism();
    const bodies: string[] = [];
    for (const { name, large, small } of FUNCTIONS) {
      await host.upload(name, await sampleGuest(`openmp/${name}`));
      const [alone, together] = [1, cores].map((threads) => callBody(name, `${size(large, small)} ${threads}`));
      const answers = await Promise.all([alone, together].map(async (body = "") => (await host.call(body)).body.toString()));
      if (answers[0] !== answers[1]) {
        throw new Error(`${name} computed ${answers[1]} with ${cores} threads, ${answers[0]} with one`);
      }
      bodies.push(alone ?? "", together ?? "");
    }
    bodies.push(callBody("primes", "1 1"), callBody("primes", "1 2"));
    for (const body of bodies) {
      await host.load(1, warmUpMs / bodies.length, [body]);
    }
    const taken = await alternate(
      rounds,
      bodies.map((body) => () => host.load(1, roundMs, [body])),
    );
    const p50 = bodies.map((_, at) => nth(taken, at).p50Ms);
    const ms = (at: number) => p50[at] ?? Number.NaN;
    return [
      ...FUNCTIONS.flatMap(({ name }, at): Row[] => [
        { what: `${name} with 1 thread, p50`, value: ms(2 * at), unit: "ms" },
        { what: `${name}, speed-up on ${cores} cores`, value: ms(2 * at) / ms(2 * at + 1), unit: "×" },
      ]),
      { what: "a region of two threads with no work, p50: what it costs to start one", value: ms(5) - ms(4), unit: "ms" },
    ];
  },
};
