/** Memory regions from AssemblyScript down to the workers: the real upload, pool, and layers of a host. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../functions/build.ts";
import { importsUrl } from "../../host/abi/index.ts";
import { ProcessStarter } from "../../host/processes/index.ts";
import type { SandboxPool } from "../../host/sandbox/index.ts";
import { type LogBookId, logBookId } from "../../state/ids.ts";
import { textOf } from "../support/call-bytes.ts";
import { openPool } from "../support/sandbox-calls.ts";
import { noRemains, World } from "../support/world.ts";

const ADA = logBookId("ada");
const BOB = logBookId("bob");

let everything: Uint8Array;
let worker: Uint8Array;
let starter: ProcessStarter;
let pool: SandboxPool;
let world: World;

beforeAll(async () => {
  starter = await ProcessStarter.open();
  everything = await compileFunction(join(import.meta.dirname, "../unit/guest-sdk/assembly/regions.ts"));
  worker = await compileFunction(join(import.meta.dirname, "assembly/region-worker.ts"));
}, 120_000);
afterAll(() => starter.close());

async function open(workers: number, tenants: readonly LogBookId[]): Promise<void> {
  pool = await openPool({ workers, longSlicesMax: 2, importsUrl, sandboxesMax: 200 });
  world = await World.open(pool, noRemains(), () => null, undefined, { starter });
  for (const tenant of tenants) {
    await world.upload(tenant, "worker", worker);
  }
}

async function close(): Promise<void> {
  await world.close();
  await pool.close();
}

async function told(
  input: string,
  { tenant = ADA, functionName = "worker", signal }: { tenant?: typeof ADA; functionName?: string; signal?: AbortSignal } = {},
) {
  const answer = await world.call({ tenant, functionName, input, ...(signal !== undefined && { signal }) });
  return answer.kind === "completed" ? (answer.result.trap ?? textOf(answer.result.output)) : JSON.stringify(answer);
}

describe("with two workers", () => {
  beforeAll(() => open(2, [ADA, BOB]), 120_000);
  afterAll(close);

  it("a function that uses all of regions gets what the SDK's documentation says", async () => {
    await world.upload(ADA, "everything", everything);
    expect((await told("x", { functionName: "everything" })).split("\n")).toEqual([
      "size: 4096 true",
      "grown: 131072 true true",
      "views: 1.5 -2.5 -1099511627776 -7 65535 -1 255 -1",
      "length: 16383",
      "load: 42",
      "i32: 42 47 46 6 15 14 3 4",
      "i64: 1099511627776 1099511627781 1099511627780 4 13 12 3 4",
      "bytes: hello!!",
      "locks: false",
      "again: false",
      "wait: 1 2 0 2",
      "push: hello",
      "append: hello!!",
      "partial: h***o!!",
      "behind: 10",
      "pull: 10 *** -1",
      "snapshot: hello!!",
      "",
    ]);
  });

  it("atomic additions of calls in two threads are all there", async () => {
    const calls = Array.from({ length: 20 }, () => told("add sum 50000"));
    expect(await Promise.all(calls)).toEqual(calls.map(() => ""));
    expect(await told("get sum")).toBe("1000000");
  });

  it("a tenant finds nothing of another's in regions of the same name, nor by the same handles", async () => {
    await told("add shared 7");
    const handle = await told("handle shared");
    expect(await told(`peek ${handle} 0`)).toBe("7");
    expect(await told(`peek ${handle} 0`, { tenant: BOB })).toContain("is outside of the memory region");
    expect(await told("get shared", { tenant: BOB })).toBe("0");
    expect(await told("get shared")).toBe("7");
  });

  it("a hostile handle or offset ends the call that gave it, and harms no other", async () => {
    const handle = Number(await told("handle hostile"));
    for (const [at, offset] of [
      [0, 0],
      [handle, 61],
      [handle, -4],
      [handle + 1, 0],
      [1024, 0],
      [2 ** 29 + handle, 0],
      [-1, 0],
    ] as const) {
      expect(await told(`peek ${at} ${offset}`)).toMatch(
        /^access to 4 bytes at \d+ is outside of the memory region with handle \d+$/,
      );
    }
    expect(await told(`peek ${handle} 60`)).toBe("0");
  });

  it("H10: the lock of a call that is killed while it writes is free when it writes no more", async () => {
    const controller = new AbortController();
    const held = told("hold held", { signal: controller.signal });
    const next = told("next held");
    // The holder has begun: it leaves a mark, and writes from then on.
    await expect.poll(() => told("mark held"), { timeout: 20_000 }).toBe("1");
    controller.abort();
    expect(await held).toContain("CANCELLED");
    expect(await next).toBe("true true true");
  });
});

describe("with one worker", () => {
  beforeAll(() => open(1, [ADA]), 120_000);
  afterAll(close);

  it("H23: a call that waits does not keep the one that wakes it from running", async () => {
    const waiting = [told("wait x"), told("wait x")];
    expect(await told("wake x")).toBe("");
    expect(await told("wake x")).toBe("");
    expect(await Promise.all(waiting)).toEqual(["0", "0"]);
  });

  it("H2: a call that waits is settled when it is cancelled", async () => {
    const controller = new AbortController();
    const waiting = told("wait alone", { signal: controller.signal });
    await expect.poll(() => pool.load.active, { timeout: 10_000 }).toBe(1);
    controller.abort();
    expect(await waiting).toContain("CANCELLED");
    await expect.poll(() => pool.load.active, { timeout: 10_000 }).toBe(0);
    expect(await told("get alone")).toBe("0");
  });
});
