/** OpenMP and pthreads in C, from Debian's clang down to worker threads, beside the same sources as programs of one thread. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { compileWithClang, findClang } from "../../functions/clang.ts";
import { importsUrl } from "../../host/abi/index.ts";
import { createSandboxPool, type SandboxPool } from "../../host/sandbox/index.ts";
import { logBookId } from "../../state/ids.ts";
import { textOf } from "../support/call-bytes.ts";
import { noRemains, World } from "../support/world.ts";

const ADA = logBookId("ada");
const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const clang = findClang();
const THREADS = [1, 2, 4];
/** As the samples are built. */
const OPENMP: readonly string[] = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../functions/openmp/compiler-options.json"), "utf8"),
);

describe.skipIf(clang === null)("C with OpenMP", () => {
  let pool: SandboxPool;
  let world: World;

  beforeAll(async () => {
    pool = await createSandboxPool({ name: "test", workers: 1, importsUrl, clock, sandboxesMax: 200 });
    world = await World.open(pool, noRemains(), () => null);
    for (const { folder, name, sourcePath, wasmPath } of await buildFunctions({ force: false })) {
      if (folder === "openmp") {
        await world.upload(ADA, name, readFileSync(wasmPath));
        await world.upload(ADA, `${name}-alone`, await compileWithClang(clang, sourcePath, ["-Wno-unknown-pragmas"]));
      }
      if (name === "put") {
        await world.upload(ADA, name, readFileSync(wasmPath));
      }
    }
  }, 300_000);

  afterAll(async () => {
    await world?.close();
    await pool?.close();
  });

  async function told(functionName: string, input: string): Promise<string> {
    const answer = await world.call({ tenant: ADA, functionName, input });
    return answer.kind === "completed" ? (answer.result.trap ?? textOf(answer.result.output)) : JSON.stringify(answer);
  }

  it.each([
    ["primes", ["1", "2", "10", "4097", "100000"]],
    ["matmul", ["1", "3", "17", "100"]],
  ] as const)("%s computes with any number of threads what the program of one thread does", async (name, inputs) => {
    for (const input of inputs) {
      const alone = await told(`${name}-alone`, `${input} 1`);
      for (const threads of THREADS) {
        expect([input, threads, await told(name, `${input} ${threads}`)]).toEqual([input, threads, alone]);
      }
    }
    expect(await told("primes", "1000000 4")).toBe("37550402023");
  });

  it("F24: the main thread of a region reads and waits for the host, and others compute with it", async () => {
    await told("put", `text ${"The quick brown fox jumps over the lazy dog ".repeat(4000)}`);
    const alone = await told("letters-alone", "text 1");
    expect(alone).toMatch(/^a 4000\nb 4000\nc 4000\nd 4000\ne 12000\n/);
    for (const threads of THREADS) {
      expect(await told("letters", `text ${threads}`)).toBe(alone);
      expect(await told("letters", `none ${threads}`)).toBe("there is no object none");
    }
  });

  it("C++ has it, too, and threads have thread-local variables of their own, when the module exports what makes them", async () => {
    const compile = (source: string, ...options: string[]) =>
      compileWithClang(clang, join(import.meta.dirname, "src", source), [...OPENMP, ...options]);
    const exports = "-Wl,--export=__wasm_init_tls,--export=__tls_size,--export=__tls_align";
    await world.upload(ADA, "locals", await compile("thread-locals.c", "-ftls-model=local-exec", exports));
    await world.upload(ADA, "vectors", await compile("vectors.cpp"));
    expect(await told("locals", "")).toBe(`${100 + (7 + 1) + (7 + 2) + (7 + 3)} ${1 + 2 + 3}`);
    expect(await told("vectors", "")).toBe(`${1000 * 1001}`);
  });

  it("C has pthreads beside it: threads, mutexes, conditions, once and keys", async () => {
    const source = join(import.meta.dirname, "src/pthreads.c");
    await world.upload(ADA, "pthreads", await compileWithClang(clang, source, OPENMP));
    expect(await told("pthreads", "")).toBe(`${(2000 * 2001 * 4001) / 6} 3 1`);
  });

  it("the same sum of floating-point numbers comes out in each run", async () => {
    const sums = new Set<string>();
    for (let run = 0; run < 5; run++) {
      sums.add(await told("matmul", "64 4"));
    }
    expect(sums.size).toBe(1);
  });
});
