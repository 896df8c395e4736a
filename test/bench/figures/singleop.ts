import { summarize } from "../support/measurement.ts";
import type { Figure, Table } from "./figure.ts";
import { populate, SYSTEMS, type System, singleopBodies, startSystems } from "./systems.ts";

const OPERATIONS = ["read", "write", "invoke"] as const;
type Measured = (typeof OPERATIONS)[number];

/** Which of the host's operations make one of the figure's. */
const KINDS: Readonly<Record<Measured, readonly string[]>> = {
  read: ["objectRead"],
  write: ["objectWrite"],
  invoke: ["callStart", "callAwait"],
};
const CONNECTIONS = 16;
/** A hundred small numbers. */
const PAPER_OBJECTS = { count: 100, sizeBytes: 1 };

/** Times in ms by system and operation, over all rounds. */
type Times = Record<System, Record<Measured, number[]>>;

export const singleop: Figure = {
  name: "singleop",
  shows: "one read, one write and one call of an empty function: time of each, by system, with and without run-ahead",
  paperSeconds: 600,
  paperWarmUpSeconds: 120,
  async run(bench) {
    const { paper, rounds, pointMs, warmUpMs } = bench;
    const objects = paper ? PAPER_OBJECTS : { count: bench.size(1_000, 20), sizeBytes: 256 };
    const perSecond = paper ? 20 : bench.size(100, 200);
    const tables: Table[] = [];
    const panels = [];
    for (const runAhead of [false, true]) {
      const host = await startSystems(bench, `singleop-${runAhead}`, SYSTEMS, { flags: ["--run-ahead", `${runAhead}`] });
      const times = Object.fromEntries(
        SYSTEMS.map((system) => [system, { read: [], write: [], invoke: [] }]),
      ) as unknown as Times;
      for (const system of SYSTEMS) {
        await populate(host, system, objects);
        await host.load(CONNECTIONS, warmUpMs / SYSTEMS.length, singleopBodies(system, objects));
      }
      for (let round = 0; round < rounds; round += 1) {
        for (const system of SYSTEMS) {
          const samples = await host.samples({
            connections: CONNECTIONS,
            perSecond,
            durationMs: pointMs / rounds,
            bodies: singleopBodies(system, objects),
            headers: { "Neap-Trace": "operations" },
          });
          for (const { operations } of samples) {
            addTimes(times[system], operations);
          }
        }
      }
      const title = runAhead ? "with run-ahead" : "without run-ahead";
      const rows = SYSTEMS.flatMap((system) =>
        OPERATIONS.map((operation) => {
          const { p50Ms, p99Ms, count } = summarize(times[system][operation], pointMs);
          return { system, operation, p50Us: p50Ms * 1000, p99Us: p99Ms * 1000, count };
        }),
      );
      tables.push({
        title: `Time of one operation, ${title}, µs`,
        columns: ["system", "operation", "p50", "p99", "calls"],
        rows: rows.map(({ system, operation, p50Us, p99Us, count }) => [system, operation, p50Us, p99Us, count]),
      });
      for (const [quantile, of] of [
        ["p50", "p50Us"],
        ["p99", "p99Us"],
      ] as const) {
        panels.push({
          title: `${quantile} of one operation, ${title}`,
          x: "",
          y: "µs",
          kind: "bar" as const,
          categories: OPERATIONS,
          series: SYSTEMS.map((name) => ({
            name,
            points: rows.filter(({ system }) => system === name).map((row, index): [number, number] => [index, row[of]]),
          })),
        });
      }
    }
    return { tables, panels, rows: [] };
  },
};

/** @param operations  as of `Neap-Operations` */
function addTimes(times: Record<Measured, number[]>, operations: string): void {
  const sums = { read: 0, write: 0, invoke: 0 };
  const seen = new Set<string>();
  for (const [, kind = "", us] of operations.matchAll(/([A-Za-z]+);us=(\d+)/g)) {
    seen.add(kind);
    for (const operation of OPERATIONS) {
      sums[operation] += KINDS[operation].includes(kind) ? Number(us) : 0;
    }
  }
  for (const operation of OPERATIONS) {
    if (!KINDS[operation].every((kind) => seen.has(kind))) {
      throw new Error(`a call's operations have no ${operation}: ${JSON.stringify(operations)}`);
    }
    times[operation].push(sums[operation] / 1000);
  }
}
