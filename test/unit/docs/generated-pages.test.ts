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

test("host-abi.md has one row for each import, by its module, with its types, what it answers and its test", () => {
  const [, ...sections] = pageNamed("host-abi.md").split(/^## Module `([\w-]+)`$/m);
  const rows = sections.flatMap((text, at) =>
    Array.from(
      text.matchAll(/^\| `([^`*]+)` \| `([^`]+)`<br>(\w+)(?:<br>may wait)? \| .+ \| (.+) \| \[[\w-]+\]\(..\/..\/(\S+)\) \|$/gm),
      ([, name, type, kind, answers, file]) => ({ module: sections[at - 1], name, type, kind, answers, file }),
    ),
  );
  const byModule = Map.groupBy(abi.imports, ({ module }) => module);
  expect(rows).toEqual(
    [...byModule.values()].flat().map(({ module, name, params, results, class: kind, answers, errors, test }) => ({
      module,
      name,
      type: `(${params.join(", ")})${results.map((result) => ` → ${result}`).join("")}`,
      kind,
      answers: answers ?? ["supported", ...(errors.length === 0 ? [] : [errors.join(", ")])].join("; "),
      file: test,
    })),
  );
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
