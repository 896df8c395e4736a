import { expect, test } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { fuzz } from "./fuzz.ts";

test("random modules and host calls: the host lives, answers with known codes, and serves another tenant", async () => {
  await buildFunctions({ force: false });
  const seed = 1 + Math.floor(Math.random() * 999_999_999);
  process.stdout.write(`fuzz seed ${seed}; again: npm run fuzz -- --runs 40 --seed ${seed}\n`);
  const { answers } = await fuzz({ runs: 40, seed });
  const told = [...answers.values()].reduce((sum, times) => sum + times, 0);
  expect(told).toBeGreaterThanOrEqual(40);
}, 600_000);
