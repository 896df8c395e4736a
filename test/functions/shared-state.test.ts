/** The sample functions over memory regions, beside what they do with copies. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { importsUrl } from "../../host/abi/index.ts";
import { createSandboxPool, type SandboxPool } from "../../host/sandbox/index.ts";
import { logBookId } from "../../state/ids.ts";
import { textOf } from "../support/call-bytes.ts";
import { World } from "../support/world.ts";

const LAB = logBookId("lab");
const clock = { now: () => Date.now(), monotonic: () => performance.now() };

let pool: SandboxPool;
let world: World;
beforeAll(async () => {
  pool = await createSandboxPool({ name: "test", workers: 2, importsUrl, clock, sandboxesMax: 200 });
  world = await World.open(pool, await World.prepare(pool, LAB, ["matrix/matrix", "sgd/sgd"]), () => null);
}, 180_000);
afterAll(async () => {
  await world.close();
  await pool.close();
});

async function told(functionName: string, input: string): Promise<string> {
  const answer = await world.call({ tenant: LAB, functionName, input });
  return answer.kind === "completed" ? (answer.result.trap ?? textOf(answer.result.output)) : JSON.stringify(answer);
}

/** What the product of these matrices must give. */
function product(n: number): number {
  const at = (i: number) => ({ a: (i * 7) % 11, b: (i * 5) % 13, weight: (i % 17) + 1 });
  let sum = 0;
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < n; column++) {
      let cell = 0;
      for (let k = 0; k < n; k++) {
        cell += at(row * n + k).a * at(k * n + column).b;
      }
      sum += cell * at(row * n + column).weight;
    }
  }
  return sum;
}

describe("matrix", () => {
  it.each(["1 1", "7 3", "48 4", "33 32"])("multiplies by calls over one region and by calls with copies: %s", async (input) => {
    const expected = product(Number(input.split(" ")[0]));
    expect(Number(await told("matrix", `${input}`))).toBe(expected);
    expect(Number(await told("matrix", `${input} copy`))).toBe(expected);
  });

  it("says what it takes", async () => {
    for (const input of ["", "0 1", "8 0", "2000 1", "8 99", "8 1 other"]) {
      expect(await told("matrix", input)).toMatch(/^usage: /);
    }
  });
});

describe("sgd", () => {
  it.each(["region", "copy"])("several calls learn one model: %s", async (how) => {
    const [before, after] = (await told("sgd", `64 4 2000 ${how}`)).replace("loss ", "").split(" -> ").map(Number);
    expect(before).toBeGreaterThan(0.5);
    expect(after).toBeLessThan((before ?? 0) / 20);
  });

  it("goes on with what was learned before, from the object that it has pushed", async () => {
    const first = Number((await told("sgd", "32 2 50 region")).split(" -> ")[1]);
    const second = Number((await told("sgd", "32 2 2000 region")).split(" -> ")[1]);
    expect(second).toBeLessThan(first);
    const { record } = await world.shard.book(LAB).readCell("sgd/model/32", Number.MAX_SAFE_INTEGER as never);
    expect(record).not.toBeNull();
  });

  it("says what it takes", async () => {
    for (const input of ["", "0 1 1", "8 0 1", "5000 1 1", "8 1 0", "8 1 1 other"]) {
      expect(await told("sgd", input)).toMatch(/^usage: /);
    }
  });
});
