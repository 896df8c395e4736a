/**
 * `npm run figures`: runs the published experiments on this machine, and writes each as <name>.json, <name>.md and <name>.svg. Exits with
 * 1 when one fails; a missed bar is a result like any other.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Option } from "commander";
import { above0, choiceOf, commandOf } from "../../support/command-line.ts";
import { busyShareOver, StealMeter, thisMachine } from "../machine.ts";
import { describeMachine } from "../report.ts";
import { LoadThread } from "../support/load-thread.ts";
import type { Figure, FigureBench, FigureResult } from "./figure.ts";
import { figures } from "./index.ts";
import { markdownOf, svgOf } from "./render.ts";

/** Points take turns this often: what disturbs the machine for seconds disturbs all of them. */
const ROUND_MS = 250;
const DEFAULT_SECONDS = 6;
const SMOKE_SECONDS = 0.1;
const SMOKE_WARM_UP_MS = 40;
const WARM_UP_MS = 3_000;
const LOOK_MS = 300;
const OUTPUT_FOLDER = join(import.meta.dirname, "..", "results", "figures");

interface Options {
  readonly smoke: boolean;
  readonly paper: boolean;
  readonly only: readonly Figure[];
  /** Null: each figure's own. */
  readonly seconds: number | null;
  readonly parentFolder: string;
  readonly outputFolder: string;
}

function readOptions(): Options {
  const listed = figures.map(({ name, shows }) => ({ name, text: shows }));
  const lengths = figures.map(({ name, paperSeconds }) => `${name} ${paperSeconds} s`).join(", ");
  const given = commandOf("figures", "Runs the published experiments on this machine.", listed)
    .addOption(choiceOf("--only <name,...>", "these figures alone", figures))
    .option("--seconds <n>", `length of each point (default: ${DEFAULT_SECONDS})`, above0)
    .option("--paper", `the papers' rates, intervals and lengths of each point: ${lengths}`)
    .option("--folder <path>", "where journals are written: on the disk that is meant", tmpdir())
    .addOption(new Option("--output <path>", "where the results go").default(OUTPUT_FOLDER, "test/bench/results/figures"))
    .option("--smoke", "as short as possible, to see that everything runs; the numbers mean nothing")
    .parse()
    .opts<{ smoke?: true; paper?: true; only: Figure[]; seconds?: number; folder: string; output: string }>();
  const { smoke = false, paper = false, only, seconds, folder, output } = given;
  const preset = smoke ? SMOKE_SECONDS : paper ? null : DEFAULT_SECONDS;
  return { smoke, paper, only, seconds: seconds ?? preset, parentFolder: resolve(folder), outputFolder: resolve(output) };
}

async function runFigure(figure: Figure, { smoke, paper, seconds, parentFolder }: Options): Promise<FigureResult> {
  const folder = mkdtempSync(join(parentFolder, "neap-figures-"));
  try {
    await using cleanup = new AsyncDisposableStack();
    const pointMs = (seconds ?? figure.paperSeconds) * 1000;
    const rounds = Math.ceil(pointMs / ROUND_MS);
    const bench: FigureBench = {
      pointMs,
      roundMs: pointMs / rounds,
      warmUpMs: smoke ? SMOKE_WARM_UP_MS : paper ? figure.paperWarmUpSeconds * 1000 : WARM_UP_MS,
      rounds,
      paper,
      folder,
      load: cleanup.use(new LoadThread()),
      cleanup,
      size: (full, small) => (smoke ? small : full),
    };
    return await figure.run(bench);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const options = readOptions();
  const machine = thisMachine();
  process.stdout.write(describeMachine(machine));
  mkdirSync(options.outputFolder, { recursive: true });
  for (const figure of options.only) {
    const { name, shows } = figure;
    const busyShare = await busyShareOver(LOOK_MS);
    const steal = new StealMeter();
    const startMs = performance.now();
    try {
      const result = await runFigure(figure, options);
      const seconds = (performance.now() - startMs) / 1000;
      const head = { name, shows, date: new Date().toISOString(), machine, busyShare, stealShare: steal.share(), seconds };
      const path = join(options.outputFolder, name);
      writeFileSync(`${path}.json`, `${JSON.stringify({ ...head, ...result }, null, 2)}\n`);
      writeFileSync(`${path}.md`, markdownOf(result));
      writeFileSync(`${path}.svg`, svgOf(result.panels));
      const busy = `${Math.round(busyShare * 100)} % of the CPU in use before, ${Math.round(steal.share() * 100)} % stolen meanwhile`;
      process.stdout.write(`\n${name}: ${shows}\n(${seconds.toFixed(0)} s; ${busy})\n\n${markdownOf(result)}`);
    } catch (error) {
      process.exitCode = 1;
      process.stdout.write(`\n${name} FAILED: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  process.stdout.write(`\nwritten to ${options.outputFolder}\n`);
}

await main();
