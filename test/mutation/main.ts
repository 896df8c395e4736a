/** `npm run mutate`: shows for each mutation that its test fails. Exits with 1 when one does not. */
import { commandOf } from "../support/command-line.ts";
import { mutations } from "./mutations.ts";
import { runMutation } from "./run.ts";

const program = commandOf("mutate", "Puts known defects into the sources, one at a time, and shows that a test fails.")
  .argument("[part...]", "those alone whose names contain one of these; a name is shown for each that has run")
  .parse();
const parts = program.args;
for (const part of parts) {
  if (!mutations.some(({ name }) => name.includes(part))) {
    program.error(`error: no mutation has ${JSON.stringify(part)} in its name; test/mutation has them all`);
  }
}

const chosen = mutations.filter(({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)));
const queue = [...chosen];
const missed: string[] = [];
let ended = 0;

async function work(): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { caught, output } = await runMutation(next);
    ended += 1;
    process.stdout.write(`${ended}/${chosen.length}  ${caught ? "caught" : "MISSED"}  ${next.name}\n`);
    if (!caught) {
      missed.push(next.name);
      if (parts.length > 0) {
        process.stdout.write(`${output}\n`);
      }
    }
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // What has been started is in groups of processes of its own.
  process.once(signal, () => process.exit(1));
}
await Promise.all([work(), work()]);
process.stdout.write(`${chosen.length - missed.length} of ${chosen.length} caught\n`);
for (const name of missed) {
  process.stdout.write(`missed: ${name}\n`);
}
process.exitCode = missed.length === 0 ? 0 : 1;
