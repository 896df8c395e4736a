import { atLeast, type BenchCase, type Row } from "../bench-case.ts";
import { BareServer } from "../support/bare-process.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { sampleGuest } from "../support/guests.ts";
import { alternate, clients, type Measurement, nth } from "../support/measurement.ts";

const CONNECTIONS = [1, 16, 64];
const RATIO_BAR = atLeast(0.6, "H30: the same POST read and parsed");

export const hello: BenchCase = {
  name: "hello",
  measures: "calls without state, beside a bare node:http server that reads and parses the same POST and sends the same answer",
  async run(bench) {
    const { rounds, roundMs, warmUpMs } = bench;
    const body = callBody("hello", "Neap");
    const bodies = [body];
    const bareServer = await BareServer.start(bench, body);
    const host = await BenchHost.start(bench, "hello");
    await host.upload("hello", await sampleGuest("hello"));
    await host.load(16, warmUpMs, bodies);
    const rows: Row[] = [];
    for (const connections of CONNECTIONS) {
      const taken = await alternate(rounds, [
        () => bareServer.load(connections, roundMs),
        () => host.load(connections, roundMs, bodies),
      ]);
      const bare = nth(taken, 0);
      const called = nth(taken, 1);
      rows.push(...rowsOf(`bare, ${clients(connections)}`, bare), ...rowsOf(`hello, ${clients(connections)}`, called), {
        what: `hello ÷ bare, ${clients(connections)}`,
        value: called.perSecond / bare.perSecond,
        unit: "×",
        ...(connections === 64 ? { bar: RATIO_BAR } : {}),
      });
    }
    return rows;
  },
};

function rowsOf(what: string, { perSecond, p50Ms, p99Ms }: Measurement): Row[] {
  return [
    { what, value: perSecond, unit: "calls/s" },
    { what: `${what}, p50`, value: p50Ms, unit: "ms" },
    { what: `${what}, p99`, value: p99Ms, unit: "ms" },
  ];
}
