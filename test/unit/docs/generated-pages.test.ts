import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { GENERATED_PAGES } from "../../../docs/generate.ts";
import abi from "../../../guest-sdk/abi.json" with { type: "json" };
import { OPTION_NAMES, variableName } from "../../../host/config/options.ts";

const pageNamed = (name: string) => GENERATED_PAGES.find(({ url }) => url.pathname.endsWith(`/${name}`))?.text() ?? "";

test.each(GENERATED_PAGES)("$url is what `npm run docs` writes", ({ url, text }) => {
  expect(readFileSync(url, "utf8")).toBe(text());
});

test("host-abi.md has a heading for each import, and no other at that level", () => {
  const headings = Array.from(pageNamed("host-abi.md").matchAll(/^### (.+)$/gm), ([, heading]) => heading);
  expect(headings).toEqual(abi.imports.map(({ module, name }) => `${module}.${name}`));
});

test("configuration.md has one row for each option", () => {
  const rows = Array.from(pageNamed("configuration.md").matchAll(/^\| .*?`(NEAP_[A-Z_]+)` \|/gm), ([, variable]) => variable);
  expect(rows).toEqual(OPTION_NAMES.map(variableName));
});
