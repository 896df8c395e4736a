import { atMost, type Row } from "../bench-case.ts";
import type { BenchHost } from "../support/bench-host.ts";
import { type Measurement, summarize } from "../support/measurement.ts";
import type { Figure, Panel, Series, Table } from "./figure.ts";
import { BEST_TO_BOKI, BEST_TO_UNSAFE, BOKI_TO_UNSAFE, READ_RATIOS } from "./published.ts";
import { populate, rwBodies, SYSTEMS, type System, startSystems } from "./systems.ts";

const OPERATIONS = 10;
const CONNECTIONS = 16;
/** Beside the unsafe baseline the papers' authors measured at this rate alone. */
const RATE_BESIDE_UNSAFE = 100;

interface Point {
  readonly runAhead: boolean;
  readonly rate: number;
  readonly readRatio: number;
  readonly system: System;
  readonly latenciesMs: number[];
}

type Measured = Omit<Point, "latenciesMs"> & Measurement;

export const overhead: Figure = {
  name: "overhead",
  shows: "calls with ten operations: time by read ratio and system, with and without run-ahead",
  paperSeconds: 600,
  paperWarmUpSeconds: 120,
  async run(bench) {
    const { paper, rounds, pointMs, warmUpMs } = bench;
    const objects = { count: bench.size(10_000, 50), sizeBytes: 256 };
    const ratios = READ_RATIOS.slice(0, bench.size(READ_RATIOS.length, 1));
    const rates = paper ? [100, 200, 300, 400] : [bench.size(100, 200)];
    const hosts = new Map<boolean, BenchHost>();
    for (const runAhead of [false, true]) {
      const host = await startSystems(bench, `overhead-${runAhead}`, SYSTEMS, { flags: ["--run-ahead", `${runAhead}`] });
      hosts.set(runAhead, host);
      for (const system of SYSTEMS) {
        await populate(host, system, objects);
        await host.load(CONNECTIONS, warmUpMs / SYSTEMS.length, rwBodies(system, objects, OPERATIONS, 0.5));
      }
    }
    const points: readonly Point[] = rates.flatMap((rate) =>
      ratios.flatMap((readRatio) =>
        [false, true].flatMap((runAhead) => SYSTEMS.map((system) => ({ runAhead, rate, readRatio, system, latenciesMs: [] }))),
      ),
    );
    for (let round = 0; round < rounds; round += 1) {
      for (const { runAhead, rate, readRatio, system, latenciesMs } of points) {
        const bodies = rwBodies(system, objects, OPERATIONS, readRatio);
        const order = { connections: CONNECTIONS, perSecond: rate, durationMs: pointMs / rounds, bodies };
        const samples = await hostOf(hosts, runAhead).samples(order);
        latenciesMs.push(...samples.map(({ latencyMs }) => latencyMs));
      }
    }
    const measured = points.map(({ latenciesMs, ...point }) => ({ ...point, ...summarize(latenciesMs, pointMs) }));
    return {
      tables: rates.flatMap((rate) => [tableOf(measured, rate, false), tableOf(measured, rate, true)]),
      panels: rates.flatMap((rate) => [
        panelOf(measured, rate, false),
        panelOf(measured, rate, true),
        besideUnsafe(measured, rate),
      ]),
      rows: rates.flatMap((rate) => ratiosOf(measured, rate)),
    };
  },
};

function hostOf(hosts: ReadonlyMap<boolean, BenchHost>, runAhead: boolean): BenchHost {
  const host = hosts.get(runAhead);
  if (host === undefined) {
    throw new Error("a host was not started");
  }
  return host;
}

const titleOf = (rate: number, runAhead: boolean) => `${rate} calls/s, ${runAhead ? "with run-ahead" : "without run-ahead"}`;

