import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../bench-case.ts";
import type { BenchHost } from "../support/bench-host.ts";
import { LoadThread } from "../support/load-thread.ts";
import type { Figure, FigureBench, Panel, Table } from "./figure.ts";
import { READ_RATIOS, STORAGE_KB } from "./published.ts";
import { populate, rwBodies, startSystems } from "./systems.ts";

/** Unsafe keeps no log and is not in the published figure. */
const STORED = ["halfmoon-read", "halfmoon-write", "boki"] as const;
type Stored = (typeof STORED)[number];

const OPERATIONS = 10;
const PER_SECOND = 100;
const CONNECTIONS = 8;
const KEYS = 10_000;
/** The papers' intervals of collection. A shorter run divides both, and the number of keys, by the same number. */
const INTERVALS_S = [10, 60] as const;
const LONGEST_S = 60;
const SIZES = [256, 1024] as const;
const LOOK_MS = 50;

/** Records that hold an object's value; every other kind is log. */
const VALUES: ReadonlySet<string> = new Set(["write", "delete"]);
/** Neither: they are there once, whatever is called. */
const NEITHER: ReadonlySet<string> = new Set(["function", "epoch", "gc", "mode"]);

interface Kept {
  readonly logBytes: number;
  readonly valueBytes: number;
}

interface Measured extends Kept {
  /** Calls answered per second; on a busy machine fewer than were due. */
  readonly perSecond: number;
  readonly system: Stored;
  readonly readRatio: number;
  readonly sizeBytes: (typeof SIZES)[number];
  readonly intervalS: (typeof INTERVALS_S)[number];
}

export const storage: Figure = {
  name: "storage",
  shows: "bytes of live records, averaged over time, by read ratio, system, size of values and interval of collection",
  paperSeconds: 600,
  paperWarmUpSeconds: 120,
  async run(bench) {
    const scale = bench.paper ? 1 : LONGEST_S / (bench.pointMs / 2000);
    const intervals = INTERVALS_S.slice(0, bench.size(INTERVALS_S.length, 1));
    const sizes = SIZES.slice(0, bench.size(SIZES.length, 1));
    const ratios = READ_RATIOS.slice(0, bench.size(READ_RATIOS.length, 1));
    const points = sizes.flatMap((sizeBytes) => ratios.map((readRatio) => ({ sizeBytes, readRatio })));
    // The hosts disturb one another's latencies, which are not looked at.
    const hosts = STORED.flatMap((system) => intervals.map((intervalS) => ({ system, intervalS })));
    const measured = (await Promise.all(hosts.map((host) => measureAll(bench, host, points, scale)))).flat();
    const groups = sizes.flatMap((sizeBytes) => intervals.map((intervalS) => ({ sizeBytes, intervalS })));
    return {
      tables: groups.map((group) => tableOf(measured, group, scale)),
      panels: groups.map((group) => panelOf(measured, group)),
      rows: groups.flatMap((group) => rowsOf(measured, group)),
    };
  },
};

type Group = Pick<Measured, "sizeBytes" | "intervalS">;

/** One point after the other on one host: what is left of a point is collected while the next one is warmed up. */
async function measureAll(
  bench: FigureBench,
  { system, intervalS }: Pick<Measured, "system" | "intervalS">,
  points: readonly Pick<Measured, "readRatio" | "sizeBytes">[],
  scale: number,
): Promise<readonly Measured[]> {
  const load = bench.cleanup.use(new LoadThread());
  const intervalMs = Math.max(10, Math.round((intervalS * 1000) / scale));
  const flags = ["--collect-interval-ms", `${intervalMs}`, "--collect-min-garbage", "1", "--compute-workers", "1"];
  const host = await startSystems({ ...bench, load }, `storage-${system}-${intervalS}`, [system], { flags });
  const measured: Measured[] = [];
  for (const { readRatio, sizeBytes } of points) {
    const objects = { count: Math.max(20, Math.round(KEYS / scale)), sizeBytes };
    await populate(host, system, objects);
    const warmUpMs = bench.paper ? bench.warmUpMs : (LONGEST_S * 1000) / scale;
    const durationMs = warmUpMs + bench.pointMs;
    const bodies = rwBodies(system, objects, OPERATIONS, readRatio);
    const running = host.samples({ connections: CONNECTIONS, perSecond: PER_SECOND, durationMs, bodies });
    await sleep(warmUpMs);
    const kept = await keptOver(host, bench.pointMs);
    const answered = (await running).filter(({ atMs, latencyMs }) => atMs + latencyMs <= durationMs);
    const perSecond = (answered.length * 1000) / durationMs;
    measured.push({ system, intervalS, readRatio, sizeBytes, perSecond, ...kept });
  }
  return measured;
}

