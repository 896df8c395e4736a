import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { mutated } from "./apply.ts";
import { mutations } from "./mutations.ts";
import { runMutation } from "./run.ts";

/** Each is caught by another kind of test. `npm run mutate` runs all. */
const SAMPLE = ["F8: an answer leaves before it is durable", "F11: a first step below the floor is accepted"];

test("[61] every mutation still applies: its text is in its file once, and the change is one", () => {
  for (const mutation of mutations) {
    expect(mutated(mutation), mutation.name).not.toBe(mutated({ ...mutation, replace: mutation.find }));
  }
  expect(new Set(mutations.map(({ name }) => name)).size).toBe(mutations.length);
});

test("[61] the tests that are to notice a mutation are there", () => {
  const missing = mutations.filter(({ caughtBy: [path] }) => !existsSync(new URL(`../../${path}`, import.meta.url)));
  expect(missing.map(({ name }) => name)).toEqual([]);
});

test("a mutation whose text is not there, or there twice, is refused", () => {
  const mutation = { name: "m", file: "f", find: "a", replace: "b", caughtBy: ["t"] as const };
  expect(mutated(mutation, "xay")).toBe("xby");
  expect(() => mutated(mutation, "xy")).toThrow("0 times");
  expect(() => mutated(mutation, "xaya")).toThrow("2 times");
});

test.each(SAMPLE)("[61] a test fails with the defect %s", { timeout: 300_000 }, async (name) => {
  const mutation = mutations.find((one) => one.name === name);
  const run = mutation && (await runMutation(mutation));
  expect(run?.caught, run?.output ?? `there is no mutation ${name}`).toBe(true);
});
