import { pathToFileURL } from "node:url";
import type { Row } from "../bench-case.ts";
import type { BenchHost } from "../support/bench-host.ts";
import type { Figure, FigureBench, Panel, Table } from "./figure.ts";
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
  readonly runAhead: boolean;
  readonly system: Failing;
  readonly readRatio: number;
  readonly failureRate: number;
  readonly latenciesMs: number[];
}

type Measured = Omit<Point, "latenciesMs"> & { readonly meanMs: number };

export const recovery: Figure = {
  name: "recovery",
  shows: "mean time of calls whose attempts are ended at random and run again at once, by share of attempts",
  paperSeconds: 600,
  paperWarmUpSeconds: 120,
  async run(bench) {
    const failureRates = FAILURE_RATES.slice(0, bench.size(FAILURE_RATES.length, 2));
    const measured: Measured[] = [];
    for (const runAhead of [false, true]) {
      measured.push(...(await measure(bench, runAhead, failureRates)));
    }
    const groups = [false, true].flatMap((runAhead) => READ_RATIOS.map((readRatio) => ({ runAhead, readRatio })));
    return {
      tables: groups.map((group) => tableOf(measured, group)),
      panels: groups.map((group) => panelOf(measured, group)),
      rows: groups.flatMap((group) => rowsOf(measured, group)),
    };
  },
};

/** A host for each share of attempts that are ended; all points take turns. */
async function measure(bench: FigureBench, runAhead: boolean, failureRates: readonly number[]): Promise<readonly Measured[]> {
  const { paper, pointMs, rounds, warmUpMs } = bench;
  const objects = { count: bench.size(paper ? 10_000 : 1_000, 20), sizeBytes: 256 };
  const perSecond = bench.size(100, 200);
  const work: (Point & { readonly host: BenchHost; readonly bodies: readonly string[] })[] = [];
  for (const failureRate of failureRates) {
    const env = {
      NODE_OPTIONS: `--import=${PRELOADED}`,
      FAILURES_PER_OPERATION: `${1 - (1 - failureRate) ** (1 / OPERATIONS)}`,
    };
    const flags = ["--run-ahead", `${runAhead}`];
    const host = await startSystems(bench, `recovery-${runAhead}-${failureRate}`, FAILING, { flags, env });
    for (const system of FAILING) {
      await populate(host, system, objects);
      for (const readRatio of READ_RATIOS) {
        const bodies = rwBodies(system, objects, OPERATIONS, readRatio);
        await host.load(CONNECTIONS, warmUpMs / (FAILING.length * READ_RATIOS.length), bodies);
        work.push({ runAhead, system, readRatio, failureRate, latenciesMs: [], host, bodies });
      }
    }
    process.kill(host.processId, "SIGUSR2");
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const { host, bodies, latenciesMs } of work) {
      const samples = await host.samples({ connections: CONNECTIONS, perSecond, durationMs: pointMs / rounds, bodies });
      latenciesMs.push(...samples.map(({ latencyMs }) => latencyMs));
    }
  }
  return work.map(({ system, readRatio, failureRate, latenciesMs }) => {
    const meanMs = latenciesMs.reduce((sum, ms) => sum + ms, 0) / latenciesMs.length;
    return { runAhead, system, readRatio, failureRate, meanMs };
  });
}

type Group = Pick<Measured, "runAhead" | "readRatio">;

const titleOf = ({ readRatio, runAhead }: Group) => `read ratio ${readRatio}, ${runAhead ? "with" : "without"} run-ahead`;

function pointsOf(measured: readonly Measured[], { runAhead, readRatio }: Group, system: Failing): readonly Measured[] {
  return measured.filter((one) => one.runAhead === runAhead && one.readRatio === readRatio && one.system === system);
}

function tableOf(measured: readonly Measured[], group: Group): Table {
  return {
    title: `Mean time of a call, ${titleOf(group)}, ms, by share of attempts that are ended`,
    columns: ["system", ...pointsOf(measured, group, "boki").map(({ failureRate }) => `${failureRate}`)],
    rows: FAILING.map((system) => [system, ...pointsOf(measured, group, system).map(({ meanMs }) => meanMs)]),
  };
}

function panelOf(measured: readonly Measured[], group: Group): Panel {
  return {
    title: `mean, ${titleOf(group)}`,
    x: "share of attempts that are ended",
    y: "ms",
    kind: "line",
    series: FAILING.map((name) => ({
      name,
      points: pointsOf(measured, group, name).map(({ failureRate, meanMs }): [number, number] => [failureRate, meanMs]),
    })),
  };
}

/** What the most failures cost each system. */
function rowsOf(measured: readonly Measured[], group: Group): readonly Row[] {
  return FAILING.flatMap((system) => {
    const points = pointsOf(measured, group, system);
    const [none, most] = [points[0], points.at(-1)];
    if (none === undefined || most === undefined) {
      throw new Error(`${system} was not measured`);
    }
    return [
      {
        what: `${most.failureRate} of the attempts ended ÷ none, ${system}, ${titleOf(group)}`,
        value: most.meanMs / none.meanMs,
        unit: "×" as const,
      },
    ];
  });
}
