import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../../..");
const RULE = /\b[FH][0-9]{1,2}\b/g;

const rulesIn = (text: string): string[] => Array.from(text.matchAll(RULE), ([rule]) => rule);

test("docs/rules.md lists the rules that the code or a test cites, and no others", () => {
  const sources = globSync("{host,state,test}/**/*.ts", { cwd: ROOT }).filter((path) => !path.startsWith("test/unit/docs/"));
  const cited = new Set(sources.flatMap((path) => rulesIn(readFileSync(join(ROOT, path), "utf8"))));
  const page = readFileSync(join(ROOT, "docs/rules.md"), "utf8");
  const listed = Array.from(page.matchAll(/^\| ([FH][0-9]+) \|/gm), ([, rule]) => rule);
  expect(listed.toSorted()).toEqual([...cited].sort());
});

test("each rule F has a test that is named after it", () => {
  const tests = globSync("test/**/*.ts", { cwd: ROOT }).filter(
    (path) => path.endsWith(".test.ts") || path.endsWith("-contract.ts"),
  );
  const named = new Set<string>();
  for (const path of tests) {
    const source = readFileSync(join(ROOT, path), "utf8");
    for (const [name] of source.matchAll(/\b(?:test|it|describe)(?:\.each\([^)]*\))?\(\s*["'`][^"'`]*/g)) {
      for (const rule of rulesIn(name)) {
        named.add(rule);
      }
    }
  }
  const page = readFileSync(join(ROOT, "docs/rules.md"), "utf8");
  const listed = Array.from(page.matchAll(/^\| (F[0-9]+) \|/gm), ([, rule]) => String(rule));
  expect(listed.filter((rule) => !named.has(rule))).toEqual([]);
});
