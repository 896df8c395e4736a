import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERRORS } from "../../../../host/errors.ts";
import { HttpFixture } from "../../../support/http-fixture.ts";

const page = (name: string) => readFileSync(new URL(`../../../../docs/reference/${name}`, import.meta.url), "utf8");

test("docs/reference/errors.md has a heading for each code, and no other", () => {
  const documented = Array.from(page("errors.md").matchAll(/^### ([A-Z_]+)$/gm), ([, code]) => code);
  expect(documented.toSorted()).toEqual(Object.keys(ERRORS).toSorted());
});

test("each code's entry has the status and the meaning that the code has", () => {
  const entries = page("errors.md").split(/^### /m);
  for (const [code, { status, meaning }] of Object.entries(ERRORS)) {
    const entry = entries.find((text) => text.startsWith(`${code}\n`)) ?? "";
    expect(entry).toMatch(new RegExp(`^${code}\n\n${status} · `));
    expect(entry.replaceAll("\n", " ")).toContain(meaning);
  }
});

test("docs/reference/http-api.md has a heading for each route, and no other", () => {
  const documented = Array.from(page("http-api.md").matchAll(/^### `([A-Z]+ [^`]+)`$/gm), ([, route]) => route);
  expect(documented.toSorted()).toEqual([...new HttpFixture().server.routes].toSorted());
});
