import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT, removeFolder, temporaryFolder } from "../support/host-process.ts";

interface Report {
  readonly tables: readonly {
    readonly title: string;
    readonly columns: readonly string[];
    readonly rows: readonly unknown[][];
  }[];
  readonly panels: readonly { readonly series: readonly { readonly name: string; readonly points: readonly number[][] }[] }[];
  readonly rows: readonly { readonly what: string; readonly value: number; readonly bar?: { readonly source: string } }[];
}

const NAMES = ["singleop", "overhead", "storage", "switching", "recovery"];

describe("the figures", () => {
  const folder = temporaryFolder("figures-smoke");
  const output = join(folder, "results");
  let printed = "";
  const text = (file: string) => readFileSync(join(output, file), "utf8");
  const report = (name: string) => JSON.parse(text(`${name}.json`)) as Report;

  beforeAll(async () => {
    const args = ["test/bench/figures/main.ts", "--smoke", "--folder", folder, "--output", output];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT }).catch(
      (error) => error as { stdout: string },
    );
    printed = stdout;
  }, 240_000);

  afterAll(() => removeFolder(folder));

  it("are all made, and no call fails", () => {
    expect(printed).not.toContain("FAILED");
    expect(printed).toContain("written to");
  });

  it.each(NAMES)("%s: numbers in every cell, point and ratio, a table and a diagram with as many lines", (name) => {
    const { tables, panels, rows } = report(name);
    expect(tables.length).toBeGreaterThan(0);
    for (const table of tables) {
      expect(table.rows.length).toBeGreaterThan(0);
      expect(table.rows.filter((row) => row.length !== table.columns.length)).toEqual([]);
      expect(JSON.stringify(table.rows)).not.toMatch(/null|NaN/);
    }
    const points = panels.flatMap(({ series }) => series.flatMap((one) => one.points));
    expect(points.length).toBeGreaterThan(2);
    expect(points.flat().filter((value) => !Number.isFinite(value))).toEqual([]);
    expect(rows.filter(({ value }) => !Number.isFinite(value))).toEqual([]);
    expect(rows.filter(({ bar }) => bar?.source === "")).toEqual([]);
    expect(text(`${name}.svg`)).toMatch(/^<svg [^>]*>[\s\S]*<\/svg>\s*$/);
    expect(text(`${name}.md`)).toContain(`| ${tables[0]?.columns.join(" | ")} |`);
  });

  it("storage finds the log of each protocol, and a value per object", () => {
    for (const [system, , cell] of report("storage").tables[0]?.rows.map((row) => [row[0], ...row] as string[]) ?? []) {
      if (system?.includes("calls/s") === false) {
        expect(cell).toMatch(/^\d+ \+ [1-9]\d*$/);
      }
    }
  });
});