function tableOf(measured: readonly Measured[], rate: number, runAhead: boolean): Table {
  const ratios = ratiosIn(measured);
  const of = (system: System) => ratios.map((readRatio) => pointOf(measured, rate, runAhead, readRatio, system));
  return {
    title: `Time of a call of ${OPERATIONS} operations, ${titleOf(rate, runAhead)}, p50 / p99 ms, by read ratio`,
    columns: ["system", ...ratios.map(String)],
    rows: SYSTEMS.map((system) => [
      system,
      ...of(system).map(({ p50Ms, p99Ms }) => `${p50Ms.toPrecision(3)} / ${p99Ms.toPrecision(3)}`),
    ]),
  };
}

function panelOf(measured: readonly Measured[], rate: number, runAhead: boolean): Panel {
  const series = SYSTEMS.map((system) => lineOf(measured, rate, runAhead, system));
  return { title: `p50, ${titleOf(rate, runAhead)}`, x: "read ratio", y: "ms", kind: "line", series };
}

/** What exactly-once costs, beside a store that answers a write when it is on disk. */
function besideUnsafe(measured: readonly Measured[], rate: number): Panel {
  const series = [
    lineOf(measured, rate, true, "halfmoon-read"),
    lineOf(measured, rate, true, "halfmoon-write"),
    lineOf(measured, rate, false, "unsafe"),
  ];
  return { title: `p50, ${rate} calls/s, unsafe alone without run-ahead`, x: "read ratio", y: "ms", kind: "line", series };
}

function lineOf(measured: readonly Measured[], rate: number, runAhead: boolean, system: System): Series {
  const points = ratiosIn(measured).map((readRatio): [number, number] => [
    readRatio,
    pointOf(measured, rate, runAhead, readRatio, system).p50Ms,
  ]);
  return { name: system, points };
}

function ratiosIn(measured: readonly Measured[]): readonly number[] {
  return READ_RATIOS.filter((ratio) => measured.some(({ readRatio }) => readRatio === ratio));
}

function pointOf(measured: readonly Measured[], rate: number, runAhead: boolean, readRatio: number, system: System): Measured {
  const found = measured.find(
    (one) => one.rate === rate && one.runAhead === runAhead && one.readRatio === readRatio && one.system === system,
  );
  if (found === undefined) {
    throw new Error(`${system} was not measured at ${readRatio}`);
  }
  return found;
}

/** One after the other for each read ratio. */
function ratiosOf(measured: readonly Measured[], rate: number): readonly Row[] {
  const bars = BEST_TO_BOKI[rate] ?? [];
  return ratiosIn(measured).flatMap((readRatio, index) => {
    const p50 = (system: System, runAhead: boolean) => pointOf(measured, rate, runAhead, readRatio, system).p50Ms;
    const best = (runAhead: boolean) => Math.min(p50("halfmoon-read", runAhead), p50("halfmoon-write", runAhead));
    const at = `${rate} calls/s, read ratio ${readRatio}`;
    const published = (ratios: readonly number[]) => (rate === RATE_BESIDE_UNSAFE ? ` (published ${ratios[index]})` : "");
    const bar = bars[index];
    return [
      {
        what: `best Halfmoon ÷ Boki, ${at}`,
        value: best(false) / p50("boki", false),
        unit: "×" as const,
        ...(bar === undefined ? {} : { bar: atMost(bar, `Halfmoon, figure 13, ${rate} requests per second`) }),
      },
      { what: `the same with run-ahead, ${at}`, value: best(true) / p50("boki", true), unit: "×" as const },
      {
        what: `Boki ÷ unsafe, ${at}${published(BOKI_TO_UNSAFE)}`,
        value: p50("boki", false) / p50("unsafe", false),
        unit: "×" as const,
      },
      {
        what: `best Halfmoon ÷ unsafe, ${at}${published(BEST_TO_UNSAFE)}`,
        value: best(false) / p50("unsafe", false),
        unit: "×" as const,
      },
      {
        what: `best Halfmoon with run-ahead ÷ unsafe that flushes each write, ${at}`,
        value: best(true) / p50("unsafe", false),
        unit: "×" as const,
        bar: atMost(1, "exactly-once costs less than a store that waits for the disk at each write"),
      },
    ];
  });
}
