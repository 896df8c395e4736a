import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/host-process.ts";

const COMMANDS = {
  bench: "test/bench/main.ts",
  figures: "test/bench/figures/main.ts",
  verify: "test/verify/main.ts",
  sim: "test/sim/main.ts",
  mutate: "test/mutation/main.ts",
  fuzz: "test/fuzz/main.ts",
} as const;
type Name = keyof typeof COMMANDS;

const run = (name: Name, ...args: string[]) =>
  spawnSync(process.execPath, [COMMANDS[name], ...args], { cwd: ROOT, encoding: "utf8" });

describe("a command of the checkout", () => {
  it.each(Object.keys(COMMANDS) as Name[])("%s says what it can do when it is asked, and ends with 0", (name) => {
    const { status, stdout } = run(name, "--help");
    expect(status).toBe(0);
    expect(stdout).toContain(`Usage: npm run ${name} -- [options]`);
  });

  it.each<[Name, string[], string]>([
    ["bench", ["--only", "hello,nosuch"], `There is no "nosuch", there are flush, `],
    ["bench", ["--seconds", "0"], "must be a number above 0"],
    ["figures", ["--only", "nosuch"], `There is no "nosuch", there are singleop, `],
    ["figures", ["--seconds", "Infinity"], "must be a number above 0"],
    ["verify", ["--variants", "nosuch"], `There is no "nosuch", there are default, `],
    ["verify", ["--clients", "1.5"], "must be a whole number above 0"],
    ["sim", ["--seeds", "none"], "must be a whole number above 0"],
    ["sim", ["--from", "-1"], "must be a whole number above 0"],
    ["sim", ["5000"], "too many arguments"],
    ["mutate", ["F8", "nosuch"], `no mutation has "nosuch" in its name`],
    ["mutate", ["--nosuch"], "unknown option '--nosuch'"],
  ])("%s refuses %j in one line, and ends with 1", (name, args, message) => {
    const { status, stdout, stderr } = run(name, ...args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr.split("\n")[0]).toMatch(/^error: /);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it("sim ends with how many seeds nothing was wrong in", () => {
    const { status, stdout } = run("sim", "--seeds", "3", "--from", "7");
    expect(stdout).toMatch(/\nok\. 3 of 3 seeds, [1-9]\d* events, \d+ s\n$/);
    expect(status).toBe(0);
  });

  it("mutate ends with how many defects were noticed", () => {
    const { status, stdout } = run("mutate", "F37: reads in a transaction are of now");
    expect(stdout).toBe("1/1  caught  F37: reads in a transaction are of now\n1 of 1 caught\n");
    expect(status).toBe(0);
  });
});
