import { atMost, type BenchCase, type Row } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { benchGuest, sampleGuest } from "../support/guests.ts";
import { alternate, nth } from "../support/measurement.ts";
import { KERNELS, regionKernels } from "../support/region-kernels.ts";

/** Without it for elements that are loaded and stored again: nothing else is in that loop. */
const BAR = atMost(1.1, "region access ÷ own-memory access");
const CALLS = 20;

export const regions: BenchCase = {
  name: "regions",
  measures:
    "memory regions: accesses beside those to own memory, atomic additions of two threads, and two samples beside copying their state in and out, at 1 client",
  async run(bench) {
    const { rounds, roundMs, warmUpMs, size } = bench;
    const rows: Row[] = await accesses(size(400, 4));
    const host = await BenchHost.start(bench, "regions", { flags: ["--compute-workers", "2", "--wall-time-ms", "120000"] });
    await host.upload("sum", await benchGuest("region-sum"));
    for (const name of ["matrix", "sgd"]) {
      await host.upload(name, await sampleGuest(name));
    }
    rows.push(await additions(host, size(100_000, 1_000)));
    const matrix = `${size(256, 16)} 4`;
    const sgd = `${size(1024, 16)} 4 ${size(1_000, 8)}`;
    const loads = [`matrix ${matrix} region`, `matrix ${matrix} copy`, `sgd ${sgd} region`, `sgd ${sgd} copy`].map((line) => {
      const [name = "", ...input] = line.split(" ");
      return [callBody(name, input.join(" "))];
    });
    for (const bodies of loads) {
      await host.load(1, warmUpMs / loads.length, bodies);
    }
    const taken = await alternate(
      rounds,
      loads.map((bodies) => () => host.load(1, roundMs, bodies)),
    );
    for (const [at, what] of [
      `matrix product ${matrix.replace(" 4", "")}², 4 calls`,
      `SGD, ${sgd.split(" ")[0]} features, 4 calls`,
    ].entries()) {
      const [region, copy] = [nth(taken, 2 * at).p50Ms, nth(taken, 2 * at + 1).p50Ms];
      rows.push({ what: `${what}, over a region, p50`, value: region, unit: "ms" });
      rows.push({ what: `${what}, with copies, p50`, value: copy, unit: "ms" });
      rows.push({ what: `${what}: region ÷ copies`, value: region / copy, unit: "×" });
    }
    return rows;
  },
};

/** The least of many runs of each, in turns: what disturbs the machine is in none of them. */
async function accesses(runs: number): Promise<Row[]> {
  const kernels = await regionKernels();
  return KERNELS.map((what, kernel) => {
    let [own, region] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let run = 0; run < runs; run++) {
      const [ofOwn, ofRegion] = [kernels.own(kernel), kernels.region(kernel)];
      if (ofOwn.result !== ofRegion.result) {
        throw new Error(`${what} gives ${ofRegion.result} over a region, and ${ofOwn.result} over own memory`);
      }
      own = Math.min(own, ofOwn.takenMs);
      region = Math.min(region, ofRegion.takenMs);
    }
    const isSum = what.startsWith("a sum");
    return { what: `${what} of f64: region ÷ own memory`, value: region / own, unit: "×" as const, ...(isSum && { bar: BAR }) };
  });
}

/** @throws when one is missing */
async function additions(host: BenchHost, times: number): Promise<Row> {
  const startMs = performance.now();
  await Promise.all(Array.from({ length: CALLS }, () => host.call(callBody("sum", `${times}`))));
  const takenMs = performance.now() - startMs;
  const { body } = await host.call(callBody("sum", "read"));
  if (Number(body.toString()) !== CALLS * times) {
    throw new Error(`${CALLS} calls added 1 ${times} times each, and the sum is ${body}`);
  }
  return { what: `${CALLS * times} atomic additions by ${CALLS} calls in 2 threads`, value: takenMs, unit: "ms" };
}
