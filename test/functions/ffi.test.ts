import { expect, it } from "vitest";
import { compileWithClang, findClang } from "../../functions/clang.ts";
import { logBookId } from "../../state/ids.ts";
import { noRemains, testPool, World } from "../support/world.ts";

const clang = findClang();
const ADA = logBookId("ada");

it.skipIf(clang === null)("a program in C calls functions by types that it makes with ffi.h", { timeout: 120_000 }, async () => {
  const module = await compileWithClang(clang, new URL("src/by-type.c", import.meta.url).pathname);
  const pool = await testPool();
  const world = await World.open(pool, noRemains(), () => null);
  await world.upload(ADA, "by-type", module);
  for (const [input, output] of [
    ["weighed 6 0.25", "1.5"],
    ["distance 4294967296 1", "-4294967295"],
    ["product -300 30", "-9000"],
  ]) {
    const answer = await world.call({ tenant: ADA, functionName: "by-type", input: input ?? "" });
    expect(answer.kind === "completed" && Buffer.from(answer.result.output as Uint8Array).toString()).toBe(`${output}\n`);
  }
  await world.close();
  await pool.close();
});
