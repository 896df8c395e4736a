import { atLeast, type Bar, type BenchCase, type Row } from "../bench-case.ts";
import { BareServer, besideBare } from "../support/bare-process.ts";
import { BenchHost, callBody, TENANT } from "../support/bench-host.ts";
import { sampleGuest } from "../support/guests.ts";
import { alternate, clients, nth } from "../support/measurement.ts";

const CONNECTIONS = [1, 64];

interface Workload {
  readonly what: string;
  readonly keys: readonly string[];
  readonly bar: Bar;
}

export const counter: BenchCase = {
  name: "counter",
  measures: "increments of durable counters by the counter sample; at the end no increment is lost or doubled",
  async run(bench) {
    const { rounds, roundMs, warmUpMs } = bench;
    const host = await BenchHost.start(bench, "counter");
    await host.upload("counter", await sampleGuest("counter"));
    const count = bench.size(10_000, 50);
    const workloads: readonly Workload[] = [
      { what: "one counter", keys: ["hot"], bar: atLeast(3_900, "20 × Restate's 194/s") },
      {
        what: `${count.toLocaleString("en")} counters`,
        keys: Array.from({ length: count }, (_, i) => `cool-${i}`),
        bar: atLeast(14_700, "10 × Restate's 1,473/s"),
      },
    ];
    const bareServer = await BareServer.start(bench, callBody("counter", "hot"));
    const rows: Row[] = [];
    for (const { what, keys, bar } of workloads) {
      const bodies = keys.map((key) => callBody("counter", key));
      const warmed = await host.load(16, warmUpMs, bodies);
      const [bare, ...taken] = await alternate(rounds, [
        () => bareServer.load(64, roundMs),
        ...CONNECTIONS.map((connections) => () => host.load(connections, roundMs, bodies)),
      ]);
      if (bare === undefined) {
        throw new Error("the bare server was not measured");
      }
      for (const [index, connections] of CONNECTIONS.entries()) {
        const { perSecond, p50Ms, p99Ms } = nth(taken, index);
        const row = `${what}, ${clients(connections)}`;
        rows.push({ what: row, value: perSecond, unit: "calls/s", ...(connections === 64 ? { bar } : {}) });
        rows.push({ what: `${row}, p50`, value: p50Ms, unit: "ms" });
        rows.push({ what: `${row}, p99`, value: p99Ms, unit: "ms" });
      }
      rows.push(besideBare(what, nth(taken, CONNECTIONS.indexOf(64)), bare, bar));
      const answered = taken.reduce((sum, measurement) => sum + measurement.count, warmed.count);
      const counted = await sumOf(host, keys);
      if (counted !== answered) {
        throw new Error(`${what}: ${answered} increments were answered, the counters say ${counted}`);
      }
    }
    return rows;
  },
};

/** A counter that was never drawn does not exist. */
async function sumOf(host: BenchHost, keys: readonly string[]): Promise<number> {
  const counted = new Set(await listKeys(host));
  let sum = 0;
  for (const key of keys) {
    if (counted.has(key)) {
      sum += Number((await host.request("GET", `/v1/tenants/${TENANT}/objects/${key}`)).body);
    }
  }
  return sum;
}

async function listKeys(host: BenchHost): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const { body } = await host.request("GET", `/v1/tenants/${TENANT}/objects?limit=1000&after=${encodeURIComponent(after)}`);
    const page = JSON.parse(body.toString()) as { objects: { key: string }[]; next: string | null };
    keys.push(...page.objects.map(({ key }) => key));
    after = page.next;
  }
  return keys;
}
