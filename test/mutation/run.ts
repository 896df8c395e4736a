/** Runs the tests of a mutation in processes of their own. */
import { spawn } from "node:child_process";
import type { Mutation } from "./mutations.ts";

/** A defect may make a test go on for ever, which nobody would call a failure. */
const ENDS_WITHIN_MS = 600_000;
const ROOT = new URL("../../", import.meta.url).pathname;

export interface MutationRun {
  readonly mutation: Mutation;
  /** A test failed, as it should. */
  readonly caught: boolean;
  /** What the tests printed. */
  readonly output: string;
}

/** Runs the tests that must notice the defect, with it. */
export async function runMutation(mutation: Mutation): Promise<MutationRun> {
  const [path, name] = mutation.caughtBy;
  const args = ["node_modules/vitest/vitest.mjs", "run", "--config", "test/vitest.config.ts", "--bail", "1", path];
  const filter = name === undefined ? [] : ["-t", name.replaceAll(/[[\]]/g, "\\$&")];
  const env = { ...process.env, NEAP_MUTATION: mutation.name, SIM_SEED: "1", SIM_SEEDS: "400", NO_COLOR: "1" };
  const child = spawn(process.execPath, [...args, ...filter], {
    cwd: ROOT,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  // With the processes that run its tests.
  const end = () => child.pid !== undefined && process.kill(-child.pid, "SIGKILL");
  const giveUp = setTimeout(() => {
    output += `the test did not end within ${ENDS_WITHIN_MS} ms\n`;
    end();
  }, ENDS_WITHIN_MS);
  process.once("exit", end);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  process.off("exit", end);
  clearTimeout(giveUp);
  // Tests that failed, not a suite that could not be loaded: that would prove nothing.
  const caught = code !== 0 && /Tests\s+.*\d+ failed/.test(output);
  return { mutation, caught, output };
}
