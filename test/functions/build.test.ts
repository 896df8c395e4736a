import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildFunctions, compileFunction, sampleFunctions } from "../../functions/build.ts";

describe("functions/build.ts", () => {
  it("finds one function per folder with an index, one per file in a folder without", () => {
    expect(sampleFunctions().map(({ folder, name }) => `${folder}/${name}`)).toEqual([
      "account/account",
      "bank/bank",
      "counter/counter",
      "fanout/fanout",
      "feed/feed",
      "fetch/fetch",
      "hello/hello",
      "ndp/get",
      "ndp/grep",
      "ndp/put",
      "ndp/wordcount",
      "transfer/transfer",
    ]);
  });

  it("builds each once: a second build keeps what is there", async () => {
    await buildFunctions({ force: false });
    const built = await buildFunctions({ force: false });
    expect(built.filter(({ rebuilt }) => rebuilt)).toEqual([]);
    expect(built.filter(({ wasmPath }) => !existsSync(wasmPath))).toEqual([]);
  });

  it("keeps the samples small", async () => {
    for (const { name, sizeBytes } of await buildFunctions({ force: false })) {
      expect(sizeBytes, name).toBeLessThan(name === "hello" ? 3_000 : 9_000);
    }
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
