#!/usr/bin/env node
/** The `neap` command: `neap run` runs a WASI program here, anything else starts the host. */
import { NeapError } from "../../state/errors.ts";
import { parseRun } from "./parse-run.ts";
import { runProgram } from "./run-program.ts";

const [command, ...rest] = process.argv.slice(2);

async function run(): Promise<void> {
  const parsed = parseRun(rest);
  if (parsed.kind === "help") {
    process.stdout.write(parsed.text);
    return;
  }
  // Not by the exit code alone: a program that has ended may have left something that would still run.
  process.exit(await runProgram(parsed.program));
}

if (command === "run") {
  run().catch((error: unknown) => {
    if (error instanceof NeapError) {
      process.stderr.write(`neap: ${error.code}: ${error.message}\n`);
      process.exit(1);
    }
    throw error;
  });
} else {
  await import("../main.ts");
}
