import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const ROOT = new URL("../..", import.meta.url);
/** The others differ from one of these by an option, and `npm run verify` has them all. */
const VARIANTS = ["switching", "always-evict", "separate"];

describe("the verification runner", () => {
  it("finds every counter exact", { timeout: 240_000 }, async () => {
    const flags = ["--seconds", "1", "--counters", "200", "--clients", "4", "--variants", VARIANTS.join(",")];
    const { stdout } = await promisify(execFile)(process.execPath, ["test/verify/main.ts", ...flags], { cwd: ROOT });
    for (const name of VARIANTS) {
      expect(stdout).toMatch(new RegExp(`^${name}: ok\\. [1-9]`, "m"));
    }
  });
});
