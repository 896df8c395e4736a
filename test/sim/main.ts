/** `npm run sim`: runs seeds, stops at the first that fails, and then exits with 1; says what has happened in them. */
import { commandOf, count } from "../support/command-line.ts";
import { simulate } from "./simulation.ts";

const PROGRESS_MS = 5_000;

const { seeds, from } = commandOf("sim", "Simulates a cluster for each seed, and stops at the first that fails.")
  .option("--seeds <n>", "how many", count, 1000)
  .option("--from <n>", "the first one", count, 1)
  .parse()
  .opts<{ seeds: number; from: number }>();

const startedMs = performance.now();
let nextMs = startedMs + PROGRESS_MS;
let events = 0;
let ended = 0;
let failure: string | undefined;
const total = new Map<string, number>();
const seconds = () => ((performance.now() - startedMs) / 1000).toFixed(0);
const soFar = () => `${ended} of ${seeds} seeds, ${events} events, ${seconds()} s\n`;

while (ended < seeds && failure === undefined) {
  const report = await simulate(from + ended);
  failure = report.failure;
  ended += 1;
  events += report.events;
  for (const [name, times] of Object.entries(report.counts)) {
    total.set(name, (total.get(name) ?? 0) + times);
  }
  if (performance.now() > nextMs) {
    nextMs += PROGRESS_MS;
    process.stdout.write(soFar());
  }
}
for (const [name, times] of [...total].sort(([a], [b]) => (a < b ? -1 : 1))) {
  process.stdout.write(`${String(times).padStart(9)}  ${name}\n`);
}
if (failure === undefined) {
  process.stdout.write(`ok. ${soFar()}`);
} else {
  process.stdout.write(`\n${failure}\n\nFAILED after ${soFar()}again: npm run sim -- --seeds 1 --from ${from + ended - 1}\n`);
  process.exitCode = 1;
}
