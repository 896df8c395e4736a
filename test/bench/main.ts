/**
 * `npm run bench`: measures the host on this machine, prints what it found beside the bars, and writes it as JSON.
 * Exits with 1 when a case fails; a missed bar is a result like any other.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { above0, choiceOf, commandOf } from "../support/command-line.ts";
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
  const listed = cases.map(({ name, measures }) => ({ name, text: measures }));
  const {
    smoke = false,
    only,
    seconds,
    folder,
    output,
  } = commandOf("bench", "Measures the host on this machine.", listed)
    .addOption(choiceOf("--only <name,...>", "these cases alone", cases))
    .option("--seconds <n>", `length of each measurement, over ${ROUNDS} rounds (default: ${DEFAULT_SECONDS})`, above0)
    .option("--folder <path>", "where journals are written: on the disk that is meant", tmpdir())
    .option("--output <file>", "where the results go as JSON (default: test/bench/results/<date>.json)")
    .option("--smoke", "as short as possible, to see that everything runs; the numbers mean nothing")
    .parse()
    .opts<{ smoke?: true; only: BenchCase[]; seconds?: number; folder: string; output?: string }>();
  return {
    smoke,
    only,
    secondsPerMeasurement: seconds ?? (smoke ? SMOKE_SECONDS : DEFAULT_SECONDS),
    parentFolder: resolve(folder),
    outputPath: resolve(output ?? defaultOutput()),
  };
}

function defaultOutput(): string {
  const date = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  return join(import.meta.dirname, "results", `${date}.json`);
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
