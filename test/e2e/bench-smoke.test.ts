import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findClang } from "../../functions/clang.ts";
import { ROOT, removeFolder, temporaryFolder } from "../support/host-process.ts";

interface Report {
  readonly machine: { readonly cores: number; readonly node: string };
  readonly cases: readonly {
    readonly name: string;
    readonly failure: string | null;
    readonly rows: readonly { readonly what: string; readonly value: number; readonly bar?: { readonly source: string } }[];
  }[];
}

describe("the benchmark", () => {
  const folder = temporaryFolder("bench-smoke");
  let report: Report;

  beforeAll(async () => {
    const output = join(folder, "results.json");
    // Its exit code is checked by what it says of each case.
    await promisify(execFile)(process.execPath, ["test/bench/main.ts", "--smoke", "--folder", folder, "--output", output], {
      cwd: ROOT,
    }).catch(() => {});
    report = JSON.parse(readFileSync(output, "utf8")) as Report;
  }, 400_000);

  afterAll(() => removeFolder(folder));

  it("runs every case, and each finds its answers right and its sums exact", () => {
    expect(report.cases.map(({ name, failure }) => ({ name, failure }))).toEqual(
      [
        "flush",
        "append",
        "index",
        "restart",
        "hello",
        "imports",
        "wasi",
        "steps",
        "counter",
        "cold",
        "snapshot",
        "sandboxes",
        "kill",
        "isolation",
        "regions",
        "threads",
        "migration",
        "data-moves",
        "wordcount",
        ...(findClang() === null ? [] : ["openmp", "mpi", "cpp-parts", "cpp-start"]),
        "loops",
        "rewriting",
      ].map((name) => ({
        name,
        failure: null,
      })),
    );
  });

  it("gives a finite number in every row, and a source for every bar", () => {
    const rows = report.cases.flatMap((one) => one.rows);
    expect(rows.length).toBeGreaterThan(50);
    expect(rows.filter(({ value }) => !Number.isFinite(value))).toEqual([]);
    const bars = rows.flatMap(({ bar }) => (bar === undefined ? [] : [bar.source]));
    expect(bars.length).toBeGreaterThan(8);
    expect(bars.filter((source) => source === "")).toEqual([]);
  });

  it("says what machine the numbers are from", () => {
    expect(report.machine.node).toBe(process.versions.node);
    expect(report.machine.cores).toBeGreaterThan(0);
  });
});
