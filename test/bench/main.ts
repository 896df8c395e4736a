/**
 * `npm run bench`: measures the host on this machine, prints what it found beside the bars, and writes it as JSON.
 * Exits with 1 when a case fails; a missed bar is a result like any other.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Bench, BenchCase } from "./bench-case.ts";
import { cases } from "./cases/index.ts";
import { busyShareOver, StealMeter, thisMachine } from "./machine.ts";
import { type CaseResult, describeCase, describeMachine, describeVerdict } from "./report.ts";
import { LoadThread } from "./support/load-thread.ts";

const ROUNDS = 3;
const DEFAULT_SECONDS = 3;
const SMOKE_SECONDS = 0.03;
/** The compilers of a host under load are done after this. */
const WARM_UP_MS = 3_000;
const LOOK_MS = 300;

interface Options {
  readonly smoke: boolean;
  readonly only: readonly BenchCase[];
  readonly secondsPerMeasurement: number;
  readonly parentFolder: string;
  readonly outputPath: string;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", short: "h", default: false },
      smoke: { type: "boolean", default: false },
      only: { type: "string", default: cases.map(({ name }) => name).join(",") },
      seconds: { type: "string" },
      folder: { type: "string", default: tmpdir() },
      output: { type: "string", default: defaultOutput() },
    },
  });
  if (values.help) {
    process.stdout.write(helpText());
    process.exit(0);
  }
  const seconds = Number(values.seconds ?? (values.smoke ? SMOKE_SECONDS : DEFAULT_SECONDS));
  if (!(seconds > 0)) {
    throw new Error(`--seconds is ${values.seconds}, must be a number above 0`);
  }
  return {
    smoke: values.smoke,
    only: values.only.split(",").map(caseNamed),
    secondsPerMeasurement: seconds,
    parentFolder: resolve(values.folder),
    outputPath: resolve(values.output),
  };
}

function caseNamed(name: string): BenchCase {
  const found = cases.find((one) => one.name === name);
  if (found === undefined) {
    throw new Error(`--only names ${JSON.stringify(name)}; there are ${cases.map((one) => one.name).join(", ")}`);
  }
  return found;
}

function defaultOutput(): string {
  const date = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  return join(import.meta.dirname, "results", `${date}.json`);
}

function helpText(): string {
  const width = Math.max(...cases.map(({ name }) => name.length));
  return `Usage: npm run bench -- [options]

  --only <name,...>   these cases alone
  --seconds <n>       length of each measurement, over ${ROUNDS} rounds (default ${DEFAULT_SECONDS})
  --folder <path>     where journals are written: on the disk that is meant (default ${tmpdir()})
  --output <file>     where the results go as JSON (default test/bench/results/<date>.json)
  --smoke             as short as possible, to see that everything runs; the numbers mean nothing

${cases.map(({ name, measures }) => `  ${name.padEnd(width)}  ${measures}`).join("\n")}
`;
}

async function runCase(one: BenchCase, { smoke, secondsPerMeasurement, parentFolder }: Options): Promise<CaseResult> {
  const busyShare = await busyShareOver(LOOK_MS);
  const startMs = performance.now();
  const steal = new StealMeter();
  const rounds = smoke ? 1 : ROUNDS;
  const folder = mkdtempSync(join(parentFolder, "neap-bench-"));
  const attempt = async () => {
    await using cleanup = new AsyncDisposableStack();
    const bench: Bench = {
      roundMs: (secondsPerMeasurement * 1000) / rounds,
      warmUpMs: smoke ? SMOKE_SECONDS * 1000 : WARM_UP_MS,
      rounds,
      folder,
      load: cleanup.use(new LoadThread()),
      cleanup,
      size: (full, small) => (smoke ? small : full),
    };
    return await one.run(bench);
  };
  const outcome = await attempt().then(
    (rows) => ({ rows, failure: null }),
    (error: unknown) => ({ rows: [], failure: error instanceof Error ? error.message : String(error) }),
  );
  rmSync(folder, { recursive: true, force: true });
  const { name, measures } = one;
  return { name, measures, seconds: (performance.now() - startMs) / 1000, busyShare, stealShare: steal.share(), ...outcome };
}

async function main(): Promise<void> {
  const options = readOptions();
  const machine = thisMachine();
  process.stdout.write(describeMachine(machine));
  const results: CaseResult[] = [];
  for (const one of options.only) {
    const result = await runCase(one, options);
    process.stdout.write(describeCase(result));
    results.push(result);
  }
  process.stdout.write(describeVerdict(results));
  mkdirSync(dirname(options.outputPath), { recursive: true });
  const { smoke, secondsPerMeasurement } = options;
  const report = { date: new Date().toISOString(), machine, smoke, secondsPerMeasurement, cases: results };
  writeFileSync(options.outputPath, `${JSON.stringify(report, null, 2)}\n`);
  process.stdout.write(`written to ${options.outputPath}\n`);
  process.exitCode = results.some(({ failure }) => failure !== null) ? 1 : 0;
}

await main();
