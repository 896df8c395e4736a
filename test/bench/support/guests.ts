/** The functions that the benchmarks call besides the samples. */
import { writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { buildFunctions, compileFunction } from "../../../functions/build.ts";
import { compileWithClang, findClang } from "../../../functions/clang.ts";
import { ROOT, sampleModule } from "../../support/host-process.ts";

const ASSEMBLY = join(import.meta.dirname, "..", "assembly");

type BenchGuest =
  | "steps"
  | "sleeper"
  | "rw"
  | "singleop"
  | "noop"
  | "imports"
  | "faasm"
  | "endless"
  | "kernels"
  | "region-sum"
  | "wasi-files"
  | "wasi-streams";

const compiled = new Map<BenchGuest, Promise<Uint8Array>>();

/** A function of `test/bench/assembly`, compiled once. */
export function benchGuest(name: BenchGuest): Promise<Uint8Array> {
  let module = compiled.get(name);
  if (module === undefined) {
    module = compileFunction(join(ASSEMBLY, `${name}.ts`));
    compiled.set(name, module);
  }
  return module;
}

/** A sample function, built if its source has changed. */
export async function sampleGuest(name: string): Promise<Uint8Array> {
  await buildFunctions({ force: false });
  return sampleModule(name);
}

/**
 * The `hello` sample with so much more code that it has about `sizeBytes`: functions that the module's table refers to, so that the
 * compiler keeps them.
 */
export async function largeHello(folder: string, sizeBytes: number): Promise<Uint8Array> {
  const hello = relative(folder, join(ROOT, "functions", "hello", "assembly", "index"))
    .split(sep)
    .join("/");
  const count = Math.ceil(sizeBytes / BYTES_PER_FUNCTION);
  const functions = Array.from({ length: count }, (_, i) => `function work${i}(x: f64): f64 { ${workOf(i)} return x; }`);
  const table = `export const works: ((x: f64) => f64)[] = [${functions.map((_, i) => `work${i}`).join(", ")}];`;
  const path = join(folder, "large-hello.ts");
  writeFileSync(path, [`export { main } from "${hello}";`, ...functions, table].join("\n"));
  return compileFunction(path);
}

/** The same in C++. @throws when there is no clang */
export async function largeCppHello(folder: string, sizeBytes: number): Promise<Uint8Array> {
  const count = Math.ceil(sizeBytes / BYTES_PER_FUNCTION);
  const functions = Array.from({ length: count }, (_, i) => `static double work${i}(double x) { ${workOf(i)} return x; }`);
  const table = `extern "C" { double (*volatile works[])(double) = {${functions.map((_, i) => `work${i}`).join(", ")}}; }`;
  const path = join(folder, "large-hello.cpp");
  writeFileSync(path, [`#include "${join(ROOT, "functions", "cpp", "src", "hello.cpp")}"`, ...functions, table].join("\n"));
  return compileWithClang(findClang(), path);
}

const BYTES_PER_FUNCTION = 196;

function workOf(seed: number): string {
  return Array.from({ length: 8 }, (_, i) => `x = x * ${seed}.${i + 1} + ${i + seed}.5;`).join(" ");
}

/**
 * `hello` with an empty input and `sleeper` greet "world"; a copy greets `word` instead. The copies have different bytes in a section
 * that matters, so nothing on the way can take one for the other.
 *
 * @param word  5 ASCII characters
 */
export function helloGreeting(module: Uint8Array, word: string, encoding: "utf16le" | "utf8" = "utf16le"): Uint8Array {
  const copy = Buffer.from(module);
  const at = copy.indexOf(Buffer.from("world", encoding));
  if (at < 0 || word.length !== 5) {
    throw new Error(`the module has no "world" to replace by ${JSON.stringify(word)}`);
  }
  copy.write(word, at, encoding);
  return copy;
}
