import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildFunctions, compileFunction, sampleFunctions } from "../../functions/build.ts";

/** Those of memory regions bring the accesses to a region of each kind. */
const MAX_BYTES: Readonly<Record<string, number>> = { hello: 3_000, matrix: 14_000, sgd: 14_000, shop: 12_000 };

const FAASM_SAMPLES =
  "grep grow json letters matmul replace sha256sum sort substr throws thumbnail-decode thumbnail-shrink wordcount".split(" ");

describe("functions/build.ts", () => {
  it("finds one function per folder with an index, one per file in a folder without, or of src and side", () => {
    expect(sampleFunctions().map(({ folder, name }) => `${folder}/${name}`)).toEqual([
      "account/account",
      "bank/bank",
      "c/counter",
      "c/grep",
      "c/hello",
      "c/wordcount",
      "counter/counter",
      "cpp/counter",
      "cpp/grep",
      "cpp/hello",
      "cpp/wordcount",
      ...FAASM_SAMPLES.map((name) => `faasm/${name}`),
      "fanout/fanout",
      "feed/feed",
      "fetch/fetch",
      "hello/hello",
      "matrix/matrix",
      "mpi/heat",
      "mpi/pingpong",
      "mpi/sort",
      "mpi/sum",
      "ndp/get",
      "ndp/grep",
      "ndp/put",
      "ndp/wordcount",
      "openmp/letters",
      "openmp/matmul",
      "openmp/primes",
      "parallel-sum/parallel-sum",
      "plugins/upper",
      "plugins/words",
      "plugins/plugins",
      "sgd/sgd",
      "shop/shop",
      "transfer/transfer",
    ]);
  });

  it("builds each once: a second build keeps what is there", { timeout: 400_000 }, async () => {
    await buildFunctions({ force: false });
    const built = await buildFunctions({ force: false });
    expect(built.filter(({ rebuilt }) => rebuilt)).toEqual([]);
    expect(built.filter(({ wasmPath }) => !existsSync(wasmPath))).toEqual([]);
  });

  it("keeps the samples small", async () => {
    for (const { name, language, sizeBytes } of await buildFunctions({ force: false })) {
      expect(sizeBytes, name).toBeLessThan(language === "AssemblyScript" ? (MAX_BYTES[name] ?? 9_000) : 400_000);
    }
  });

  it("leaves out what is in C and C++ when there is no clang", async () => {
    const built = await buildFunctions({ force: false, clang: null });
    expect(built.map(({ language }) => language)).toEqual(built.map(() => "AssemblyScript"));
    expect(built.length).toBeGreaterThan(10);
  });

  it("tells the compiler's messages when a function does not compile", async () => {
    const folder = mkdtempSync(join(tmpdir(), "neap-"));
    try {
      writeFileSync(join(folder, "index.ts"), "export function main(): i32 { return nothing; }");
      await expect(compileFunction(join(folder, "index.ts"))).rejects.toThrow("Cannot find name 'nothing'");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
