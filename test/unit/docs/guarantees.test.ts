import { globSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "../../..");
/** Of log and protocols: 58 and 59 belong to libraries there are not, 60 and 61 to the simulation, which shows the others only in passing. */
const NUMBERS = [...Array.from({ length: 57 }, (_, i) => `${i + 1}`), "48a"];
/** The rules and numbers that a test's name begins with. */
const LABELS = /["'`]((?:(?:[A-Z][0-9]{1,2}(?:\([a-z]\))?|\[[0-9]+a?\])[,:]* ?)+)/g;

const QUOTES = ['"', "'", "`"];

const tests = globSync("{unit,contract,fault,e2e,hostile,sim}/**/*.ts", { cwd: join(ROOT, "test") })
  .filter((path) => /(\.test|-contract)\.ts$/.test(path) && !path.startsWith("unit/docs/"))
  .map((path) => ({ file: basename(path).replace(/(\.test)?\.ts$/, ""), text: readFileSync(join(ROOT, "test", path), "utf8") }));

const numbersIn = (text: string): string[] =>
  Array.from(text.matchAll(LABELS), ([, labels = ""]) =>
    Array.from(labels.matchAll(/\[([0-9]+a?)\]/g), ([, n = ""]) => n),
  ).flat();

describe("the guarantees", () => {
  it("[1] to [57] are each the name of a test", () => {
    const directed = tests.filter(({ file }) => file !== "sim");
    const named = new Set(directed.flatMap(({ text }) => numbersIn(text)));
    expect(NUMBERS.filter((number) => !named.has(number))).toEqual([]);
  });

  it("of docs/guarantees.md are each shown by tests that there are", () => {
    const page = readFileSync(join(ROOT, "docs/guarantees.md"), "utf8");
    const cited = Array.from(page.matchAll(/`([a-z-]+): ([^`]+)`/g), ([, file = "", name = ""]) => ({ file, name }));
    expect(cited.length).toBeGreaterThan(40);
    const isThere = ({ file, name }: { file: string; name: string }) =>
      tests.some((one) => one.file === file && QUOTES.some((quote) => one.text.includes(quote + name)));
    expect(cited.filter((one) => !isThere(one))).toEqual([]);
    const rows = page.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| where |"));
    expect(rows.filter((row) => !/`[a-z-]+: [^`]+`/.test(row))).toEqual([]);
  });
});
