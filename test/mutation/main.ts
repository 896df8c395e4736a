/** `npm run mutate [-- name …]`: shows for each mutation that its test fails. */
import { mutations } from "./mutations.ts";
import { runMutation } from "./run.ts";

const wanted = process.argv.slice(2);
const chosen = mutations.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const queue = [...chosen];
const missed: string[] = [];

async function work(): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { caught, output } = await runMutation(next);
    process.stdout.write(`${caught ? "caught" : "MISSED"}  ${next.name}\n`);
    if (!caught) {
      missed.push(next.name);
      if (wanted.length > 0) {
        process.stdout.write(`${output}\n`);
      }
    }
  }
}

await Promise.all([work(), work()]);
process.stdout.write(`${chosen.length - missed.length} of ${chosen.length} caught\n`);
process.exitCode = missed.length === 0 && chosen.length > 0 ? 0 : 1;
