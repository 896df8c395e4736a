/** Which seeds a run of the test suite takes. */
import { execFileSync } from "node:child_process";

/**
 * SIM_SEED when it is set, else from the hash of the commit, so that each commit tries others and a failure of one can be repeated;
 * 1 without git.
 */
export function firstSeed(): number {
  const given = process.env.SIM_SEED;
  if (given !== undefined) {
    return Number(given);
  }
  try {
    const hash = execFileSync("git", ["rev-parse", "HEAD"], { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "ignore"] });
    return Number.parseInt(hash.toString().slice(0, 7), 16);
  } catch {
    return 1;
  }
}

/** SIM_SEEDS, or as many as a test suite can afford. */
export function seedCount(): number {
  return Number(process.env.SIM_SEEDS ?? 400);
}
