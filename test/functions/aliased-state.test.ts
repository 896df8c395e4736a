/** H22: Faasm's state with pointers into what calls share, from clang down to the workers. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileWithClang, findClang } from "../../functions/clang.ts";
import { importsUrl } from "../../host/abi/index.ts";
import { ProcessStarter } from "../../host/processes/index.ts";
import { createSandboxPool, type SandboxPool } from "../../host/sandbox/index.ts";
import { logBookId } from "../../state/ids.ts";
import { textOf } from "../support/call-bytes.ts";
import { noRemains, World } from "../support/world.ts";

const ADA = logBookId("ada");
const BOB = logBookId("bob");
const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const clang = findClang();

describe.skipIf(clang === null)("aliased state", () => {
  let starter: ProcessStarter;
  let pool: SandboxPool;
  let world: World;
  let module: Uint8Array;

  beforeAll(async () => {
    starter = await ProcessStarter.open();
    pool = await createSandboxPool({ name: "test", workers: 2, longSlicesMax: 2, importsUrl, clock, sandboxesMax: 200 });
    world = await World.open(pool, noRemains(), () => null, undefined, { starter });
    module = await compileWithClang(clang, join(import.meta.dirname, "src/aliased.c"));
    for (const tenant of [ADA, BOB]) {
      await world.upload(tenant, "aliased", module, { aliasState: true });
    }
    await world.upload(ADA, "copies", module);
  }, 120_000);

  afterAll(async () => {
    await world?.close();
    await pool?.close();
    await starter?.close();
  });

  async function told(input: string, { functionName = "aliased", tenant = ADA } = {}): Promise<string> {
    const answer = await world.call({ tenant, functionName, input });
    return answer.kind === "completed" ? (answer.result.trap ?? textOf(answer.result.output)) : JSON.stringify(answer);
  }

  it("two calls at a time see each other's writes at once", async () => {
    expect(await Promise.all([told("ping 20"), told("pong 20")])).toEqual(["20 rounds", "20 rounds"]);
  });

  it("a lock is held by one call at a time", async () => {
    await Promise.all([told("count 20"), told("count 20"), told("count 20")]);
    expect(await told("sum")).toBe("60");
  });

  it("pointers, copies, pushes and pulls are of the same bytes, and what is not pushed stays on the node", async () => {
    // What is stored before: by a function whose state are copies.
    expect(await told("text", { functionName: "copies" })).toBe("");
    expect((await told("all")).split("\n")).toEqual([
      "filled:  stored",
      "chunk: bytes 7",
      "read: 16 shared bytes 16 byteed bytes",
      "written: SHARED bytes",
      "SSHAREDbyt!! 0",
      "pushed: SSHAREDbyt!!, before (null)",
      "pulled: pulled",
      "masked: a23d5 12345 0",
      "from a file: one two 7 7",
      "",
    ]);
    expect(await told("text")).toBe("x".repeat(16));
    expect(await told("text", { functionName: "copies" })).toBe("pulled");
    expect(await told("text", { tenant: BOB })).toBe("");
  });

  it("H21: the table of regions is out of reach, and mistakes end the call", async () => {
    expect(await told("table 8")).toContain("memory access out of bounds");
    expect(await told("larger")).toMatch(/^__faasm_read_state_ptr: no memory region state\/small of 1048640 bytes can be had/);
    expect(await told("twice")).toBe("__faasm_lock_state_write: the call holds the lock already");
    expect(await told("chunk")).toBe("__faasm_read_state_offset_ptr: 7 bytes at 10 are not inside of a value of 16 bytes");
  });
});
