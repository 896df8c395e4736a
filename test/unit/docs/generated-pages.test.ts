import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { GENERATED_PAGES } from "../../../docs/generate.ts";
import abi from "../../../guest-sdk/abi.json" with { type: "json" };
import { OPTION_NAMES, variableName } from "../../../host/config/options.ts";
import { ERRORS } from "../../../host/errors.ts";
import { LIMIT_NAMES, LIMITS } from "../../../host/tenancy/index.ts";

const pageNamed = (name: string) => GENERATED_PAGES.find(({ url }) => url.pathname.endsWith(`/${name}`))?.text() ?? "";

test.each(GENERATED_PAGES)("$url is what `npm run docs` writes", ({ url, text }) => {
  expect(readFileSync(url, "utf8")).toBe(text());
});

test("host-abi.md has a heading for each import, and no other at that level", () => {
  const headings = Array.from(pageNamed("host-abi.md").matchAll(/^### (.+)$/gm), ([, heading]) => heading);
  expect(headings).toEqual(abi.imports.filter(({ group }) => group === undefined).map(({ module, name }) => `${module}.${name}`));
});

test("configuration.md has one row for each option", () => {
  const rows = Array.from(pageNamed("configuration.md").matchAll(/^\| .*?`(NEAP_[A-Z_]+)` \|/gm), ([, variable]) => variable);
  expect(rows).toEqual(OPTION_NAMES.map(variableName));
});

test("limits.md has one row for each limit, an option for each, and an error that there is", () => {
  const rows = Array.from(pageNamed("limits.md").matchAll(/^\| `(\w+)`<br>`(--[a-z-]+)` \|/gm), ([, name]) => name);
  expect(rows).toEqual(LIMIT_NAMES);
  expect(OPTION_NAMES).toEqual(expect.arrayContaining(LIMIT_NAMES));
  const codes = LIMIT_NAMES.map((name) => LIMITS[name].code).filter((code) => !["LOG_LIMIT", "tooDeep", "again"].includes(code));
  expect(Object.keys(ERRORS)).toEqual(expect.arrayContaining(codes));
});

test("host-abi.md has a row for each import of Faasm and of MPI, with a test that names it", () => {
  const rows = Array.from(
    pageNamed("host-abi.md").matchAll(/^\| `(\w+)` \| `\(.*\[[\w-]+\]\(..\/..\/(\S+)\) \|$/gm),
    ([, name, file]) => ({ name, file }),
  );
  expect(rows.map(({ name }) => name)).toEqual(
    abi.imports.filter(({ answers }) => answers !== undefined).map(({ name }) => name),
  );
  for (const { name = "", file = "" } of rows) {
    // Tests of MPI call them without what all their names begin with.
    const named = name.startsWith("MPI_") ? `"${name.slice("MPI_".length)}"` : name;
    expect(readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8").includes(named), name).toBe(true);
  }
});
