/** The same function in AssemblyScript, C and C++ gives the same bytes: uploaded, in real sandboxes, pushed down and not. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { findClang } from "../../functions/clang.ts";
import type { SandboxPool } from "../../host/sandbox/index.ts";
import { type LogBookId, logBookId } from "../../state/ids.ts";
import { readAll } from "../support/call-bytes.ts";
import { sampleModule } from "../support/host-process.ts";
import { prng } from "../support/prng.ts";
import { noRemains, testPool, World } from "../support/world.ts";

/** By tenant: where its functions are built. */
const FOLDERS = {
  assembly: { hello: "hello", counter: "counter", wordcount: "ndp/wordcount", grep: "ndp/grep", put: "ndp/put" },
  c: { hello: "c/hello", counter: "c/counter", wordcount: "c/wordcount", grep: "c/grep", put: "ndp/put" },
  cpp: { hello: "cpp/hello", counter: "cpp/counter", wordcount: "cpp/wordcount", grep: "cpp/grep", put: "ndp/put" },
} as const;
type Language = keyof typeof FOLDERS;
type Sample = keyof (typeof FOLDERS)["assembly"];
const LANGUAGES: readonly Language[] = ["assembly", "c", "cpp"];
const SEED = 11;

let pool: SandboxPool;
let world: World;

async function open(): Promise<void> {
  await buildFunctions({ force: false });
  pool = await testPool();
  world = await World.open(pool, noRemains(), () => null);
  for (const language of LANGUAGES) {
    for (const [name, path] of Object.entries(FOLDERS[language])) {
      await world.upload(logBookId(language), name, sampleModule(path));
    }
  }
}

async function close(): Promise<void> {
  await world.close();
  await pool.close();
}

/** What the function answers: its return value, and its output or the message of its trap. */
async function answer(tenant: LogBookId, functionName: string, input: string, forbid: boolean): Promise<[number, string]> {
  const answered = await world.call({ tenant, functionName, input, forbid });
  if (answered.kind !== "completed") {
    throw new Error(JSON.stringify(answered));
  }
  const { returnValue, trap, output } = answered.result;
  return [returnValue, trap?.split(" at ")[0] ?? (await readAll(output)).toString()];
}

/** The one answer that all languages give. */
async function same(name: Sample, input: string, forbid = false): Promise<[number, string]> {
  const [first = [-1, ""], ...others] = await Promise.all(
    LANGUAGES.map((language) => answer(logBookId(language), name, input, forbid)),
  );
  for (const other of others) {
    expect(other).toEqual(first);
  }
  return first;
}

describe.skipIf(findClang() === null)("in AssemblyScript, C and C++ alike", () => {
  beforeAll(open, 240_000);
  afterAll(close);

  it("hello greets", async () => {
    expect(await same("hello", "Ada")).toEqual([0, "Hello, Ada!"]);
    expect(await same("hello", "")).toEqual([0, "Hello, world!"]);
    await same("hello", "größer als 😀".repeat(1000));
  });

  it("counter counts, from the smallest number to the largest, and refuses what is none", async () => {
    for (const input of ["n", "n 41", "n -44", "n 9223372036854775807", "n -9223372036854775808", "n 0"]) {
      expect((await same("counter", input))[0], input).toBe(0);
    }
    for (const input of ["", "n x", "n 1.5", "n +1", "n 01", "n 1 2", "n ", "n 9223372036854775808"]) {
      expect(await same("counter", input), input).toEqual([2, "usage: <key> [<whole number>]"]);
    }
    await same("put", "text no number");
    expect(await same("counter", "text")).toEqual([1, "the object is not a counter"]);
    for (const language of LANGUAGES) {
      const [value, message] = await answer(logBookId(language), "counter", `${"k".repeat(1025)} 1`, false);
      expect(value).toBe(1);
      expect(message).toMatch(/\b1025\b.+1 to 1024 bytes/);
    }
  });

  it("no addition of calls at the same time is lost", async () => {
    for (const language of LANGUAGES) {
      const calls = Array.from({ length: 20 }, () => answer(logBookId(language), "counter", "busy", false));
      const counts = (await Promise.all(calls)).map(([, text]) => Number(text));
      expect(counts.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    }
  });

  it(`wordcount and grep find the same in random texts, where the object is and here, seed ${SEED}`, {
    timeout: 120_000,
  }, async () => {
    const random = prng(SEED);
    for (const sizeBytes of [0, 1, 200, 262_144, 300_000]) {
      await same("put", `text ${randomText(random, sizeBytes)} `);
      for (const forbid of [false, true]) {
        const [, counted] = await same("wordcount", "text", forbid);
        expect(sizeBytes < 200 || counted.length > 0).toBe(true);
        for (const pattern of ["a", "aa", "aba", " ", "ab\nab", "abbaabba ", "x".repeat(300)]) {
          await same("grep", `text ${pattern}`, forbid);
        }
      }
    }
  });

  it("a word longer than what is read at once is one word", async () => {
    await same("put", `long ${"w".repeat(700_000)} w`);
    expect((await same("wordcount", "long"))[1]).toBe(`w\t1\n${"w".repeat(700_000)}\t1\n`);
  });

  it("an object that is not there, and a missing text, are said so", async () => {
    expect(await same("wordcount", "none")).toEqual([1, "there is no object 'none'"]);
    expect(await same("grep", "none x")).toEqual([1, "there is no object 'none'"]);
    expect(await same("grep", "none")).toEqual([2, "usage: <key> <text to find>"]);
    expect(await same("grep", "none ")).toEqual([2, "usage: <key> <text to find>"]);
  });
});

/** Few letters, so that texts recur and overlap. */
function randomText(random: ReturnType<typeof prng>, sizeBytes: number): string {
  const letters = ["a", "a", "b", " ", "\n"];
  return Array.from({ length: sizeBytes }, () => letters[random.below(letters.length)]).join("");
}
