/** Memory regions from AssemblyScript down to the threads: the real upload, workers, and layers of a host. */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { compileFunction } from "../../functions/build.ts";
import { importsUrl } from "../../host/abi/index.ts";
import { createSandboxPool, type SandboxPool } from "../../host/sandbox/index.ts";
import { logBookId } from "../../state/ids.ts";
import { textOf } from "../support/call-bytes.ts";
import { MemoryBlobs } from "../support/memory-blobs.ts";
import { MemoryCheckpoints } from "../support/memory-checkpoints.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { World } from "../support/world.ts";

const GUESTS = join(import.meta.dirname, "../unit/guest-sdk/assembly");
const ADA = logBookId("ada");
const clock = { now: () => Date.now(), monotonic: () => performance.now() };

let pool: SandboxPool;
let world: World;

beforeAll(async () => {
  pool = await createSandboxPool({ name: "test", workers: 2, importsUrl, clock, sandboxesMax: 200 });
});
afterAll(() => pool.close());

beforeEach(async () => {
  world = await World.open(
    pool,
    { disk: new MemoryDisk(), blobs: new MemoryBlobs(), checkpoints: new MemoryCheckpoints() },
    () => null,
  );
});
afterEach(() => world.close());

const answer = async (functionName: string, input: string, tenant = ADA) => {
  const outcome = await world.call({ tenant, functionName, input });
  return outcome.kind === "completed" ? (outcome.result.trap ?? textOf(outcome.result.output)) : JSON.stringify(outcome);
};

describe("a function that uses all of regions gets what the SDK's documentation says", () => {
  it.each(["stub", "minimal", "incremental"])("with --runtime %s", async (runtime) => {
    await world.upload(ADA, "regions", await compileFunction(join(GUESTS, "regions.ts"), ["--runtime", runtime]));
    expect(await answer("regions", "x")).toBe("");
  });
});
