import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { VARIANTS } from "../verify/variants.ts";

const ROOT = new URL("../..", import.meta.url);

describe("the verification runner", () => {
  it("finds every counter exact in every variant", { timeout: 240_000 }, async () => {
    const flags = ["--seconds", "1", "--counters", "200", "--clients", "4"];
    const { stdout } = await promisify(execFile)(process.execPath, ["test/verify/main.ts", ...flags], { cwd: ROOT });
    for (const { name } of VARIANTS) {
      expect(stdout).toMatch(new RegExp(`^${name}: ok\\. [1-9]`, "m"));
    }
  });
});
