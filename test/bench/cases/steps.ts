import { atLeast, atMost, type Bar, type BenchCase, type Row } from "../bench-case.ts";
import { BareServer, besideBare } from "../support/bare-process.ts";
import { BenchHost, callBody } from "../support/bench-host.ts";
import { FlushLoop } from "../support/flush.ts";
import { benchGuest, sampleGuest } from "../support/guests.ts";
import { alternate, clients, nth } from "../support/measurement.ts";

/** Each call takes the objects below one of so many prefixes: calls hardly ever meet. */
const PREFIXES = 10_000;

const KINDS = [
  { how: "write", named: "writes", flushes: atMost(2.5, "10 steps, 1 client, writes as steps") },
  { how: "update", named: "updates", flushes: atMost(4, "10 steps, 1 client, steps that return values") },
] as const;
const COUNTS = [1, 5, 10];
/** 20 × Restate's 337 calls/s. */
const RATE_BAR = atLeast(6_700, "10 steps, 64 clients");

export const steps: BenchCase = {
  name: "steps",
  measures: "calls with durable steps: writes are posted, updates read an object and write it if nobody else has",
  async run(bench) {
    const { folder, cleanup, rounds, roundMs, warmUpMs } = bench;
    const guests = { hello: await sampleGuest("hello"), steps: await benchGuest("steps") };
    const host = await BenchHost.start(bench, "steps");
    await host.upload("hello", guests.hello);
    await host.upload("steps", guests.steps);
    const bareServer = await BareServer.start(bench, callBody("steps", "write 10 p0"));
    const flushLoop = cleanup.use(new FlushLoop(folder));
    const prefixes = bench.size(PREFIXES, 100);
    const calls = KINDS.flatMap((kind) =>
      COUNTS.map((count) => ({
        ...kind,
        count,
        bodies: Array.from({ length: prefixes }, (_, i) => callBody("steps", `${kind.how} ${count} p${i}`)),
      })),
    );
    await host.load(16, warmUpMs, [callBody("hello", "Neap")]);
    await host.load(
      16,
      warmUpMs,
      calls.flatMap(({ bodies }) => bodies),
    );
    const rows: Row[] = [];
    for (const connections of [1, 64]) {
      const [hello, bare, flush, ...taken] = await alternate(rounds, [
        () => host.load(connections, roundMs, [callBody("hello", "Neap")]),
        () => bareServer.load(connections, roundMs),
        () => flushLoop.measure(roundMs / 4),
        ...calls.map(
          ({ bodies }) =>
            () =>
              host.load(connections, roundMs, bodies),
        ),
      ]);
      if (hello === undefined || bare === undefined || flush === undefined) {
        throw new Error("hello, the bare server and the flush were not measured");
      }
      if (connections === 1) {
        rows.push({ what: `hello, ${clients(connections)}, p50`, value: hello.p50Ms, unit: "ms" });
        rows.push({ what: "one flush, p50", value: flush.p50Ms, unit: "ms" });
      }
      for (const [index, { named, count, flushes }] of calls.entries()) {
        const { perSecond, p50Ms, p99Ms } = nth(taken, index);
        const what = `${count} ${count === 1 ? named.slice(0, -1) : named}, ${clients(connections)}`;
        const judged = (isJudged: boolean, bar: Bar) => (isJudged && count === 10 ? { bar } : {});
        rows.push({ what: `${what}, p50`, value: p50Ms, unit: "ms" });
        rows.push({ what: `${what}, p99`, value: p99Ms, unit: "ms" });
        rows.push({ what, value: perSecond, unit: "calls/s", ...judged(connections === 64, RATE_BAR) });
        if (connections === 64 && count === 10) {
          rows.push(besideBare(`${count} ${named}`, nth(taken, index), bare, RATE_BAR));
        }
        if (connections === 1) {
          const value = (p50Ms - hello.p50Ms) / flush.p50Ms;
          rows.push({ what: `${what}, p50 above hello`, value, unit: "flushes", ...judged(true, flushes) });
        }
      }
    }
    return rows;
  },
};
