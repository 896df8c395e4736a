import { describe, expect, test } from "vitest";
import type { ModuleShape, Section } from "../../../../host/modules/module-shape.ts";
import { editModule, type ModuleEdit } from "../../../../host/modules/section-editor.ts";
import { readSections } from "../../../../host/modules/sections.ts";
import { moduleOf, nameBytes, section, wat } from "../../../support/guest-modules.ts";

const EDIT: ModuleEdit = { memoryMinPages: 1, memoryMaxPages: 8, tableMaxElements: 50, globals: [], activeData: true, bulk: [] };

function edit(bytes: Uint8Array, change: Partial<ModuleEdit> = {}): { bytes: Uint8Array<ArrayBuffer>; shape: ModuleShape } {
  const edited = editModule(bytes, readSections(bytes), { ...EDIT, ...change });
  expect(WebAssembly.validate(edited)).toBe(true);
  return { bytes: edited, shape: readSections(edited) };
}

const contents = (bytes: Uint8Array, each: Section) => Buffer.from(bytes.subarray(each.start, each.end)).toString("hex");

describe("the rewritten module", () => {
  test("exports memory, table, start function and mutable globals beside its own exports", () => {
    const { shape } = edit(
      wat(`(module (memory (export "memory") 1) (table 2 funcref) (global i32 (i32.const 1)) (global (mut i32) (i32.const 2))
        (global (export "g") (mut f64) (f64.const 3)) (func $s) (start $s) (func (export "main")))`),
      { globals: [1, 2] },
    );
    expect(shape.exports.map(({ name, kind, index }) => [name, kind, index])).toEqual([
      ["memory", "memory", 0],
      ["g", "global", 2],
      ["main", "function", 1],
      ["$memory", "memory", 0],
      ["$table", "table", 0],
      ["$start", "function", 0],
      ["$global1", "global", 1],
      ["$global2", "global", 2],
    ]);
    expect(shape.start).toBeUndefined();
  });

  test("gets an export section in its place when it had none", () => {
    const { shape } = edit(wat(`(module (memory 1) (func $s) (start $s) (data (i32.const 0) "x"))`));
    expect(shape.sections.map(({ name }) => name)).toEqual(["type", "function", "memory", "export", "code", "data", "name"]);
    expect(edit(moduleOf(section(5, 1, 0, 1))).shape.exports.map(({ name }) => name)).toEqual(["$memory"]);
  });

  test.each([
    ["no maximum", "(memory 1)", "(table 2 funcref)", 8, 50],
    ["a larger maximum", "(memory 1 65536)", "(table 2 1000000 funcref)", 8, 50],
    ["a smaller maximum", "(memory 1 3)", "(table 2 4 funcref)", 3, 4],
  ])("with %s: memory and table have the smaller one as maximum", (_what, memory, table, pages, elements) => {
    const { shape } = edit(wat(`(module ${memory} ${table})`));
    expect(shape.memories).toMatchObject([{ min: 1, max: pages }]);
    expect(shape.tables[0]?.limits).toMatchObject({ min: 2, max: elements });
  });

  test("the capped memory and table cannot be grown beyond the cap", () => {
    const { bytes } = edit(
      wat(`(module (memory 1) (table 2 funcref) (func (export "main") (result i32) (memory.grow (i32.const 8))))`),
    );
    const { main, $table } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    expect((main as () => number)()).toBe(-1);
    expect(() => ($table as WebAssembly.Table).grow(49)).toThrow(RangeError);
  });

  test("a table with an initialiser keeps it", () => {
    const initialised = moduleOf(section(4, 1, 0x40, 0x00, 0x70, 0x00, 3, 0xd0, 0x70, 0x0b), section(5, 1, 0, 1));
    expect(edit(initialised).shape.tables).toMatchObject([{ limits: { min: 3, max: 50 } }]);
  });

  test("all other sections keep their bytes", () => {
    const original = wat(`(module (import "neap" "tick" (func)) (memory 1) (tag (param i32)) (table 2 funcref)
      (global (mut i64) (i64.const 5)) (elem (i32.const 0) func 1) (func (local i32) (call 0)) (data (i32.const 3) "abc") (data "p"))`);
    const { bytes, shape } = edit(original, { globals: [0] });
    for (const each of readSections(original).sections.filter(({ name }) => name !== "table" && name !== "memory")) {
      const same = shape.sections.find(({ name }) => name === each.name);
      expect(same && contents(bytes, same), each.name).toBe(contents(original, each));
    }
  });

  test("of the custom sections only the names stay, wherever they were", () => {
    const names = section(0, ...nameBytes("name"), 0, 2, 1, 0x6d);
    const { shape } = edit(moduleOf(names, section(0, ...nameBytes(".debug_info"), 1, 2, 3), section(5, 1, 0, 1), section(0, 0)));
    expect(shape.sections.map(({ name }) => name)).toEqual(["memory", "export", "name"]);
  });

  test("without active data, memory begins with zeros and passive segments keep index and bytes", () => {
    const original = wat(`(module (memory 2) (data (i32.const 3) "abc") (data "passive") (data (i32.const 9) "d")
      (func (export "copy") (param i32 i32) (memory.init 1 (local.get 0) (i32.const 0) (local.get 1)))
      (func (export "spent") (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))
      (func (export "trap") (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))))`);
    const { bytes } = edit(original, { memoryMinPages: 2, activeData: false });
    const { $memory, copy, spent, trap } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    const memory = Buffer.from(($memory as WebAssembly.Memory).buffer);
    expect(memory.every((byte) => byte === 0)).toBe(true);
    (copy as (at: number, length: number) => void)(16, 7);
    expect(memory.toString("latin1", 16, 23)).toBe("passive");
    // an active segment is spent by instantiation, here as in the original
    expect(spent).not.toThrow();
    expect(trap).toThrow(WebAssembly.RuntimeError);
  });
});