/** The means of what a host keeps, over so long a time. */
async function keptOver(host: BenchHost, durationMs: number): Promise<Kept> {
  const looks: Kept[] = [];
  const endMs = performance.now() + durationMs;
  while (performance.now() < endMs || looks.length === 0) {
    looks.push(await keptBy(host));
    await sleep(LOOK_MS);
  }
  const mean = (of: (look: Kept) => number) => looks.reduce((sum, look) => sum + of(look), 0) / looks.length;
  return { logBytes: mean((look) => look.logBytes), valueBytes: mean((look) => look.valueBytes) };
}

/** What the host keeps in its index right now. */
async function keptBy(host: BenchHost): Promise<Kept> {
  const text = (await host.request("GET", "/metrics")).body.toString();
  let [logBytes, valueBytes] = [0, 0];
  for (const [, kind = "", bytes] of text.matchAll(/^neap_log_live_bytes\{kind="(\w+)"\} (\d+)$/gm)) {
    if (VALUES.has(kind)) {
      valueBytes += Number(bytes);
    } else if (!NEITHER.has(kind)) {
      logBytes += Number(bytes);
    }
  }
  return { logBytes, valueBytes };
}

function pointsOf(measured: readonly Measured[], { sizeBytes, intervalS }: Group, system: Stored): readonly Measured[] {
  return measured.filter((one) => one.sizeBytes === sizeBytes && one.intervalS === intervalS && one.system === system);
}

const titleOf = ({ sizeBytes, intervalS }: Group) => `${sizeBytes} B, collected every ${intervalS} s`;
const totalKb = ({ logBytes, valueBytes }: Kept) => (logBytes + valueBytes) / 1000;

function tableOf(measured: readonly Measured[], group: Group, scale: number): Table {
  const note = scale === 1 ? "" : `, time and keys ÷ ${scale.toLocaleString("en", { maximumFractionDigits: 1 })}`;
  return {
    title: `Time-averaged KB, log + values, ${titleOf(group)}${note}, by read ratio`,
    columns: ["system", ...pointsOf(measured, group, "boki").map(({ readRatio }) => `${readRatio}`)],
    rows: [
      ...STORED.map((system) => [
        system,
        ...pointsOf(measured, group, system).map(
          ({ logBytes, valueBytes }) => `${Math.round(logBytes / 1000)} + ${Math.round(valueBytes / 1000)}`,
        ),
      ]),
      ...STORED.map((system) => [`${system}, calls/s`, ...pointsOf(measured, group, system).map(({ perSecond }) => perSecond)]),
    ],
  };
}

function panelOf(measured: readonly Measured[], group: Group): Panel {
  return {
    title: titleOf(group),
    x: "read ratio",
    y: "KB",
    kind: "line",
    series: STORED.map((name) => ({
      name,
      points: pointsOf(measured, group, name).map((one): [number, number] => [one.readRatio, totalKb(one)]),
    })),
  };
}

/** Boki ÷ the better Halfmoon protocol, beside the published ratio. */
function rowsOf(measured: readonly Measured[], group: Group): readonly Row[] {
  const published = STORAGE_KB[group.sizeBytes][group.intervalS];
  return pointsOf(measured, group, "boki").flatMap(({ readRatio }, index) => {
    const at = (system: Stored) => pointsOf(measured, group, system)[index];
    const [read, write, boki] = [at("halfmoon-read"), at("halfmoon-write"), at("boki")];
    if (read === undefined || write === undefined || boki === undefined) {
      throw new Error(`a system was not measured at ${readRatio}`);
    }
    const theirs =
      (published.boki[index] ?? 0) / Math.min(published["halfmoon-read"][index] ?? 0, published["halfmoon-write"][index] ?? 0);
    return [
      {
        what: `Boki ÷ best Halfmoon, ${titleOf(group)}, read ratio ${readRatio} (published ${theirs.toPrecision(3)})`,
        value: totalKb(boki) / Math.min(totalKb(read), totalKb(write)),
        unit: "×" as const,
      },
    ];
  });
}
