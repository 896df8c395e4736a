import { setTimeout as sleep } from "node:timers/promises";
import { type BenchHost, TENANT } from "../support/bench-host.ts";
import { summarize } from "../support/measurement.ts";
import type { Figure, FigureBench, Panel } from "./figure.ts";
import { populate, rwBodies, startSystems } from "./systems.ts";

const OPERATIONS = 10;
/** What the scope is switched between, and the share of reads while it has that protocol. */
const PHASES = [
  { protocol: "halfmoon-write", readRatio: 0.2 },
  { protocol: "halfmoon-read", readRatio: 0.8 },
] as const;
const PHASE_COUNT = 5;
const SHOWN_PHASES = 3;
const CLIENTS = [16, 40] as const;
const LOOK_MS = 2;
const SWITCH_TIMEOUT_MS = 30_000;

interface Switch {
  readonly to: string;
  readonly beginMs: number;
  readonly endMs: number;
}

interface Series {
  readonly runAhead: boolean;
  readonly clients: number;
  readonly samples: readonly { readonly atMs: number; readonly latencyMs: number }[];
  readonly switches: readonly Switch[];
}

export const switching: Figure = {
  name: "switching",
  shows: "latency of calls while a scope is switched between the Halfmoon protocols, and how long each switch takes",
  paperSeconds: 25,
  paperWarmUpSeconds: 20,
  async run(bench) {
    const all: Series[] = [];
    for (const runAhead of [false, true]) {
      for (const clients of CLIENTS.slice(0, bench.size(CLIENTS.length, 1))) {
        all.push(await measure(bench, runAhead, clients));
      }
    }
    const phaseMs = bench.pointMs / PHASE_COUNT;
    return {
      tables: [
        {
          title: "Delay of each switch, and calls beside it",
          columns: [
            "run-ahead",
            "clients",
            "switch to",
            "END − BEGIN, ms",
            "p50 of all calls, ms",
            "p99, ms",
            "longest, ms",
            "calls",
          ],
          rows: all.flatMap(({ runAhead, clients, samples, switches }) => {
            const latenciesMs = samples.map(({ latencyMs }) => latencyMs);
            const { p50Ms, p99Ms, count } = summarize(latenciesMs, bench.pointMs);
            const longestMs = latenciesMs.at(-1) ?? 0;
            return switches.map(({ to, beginMs, endMs }) => [
              runAhead ? "with" : "without",
              clients,
              to,
              endMs - beginMs,
              p50Ms,
              p99Ms,
              longestMs,
              count,
            ]);
          }),
        },
      ],
      panels: all.map((series) => panelOf(series, phaseMs * SHOWN_PHASES)),
      rows: all.map(({ runAhead, clients, switches }) => ({
        what: `mean delay of a switch, ${titleOf(runAhead, clients)}, ms`,
        value: switches.reduce((sum, { beginMs, endMs }) => sum + endMs - beginMs, 0) / switches.length,
        unit: "ms" as const,
      })),
    };
  },
};

const titleOf = (runAhead: boolean, clients: number) => `${clients} clients, ${runAhead ? "with" : "without"} run-ahead`;

async function measure(bench: FigureBench, runAhead: boolean, clients: number): Promise<Series> {
  const { pointMs, warmUpMs } = bench;
  // The function that is named after the first protocol; the scope's own is above it.
  const [first] = PHASES;
  const system = first.protocol;
  const objects = { count: bench.size(1_000, 20), sizeBytes: 256 };
  const host = await startSystems(bench, `switching-${runAhead}-${clients}`, [system], { flags: ["--run-ahead", `${runAhead}`] });
  await chosen(host, system, system);
  await populate(host, system, objects);
  const phases = Array.from({ length: PHASE_COUNT }, (_, i) => PHASES[i % PHASES.length] ?? first);
  const [bodies = [], ...laterBodies] = phases.map(({ readRatio }) => rwBodies(system, objects, OPERATIONS, readRatio));
  await host.load(clients, warmUpMs, bodies);
  const startMs = performance.now();
  const running = host.samples({ connections: clients, durationMs: pointMs, bodies, laterBodies });
  const switches: Switch[] = [];
  for (const [index, { protocol }] of phases.entries()) {
    if (index > 0) {
      await sleep(Math.max(0, startMs + (pointMs / PHASE_COUNT) * index - performance.now()));
      const beginMs = performance.now();
      await chosen(host, system, protocol);
      switches.push({ to: protocol, beginMs: beginMs - startMs, endMs: performance.now() - startMs });
    }
  }
  return { runAhead, clients, samples: await running, switches };
}

/** Switches the scope, and resolves when its END is there. */
async function chosen(host: BenchHost, scope: string, protocol: string): Promise<void> {
  await host.request("PUT", `/v1/tenants/${TENANT}/scopes/${scope}?protocol=${protocol}`);
  const deadlineMs = performance.now() + SWITCH_TIMEOUT_MS;
  for (;;) {
    const { body } = await host.request("GET", `/v1/tenants/${TENANT}/scopes`);
    const { scopes } = JSON.parse(body.toString()) as { scopes: { scope: string; protocol: string; switching: unknown }[] };
    const found = scopes.find((one) => one.scope === scope);
    if (found?.switching === null && found.protocol === protocol) {
      return;
    }
    if (performance.now() > deadlineMs) {
      throw new Error(`scope ${scope} is not switched to ${protocol} after ${SWITCH_TIMEOUT_MS} ms`);
    }
    await sleep(LOOK_MS);
  }
}

function panelOf({ runAhead, clients, samples, switches }: Series, shownMs: number): Panel {
  return {
    title: titleOf(runAhead, clients),
    x: "s",
    y: "ms",
    kind: "scatter",
    series: [
      {
        name: "a call",
        points: samples
          .filter(({ atMs }) => atMs < shownMs)
          .map(({ atMs, latencyMs }): [number, number] => [atMs / 1000, latencyMs]),
      },
    ],
    marks: switches
      .filter(({ endMs }) => endMs < shownMs)
      .flatMap(({ beginMs, endMs }) => [
        { x: beginMs / 1000, label: "BEGIN" },
        { x: endMs / 1000, label: "END" },
      ]),
  };
}
