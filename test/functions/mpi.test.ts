/** The samples with MPI from C down to worker threads, against sequential results: the real upload, pool and layers of a host. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findClang } from "../../functions/clang.ts";
import { importsUrl } from "../../host/abi/index.ts";
import { createSandboxPool, type SandboxPool } from "../../host/sandbox/index.ts";
import { logBookId } from "../../state/ids.ts";
import { readAll } from "../support/call-bytes.ts";
import { sampleModule } from "../support/host-process.ts";
import { heatOf, sortedNumbers, sumOfSquares } from "../support/mpi-results.ts";
import { noRemains, World } from "../support/world.ts";

const ADA = logBookId("ada");
const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const SAMPLES = ["sum", "heat", "sort"];

let pool: SandboxPool;
let world: World;

async function answer(functionName: string, input: string, worldSize: number): Promise<Buffer> {
  const answered = await world.call({ tenant: ADA, functionName, input, worldSize });
  if (answered.kind !== "completed" || answered.result.returnValue !== 0) {
    throw new Error(JSON.stringify(answered));
  }
  return readAll(answered.result.output);
}

describe.skipIf(findClang() === null).each([1, 2, 4])("with %i ranks", (ranks) => {
  beforeAll(async () => {
    pool = await createSandboxPool({ name: "test", workers: 1, importsUrl, clock, sandboxesMax: 200 });
    world = await World.open(pool, noRemains(), () => null);
    for (const name of SAMPLES) {
      await world.upload(ADA, name, sampleModule(`mpi/${name}`));
    }
  }, 240_000);
  afterAll(async () => {
    await world.close();
    await pool.close();
  });

  it("a parallel sum is that of one loop", async () => {
    for (const count of [0, 1, 3, 100_001]) {
      expect((await answer("sum", `${count}`, ranks)).toString()).toBe(`${sumOfSquares(count)}`);
    }
  });

  it("heat spreads as it does on one plate, to the last bit", async () => {
    for (const [side, steps] of [
      [4, 1],
      [37, 60],
      [128, 40],
    ] as const) {
      expect((await answer("heat", `${side} ${steps}`, ranks)).toString()).toBe(heatOf(side, steps));
    }
  });

  it("numbers that everyone sends to everyone come out sorted", async () => {
    for (const [count, seed] of [
      [0, 1],
      [1, 5],
      [5, 7],
      [200_000, 11],
    ] as const) {
      const sorted = await answer("sort", `${count} ${seed}`, ranks);
      expect(Buffer.compare(sorted, sortedNumbers(count, seed)), `${count}`).toBe(0);
    }
  });
});
