import { pathToFileURL } from "node:url";
import type { Figure, Panel, Table } from "./figure.ts";
import { populate, rwBodies, startSystems } from "./systems.ts";

const FAILING = ["halfmoon-read", "halfmoon-write", "boki"] as const;
type Failing = (typeof FAILING)[number];

const OPERATIONS = 10;
const CONNECTIONS = 16;
/** Share of attempts that are ended at one of their operations. */
const FAILURE_RATES = [0, 0.1, 0.2, 0.3, 0.4] as const;
const READ_RATIOS = [0, 1] as const;
const PRELOADED = pathToFileURL(new URL("../support/failing-attempts.ts", import.meta.url).pathname).href;

interface Point {
  readonly system: Failing;
  readonly readRatio: number;
  readonly failureRate: number;
  readonly meanMs: number;
}

export const recovery: Figure = {
  name: "recovery",
  shows: "mean time of calls whose attempts are ended at random and run again at once, by share of attempts",
  paperSeconds: 600,
  async run(bench) {
    const { pointMs, rounds, warmUpMs } = bench;
    const objects = { count: bench.size(10_000, 20), sizeBytes: 256 };
    const perSecond = bench.size(100, 200);
    const points: Point[] = [];
    for (const failureRate of FAILURE_RATES.slice(0, bench.size(FAILURE_RATES.length, 2))) {
      const env = {
        NODE_OPTIONS: `--import=${PRELOADED}`,
        FAILURES_PER_OPERATION: `${1 - (1 - failureRate) ** (1 / OPERATIONS)}`,
      };
      const host = await startSystems(bench, `recovery-${failureRate}`, FAILING, { flags: ["--run-ahead", "false"], env });
      const work = FAILING.flatMap((system) =>
        READ_RATIOS.map((readRatio) => ({
          system,
          readRatio,
          bodies: rwBodies(system, objects, OPERATIONS, readRatio),
          latenciesMs: [] as number[],
        })),
      );
      for (const system of FAILING) {
        await populate(host, system, objects);
      }
      for (const { bodies } of work) {
        await host.load(CONNECTIONS, warmUpMs / work.length, bodies);
      }
      process.kill(host.processId, "SIGUSR2");
      for (let round = 0; round < rounds; round += 1) {
        for (const { bodies, latenciesMs } of work) {
          const samples = await host.samples({ connections: CONNECTIONS, perSecond, durationMs: pointMs / rounds, bodies });
          latenciesMs.push(...samples.map(({ latencyMs }) => latencyMs));
        }
      }
      for (const { system, readRatio, latenciesMs } of work) {
        const meanMs = latenciesMs.reduce((sum, ms) => sum + ms, 0) / latenciesMs.length;
        points.push({ system, readRatio, failureRate, meanMs });
      }
    }
    return {
      tables: READ_RATIOS.map((readRatio) => tableOf(points, readRatio)),
      panels: READ_RATIOS.map((readRatio) => panelOf(points, readRatio)),
      rows: [],
    };
  },
};

const titleOf = (readRatio: number) => `Mean time of a call, read ratio ${readRatio}, without run-ahead`;

function pointsOf(points: readonly Point[], readRatio: number, system: Failing): readonly Point[] {
  return points.filter((one) => one.readRatio === readRatio && one.system === system);
}

function tableOf(points: readonly Point[], readRatio: number): Table {
  return {
    title: `${titleOf(readRatio)}, ms, by share of attempts that are ended`,
    columns: ["system", ...pointsOf(points, readRatio, "boki").map(({ failureRate }) => `${failureRate}`)],
    rows: FAILING.map((system) => [system, ...pointsOf(points, readRatio, system).map(({ meanMs }) => meanMs)]),
  };
}

function panelOf(points: readonly Point[], readRatio: number): Panel {
  return {
    title: titleOf(readRatio),
    x: "share of attempts that are ended",
    y: "ms",
    kind: "line",
    series: FAILING.map((name) => ({
      name,
      points: pointsOf(points, readRatio, name).map(({ failureRate, meanMs }): [number, number] => [failureRate, meanMs]),
    })),
  };
}
