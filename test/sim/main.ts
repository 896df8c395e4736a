/** `npm run sim -- --seeds 5000 [--from n]`: runs many seeds, stops at the first that fails, and says what has happened. */
import { parseArgs } from "node:util";
import { simulate } from "./simulation.ts";

const { values } = parseArgs({ options: { seeds: { type: "string", default: "1000" }, from: { type: "string", default: "1" } } });
const from = Number(values.from);
const count = Number(values.seeds);
const startedMs = performance.now();
let events = 0;
const total = new Map<string, number>();
for (let seed = from; seed < from + count; seed += 1) {
  const report = await simulate(seed);
  events += report.events;
  for (const [name, times] of Object.entries(report.counts)) {
    total.set(name, (total.get(name) ?? 0) + times);
  }
  if (report.failure !== undefined) {
    process.stdout.write(`\n${report.failure}\n\nagain: npm run sim -- --seeds 1 --from ${seed}\n`);
    process.exitCode = 1;
    break;
  }
  if ((seed - from + 1) % 100 === 0) {
    const seconds = (performance.now() - startedMs) / 1000;
    process.stdout.write(`${seed - from + 1} seeds, ${events} events, ${seconds.toFixed(0)} s\n`);
  }
}
for (const [name, times] of [...total].sort(([a], [b]) => (a < b ? -1 : 1))) {
  process.stdout.write(`${String(times).padStart(9)}  ${name}\n`);
}
