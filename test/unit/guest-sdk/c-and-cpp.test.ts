/** Functions that use all of neap.h and of neap.hpp get what these say: uploaded, in real sandboxes, pushed down and not. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileWithClang, findClang } from "../../../functions/clang.ts";
import type { SandboxPool } from "../../../host/sandbox/index.ts";
import { logBookId } from "../../../state/ids.ts";
import { readAll } from "../../support/call-bytes.ts";
import { MemoryBlobs } from "../../support/memory-blobs.ts";
import { MemoryCheckpoints } from "../../support/memory-checkpoints.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { testPool, World } from "../../support/world.ts";

const EXPECTED = {
  c: `input: text é 7
absent: 1 -1
get: ä text 7
large: 3000000 0
piece: 5 0 -1
removed: -1
list: many/000/${"0".repeat(50)}:1 many/001/${"0".repeat(50)}:1 600 600 0
update: 1 1 0 1 1
call: 3 10000
select: 1
await: 3 10000
cancel: 0
spawn: 1
part: 5 7 1
clock: 1
random: 1 1
end
`,
  cpp: `input: text é
absent: none
get: ä text 7
large: 3000000
piece: 5
removed: -1
list: 600 many/1599 0
update: 1 11
call: 3 10000
select: one
await: 20000
cancel: ended
spawn: id
part: 5 from the part, longer than what lies in the string itself 2
end: 
`,
} as const;

const clang = findClang();

describe.skipIf(clang === null)("a function that uses all of the headers gets what they say", () => {
  let pool: SandboxPool;
  let world: World;
  beforeAll(async () => {
    pool = await testPool();
    const remains = { disk: new MemoryDisk(), blobs: new MemoryBlobs(), checkpoints: new MemoryCheckpoints() };
    world = await World.open(pool, remains, () => null);
  }, 60_000);
  afterAll(async () => {
    await world?.close();
    await pool?.close();
  });

  it.each(["c", "cpp"] as const)("%s, which compiles without a warning", { timeout: 200_000 }, async (language) => {
    const source = join(import.meta.dirname, "src", `everything.${language}`);
    const module = await compileWithClang(clang, source, ["-Wpedantic", "-Werror"]);
    for (const forbid of [false, true]) {
      const tenant = logBookId(`${language}-${forbid}`);
      await world.upload(tenant, "everything", module);
      const told = async (input: string) => {
        const answer = await world.call({ tenant, functionName: "everything", input, forbid });
        return answer.kind === "completed"
          ? (answer.result.trap ?? (await readAll(answer.result.output)).toString())
          : JSON.stringify(answer);
      };
      expect(await told("text é")).toBe(EXPECTED[language]);
      expect(await told("fail")).toBe("größer als 😀");
    }
  });
});
