import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../../functions/build.ts";
import { decodeEntryPoints, describeEntryPoints } from "../../../host/modules/entry-points/index.ts";
import { SECTION } from "../../support/entry-points.ts";

const folder = mkdtempSync(join(tmpdir(), "neap-entry-points-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function compiled(source: string, ...options: readonly string[]): Promise<WebAssembly.Module> {
  const path = join(folder, "function.ts");
  writeFileSync(path, source);
  return new WebAssembly.Module(await compileFunction(path, ["--optimizeLevel", "0", "--shrinkLevel", "0", ...options]));
}

async function described(source: string): Promise<unknown> {
  const [section] = WebAssembly.Module.customSections(await compiled(source), SECTION);
  return section === undefined ? null : describeEntryPoints(decodeEntryPoints(new Uint8Array(section)));
}

async function refusal(source: string): Promise<string> {
  const error: unknown = await compiled(source).then(
    () => null,
    (thrown) => thrown,
  );
  return error instanceof Error ? error.message : "compiled";
}

describe("what the compiler transform says of a function", () => {
  it("names parameters, types and the fields of classes, those of base classes first", async () => {
    const source = `
      class Base { id: u64; }
      class Item extends Base { name: string; tags: Array<string | null>; next: Item | null; bytes: Uint8Array; fixed: StaticArray<f32>; }
      enum Level { low, high }
      export function put(item: Item, level: Level, size: usize, ok: bool): void {}
      function own(a: i8): Float64Array { return new Float64Array(a); }
      export { own as doubles };`;
    expect(await described(source)).toEqual({
      entryPoints: [
        {
          name: "put",
          signature: "put(item: Item, level: i32, size: u32, ok: bool): void",
          parameters: [
            { name: "item", type: "Item" },
            { name: "level", type: "i32" },
            { name: "size", type: "u32" },
            { name: "ok", type: "bool" },
          ],
          result: null,
        },
        {
          name: "doubles",
          signature: "doubles(a: i8): Float64Array",
          parameters: [{ name: "a", type: "i8" }],
          result: "Float64Array",
        },
      ],
      classes: [
        {
          name: "Item",
          fields: [
            { name: "id", type: "u64" },
            { name: "name", type: "string" },
            { name: "tags", type: "Array<string | null>" },
            { name: "next", type: "Item | null" },
            { name: "bytes", type: "Uint8Array" },
            { name: "fixed", type: "StaticArray<f32>" },
          ],
        },
      ],
    });
  });

  it("leaves a function alone that has none", async () => {
    const module = await compiled(`
      export function main(): i32 { return 0; }
      export function _faasm_zygote(): i32 { return 0; }
      export function _own(map: Map<i32, i32>): void {}
      export const neap_region_safe: bool = true;`);
    expect(WebAssembly.Module.customSections(module, SECTION)).toEqual([]);
    expect(WebAssembly.Module.exports(module).map(({ name }) => name)).not.toContain("__new");
  });

  it("has the runtime exported, with every runtime there is", async () => {
    for (const runtime of ["stub", "minimal", "incremental"]) {
      const module = await compiled("export function add(a: i32): i32 { return a; }", "--runtime", runtime);
      const names = WebAssembly.Module.exports(module).map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(["add", "__new", "__pin", "__rtti_base", "memory"]));
    }
  });

  it.each<[string, string, string]>([
    [
      "a map",
      "export function f(a: Map<string, i32>): void {}",
      "the parameter a is of type Map<String,i32>, which entry points cannot have",
    ],
    ["a set in a result", "export function f(): Set<i32> { return new Set<i32>(); }", "the result of f is of type Set<i32>"],
    ["a function", "export function f(a: (b: i32) => i32): void {}", "the parameter a is of type (i32) => i32"],
    ["a buffer", "export function f(a: ArrayBuffer): void {}", "the parameter a is of type ArrayBuffer"],
    ["an interface", "interface I { a: i32 }\nexport function f(a: I): void {}", "the parameter a is of type"],
    [
      "an element",
      "export function f(a: Array<Map<i32, i32>>): void {}",
      "an element of the parameter a is of type Map<i32,i32>",
    ],
    [
      "a field",
      "class A { m: Map<i32, i32> = new Map() }\nexport function f(a: A): void {}",
      "the field m of A is of type Map<i32,i32>",
    ],
    ["a type parameter", "export function f<T>(a: T): void {}", "the entry point f is generic"],
    ["a preset", "export function f(a: i32 = 1): i32 { return a; }", "the entry point f has a parameter that may be left out"],
    [
      "a constructor",
      "class A { constructor(public a: i32) {} }\nexport function f(a: A): void {}",
      "the class A has a constructor, which would not run",
    ],
    ["a name", "export function Straße(): void {}", "must have a name of 1 to 64 letters"],
  ])("%s that no JSON value is, is an error at its place", async (_, source, text) => {
    const message = await refusal(source);
    expect(message).toContain(text);
    expect(message).toMatch(/function\.ts\(\d+,\d+\)/);
  });
});
