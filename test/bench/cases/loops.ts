import { atMost, type Bench, type BenchCase, type Row } from "../bench-case.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { benchGuest, sampleGuest } from "../support/guests.ts";
import { clients, type Measurement, median } from "../support/measurement.ts";

const LOOPS = 10;
const CONNECTIONS = [1, 16];
const BARS = {
  preemptible: atMost(2, "H32: ten endless loops of another tenant, preemptible"),
  plain: atMost(10, "H32: ten endless loops of another tenant, not preemptible"),
};

export const loops: BenchCase = {
  name: "loops",
  measures: "hello beside ten endless loops, preemptible ones and plain ones, and alone",
  async run(bench) {
    const body = callBody("hello", "Neap");
    const endless = await benchGuest("endless");
    const host = await BenchHost.start(bench, "loops");
    await host.upload("hello", await sampleGuest("hello"));
    await host.upload("plain", endless, { tenant: "other" });
    await host.upload("preemptible", endless, { tenant: "other", query: "preemptible=true" });
    await host.load(16, bench.warmUpMs, [body]);
    const rows: Row[] = [];
    for (const connections of CONNECTIONS) {
      const measure = () => host.load(connections, bench.roundMs, [body]);
      const alone: Measurement[] = [];
      const beside = { preemptible: [] as Measurement[], plain: [] as Measurement[] };
      for (let round = 0; round < bench.rounds; round++) {
        alone.push(await measure());
        for (const kind of ["preemptible", "plain"] as const) {
          beside[kind].push(await besideLoops(host, kind, bench, measure));
        }
      }
      const p99 = (taken: readonly Measurement[]) => median(taken.map(({ p99Ms }) => p99Ms));
      rows.push({ what: `hello alone, ${clients(connections)}, p99`, value: p99(alone), unit: "ms" });
      for (const kind of ["preemptible", "plain"] as const) {
        const what = `hello beside ${LOOPS} ${kind} loops, ${clients(connections)}`;
        rows.push(
          { what, value: median(beside[kind].map(({ perSecond }) => perSecond)), unit: "calls/s" },
          { what: `${what}, p99`, value: p99(beside[kind]), unit: "ms" },
          { what: `${what}, p99 ÷ alone`, value: p99(beside[kind]) / p99(alone), unit: "×", bar: BARS[kind] },
        );
      }
    }
    return rows;
  },
};

/** Measures while ten calls of an endless function are open; whatever ends one of them, another one takes its place. */
async function besideLoops(
  host: BenchHost,
  functionName: string,
  { size }: Bench,
  measure: () => Promise<Measurement>,
): Promise<Measurement> {
  const stop = new AbortController();
  const body = callBody(functionName, "", { user: "other" });
  const keepOne = async () => {
    while (!stop.signal.aborted) {
      await host.open(body, stop.signal).catch(() => {});
    }
  };
  const kept = Array.from({ length: LOOPS }, keepOne);
  await new Promise((resolve) => setTimeout(resolve, size(500, 50)));
  try {
    return await measure();
  } finally {
    stop.abort();
    await Promise.all(kept);
  }
}
