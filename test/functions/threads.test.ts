/** Threads from AssemblyScript down to worker threads: the real upload, pool and layers of a host. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compileFunction, sampleFunctions } from "../../functions/build.ts";
import { importsUrl } from "../../host/abi/index.ts";
import type { SandboxPool } from "../../host/sandbox/index.ts";
import { logBookId } from "../../state/ids.ts";
import { textOf } from "../support/call-bytes.ts";
import { openPool } from "../support/sandbox-calls.ts";
import { noRemains, World } from "../support/world.ts";

const ADA = logBookId("ada");
const OPTIONS = [
  "--enable",
  "threads",
  "--sharedMemory",
  "--maximumMemory",
  "256",
  "--runtime",
  "guest-sdk/assembly/threads-runtime",
];

const hasSeveral = availableParallelism() > 1;

let pool: SandboxPool;
let world: World;

beforeAll(async () => {
  pool = await openPool({ importsUrl, sandboxesMax: 200 });
  world = await World.open(pool, noRemains(), () => null);
  const sum = sampleFunctions().find(({ name }) => name === "parallel-sum");
  await world.upload(ADA, "parallel-sum", readFileSync(sum?.wasmPath ?? ""));
  await world.upload(
    ADA,
    "everything",
    await compileFunction(join(import.meta.dirname, "../unit/guest-sdk/assembly/threads.ts"), OPTIONS),
  );
  await world.upload(ADA, "worker", await compileFunction(join(import.meta.dirname, "assembly/thread-worker.ts"), OPTIONS));
}, 120_000);

afterAll(async () => {
  await world.close();
  await pool.close();
});

async function told(functionName: string, input: string): Promise<string> {
  const answer = await world.call({ tenant: ADA, functionName, input });
  return answer.kind === "completed" ? (answer.result.trap ?? textOf(answer.result.output)) : JSON.stringify(answer);
}

it("a parallel loop computes what the sequential one does", async () => {
  expect(await told("parallel-sum", "10 alone")).toBe("17");
  expect(await told("parallel-sum", "1")).toBe("0");
  for (const limit of [4096, 4097, 100_000, 300_000]) {
    expect(await told("parallel-sum", `${limit}`)).toBe(await told("parallel-sum", `${limit} alone`));
  }
  expect(await told("parallel-sum", "1000000")).toBe("37550402023");
  expect(await told("everything", "")).toBe("0 1 4 9 16 25 36 49 64 81");
});

it("threads allocate from one heap, whose blocks never overlap, and it grows for all of them", async () => {
  expect(await told("worker", "allocate 2000")).toBe("2000 strings, 0 wrong");
});

it.runIf(hasSeveral)("chunks are taken by more than one thread", async () => {
  expect(await told("worker", "meet")).toBe("met");
});

it("F24: the steps of a call with threads are those of its main thread, and happen once", async () => {
  expect(await told("worker", "steps 4")).toBe("4 chunks, counted 4");
  expect(await told("worker", "steps 4")).toBe("4 chunks, counted 8");
});

it.runIf(hasSeveral).each([
  ["put", "object_write: only the main thread of a call may use it, as what a call does has one order"],
  ["call", "call_start: only the main thread of a call may use it, as what a call does has one order"],
  ["sleep", "sleep: only the main thread of a call may use it, as what a call does has one order"],
])("F24: a thread that would do a step ends the call: %s", async (what, text) => {
  expect(await told("worker", `thread ${what}`)).toContain(text);
});

it.runIf(hasSeveral)("a thread that fails ends the call with its message", async () => {
  expect(await told("worker", "thread abort")).toContain("in a thread: a thread gives up");
  expect(await told("worker", "thread put")).toContain("in a thread: neap.object_write");
});

it("a clock and random numbers of its own are what a thread has", async () => {
  const drawn = await told("worker", "draw");
  const [time, ...numbers] = drawn.split(" ");
  expect(Number(time)).toBeGreaterThan(0);
  expect(new Set(numbers).size).toBe(3);
});
