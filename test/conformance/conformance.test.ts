import { globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { wat } from "../support/guest-modules.ts";
import { compare, VARIANTS } from "./conformance.ts";
import { Rewriter } from "./rewriter.ts";
import { runScript } from "./run-script.ts";
import { readScript } from "./script.ts";
import { parseWast, readWast } from "./wast-text.ts";

const SCRIPTS = join(import.meta.dirname, "scripts");

let rewriter: Rewriter;
beforeAll(() => {
  rewriter = new Rewriter();
});
afterAll(() => rewriter[Symbol.asyncDispose]());

describe.each(globSync("*.wast", { cwd: SCRIPTS }).sort())("%s", (file) => {
  test("holds, and the modules that an upload makes of its modules do the same", async () => {
    const { plain, comparisons } = await compare(readWast(join(SCRIPTS, file)), rewriter);
    expect(plain.verdicts.filter(({ passed }) => passed !== true)).toEqual([]);
    expect(comparisons.map(({ variant }) => variant)).toEqual(VARIANTS.map(({ name }) => name));
    for (const { variant, run, differences } of comparisons) {
      expect([variant, run.refusals, differences]).toEqual([variant, refusals(file, variant), []]);
    }
  });
});

/** Asyncify does not take tail calls, and a memory of threads is for no rewriting at all: an upload that asks for it is refused then. */
function refusals(file: string, variant: string): unknown[] {
  if (file === "tail-calls.wast" && ["asyncify", "all passes"].includes(variant)) {
    return [expect.stringContaining("asyncify")];
  }
  const isOfThreads = expect.stringContaining("shared by threads");
  return file === "atomics.wast" && variant !== "edited" ? [isOfThreads, isOfThreads] : [];
}

describe("what would be missed otherwise", () => {
  const script = parseWast(
    `(module (memory (export "m") 1) (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
       (func (export "t") (unreachable)))
     (assert_return (invoke "f" (i32.const 1)) (i32.const 2))
     (assert_trap (invoke "t") "unreachable")
     (assert_invalid (module (func (result i32))) "type mismatch")`,
    "small",
  );

  test.each([
    ["adds something else", '(func (export "f") (param i32) (result i32) (i32.const 3)) (func (export "t") (unreachable))', [1]],
    ["does not trap", '(func (export "f") (param i32) (result i32) (i32.const 2)) (func (export "t"))', [2]],
  ])("a rewriting that %s is found out", async (_what, body, failed) => {
    const wrong = { module: async () => wat(`(module (memory (export "m") 1) ${body})`), takes: () => false };
    const { verdicts } = await runScript(script, wrong);
    expect(verdicts.flatMap(({ passed }, at) => (passed ? [] : [at]))).toEqual(failed);
  });

  test("an upload that takes what the engine refuses is found out", async () => {
    const lenient = { module: async (bytes: Uint8Array<ArrayBuffer>) => bytes, takes: () => true };
    expect((await runScript(script, lenient)).verdicts.at(-1)).toMatchObject({ outcome: "taken", passed: false });
  });
});

test("a folder of wast2json's files is read as it writes them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "neap-conformance-"));
  try {
    writeFileSync(
      join(folder, "a.0.wasm"),
      wat(`(module (func (export "neg") (param f32) (result f32) (f32.neg (local.get 0))))`),
    );
    writeFileSync(join(folder, "a.1.wasm"), wat(`(module (func (result i32)))`));
    const action = { type: "invoke", field: "neg", args: [{ type: "f32", value: "1069547520" }] };
    const commands = [
      { type: "module", line: 1, filename: "a.0.wasm" },
      { type: "assert_return", line: 2, action, expected: [{ type: "f32", value: "3217031168" }] },
      { type: "assert_invalid", line: 3, filename: "a.1.wasm", text: "type mismatch", module_type: "binary" },
      { type: "assert_malformed", line: 4, filename: "a.2.wat", text: "unexpected token", module_type: "text" },
    ];
    writeFileSync(join(folder, "a.json"), JSON.stringify({ source_filename: "a.wast", commands }));
    const { plain, comparisons } = await compare(readScript(join(folder, "a.json")), rewriter);
    expect(plain.verdicts.map(({ passed }) => passed)).toEqual([true, true, true, undefined]);
    expect(comparisons.flatMap(({ differences }) => differences)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
