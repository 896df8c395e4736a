import { describe, expect, test } from "vitest";
import { readSections } from "../../../../host/modules/sections.ts";
import { leb, moduleOf, nameBytes, section, wat } from "../../../support/guest-modules.ts";
import { refusal } from "./fixtures.ts";

const TYPE = section(1, 1, 0x60, 0, 0);
const FUNCTION = section(3, 1, 0);
const MEMORY = section(5, 1, 0, 1);
const CODE = section(10, 1, 2, 0, 0x0b);

describe("what is no module is refused in words", () => {
  test.each([
    ["nothing at all", new Uint8Array(), "MODULE_INVALID: the upload is empty"],
    ["text", Uint8Array.from(Buffer.from("hello")), "not WebAssembly: the upload begins with the bytes 68 65 6c 6c"],
    ["half a magic number", Uint8Array.of(0, 0x61), "truncated: the module's header has 8 bytes, the upload 2"],
    ["a header cut short", moduleOf().subarray(0, 6), "truncated: the module's header has 8 bytes, the upload 6"],
    ["another version", Uint8Array.of(0, 0x61, 0x73, 0x6d, 2, 0, 0, 0), "WebAssembly version 2, must be 1"],
    ["a component", Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0), "a component, not a module"],
  ])("%s", (_what, bytes, text) => {
    expect(refusal(() => readSections(bytes))).toContain(text);
  });
});

describe("sections", () => {
  test("a section that is longer than the module is named with its offset and what is left", () => {
    const bytes = moduleOf(TYPE, [10, ...leb(4000), ...new Array<number>(120).fill(0)]);
    const offset = 8 + TYPE.length;
    expect(refusal(() => readSections(bytes))).toBe(
      `MODULE_INVALID: truncated: code section at offset ${offset} says 4000 bytes, 120 are left`,
    );
  });

  test.each([
    ["out of order", moduleOf(MEMORY, TYPE), "module at offset 13: type section after the memory section"],
    ["twice", moduleOf(MEMORY, MEMORY), "module at offset 13: second memory section"],
    ["unknown", moduleOf(section(14)), "module at offset 8: unknown section id 14"],
    [
      "with bytes after its entries",
      moduleOf(section(1, 1, 0x60, 0, 0, 7)),
      "type section at offset 14: 1 bytes follow its last entry",
    ],
    [
      "whose size is no number",
      moduleOf([1, 0x80, 0x80, 0x80, 0x80, 0x10]),
      "size of the type section is not a number of 32 bits",
    ],
    ["whose count is larger than the section", moduleOf(section(3, ...leb(1000), 0)), "says 1000 functions, 1 bytes are left"],
    ["whose entry is cut", moduleOf(section(1, 1, 0x60, 2, 0x7f)), "says 2 parameters, 1 bytes are left"],
    ["with a value type that is none", moduleOf(section(1, 1, 0x60, 1, 0x01, 0)), "unknown value type 0x1"],
    ["with a struct type", moduleOf(section(1, 1, 0x5f, 0)), "type form 0x5f: this host takes function types (0x60) only"],
    ["with a name that is not UTF-8", moduleOf(section(7, 1, 1, 0xff, 0, 0)), "export name is not UTF-8"],
    ["with an unknown external kind", moduleOf(section(7, 1, ...nameBytes("x"), 9, 0)), "unknown kind 9"],
    ["custom, without a name", moduleOf(section(0)), "custom section at offset 10: truncated: length of name is missing"],
    ["with unknown limits", moduleOf(section(5, 1, 0x10, 1)), "unknown limits flags 0x10"],
    ["with a global that never ends", moduleOf(section(6, 1, 0x7f, 0, 0x41, 0)), "the final end is missing"],
    ["with unknown segment flags", moduleOf(section(11, 1, 3, 0)), "unknown data segment flags 3"],
    ["with a data segment cut short", moduleOf(section(11, 1, 1, 5, 1)), "data segment says 5 bytes, 1 are left"],
    ["with more functions than bodies", moduleOf(TYPE, FUNCTION), "1 functions, but no code section: 0 bodies"],
  ])("%s: refused with its place", (_what, bytes, text) => {
    const message = refusal(() => readSections(bytes));
    expect(message).toMatch(/^MODULE_INVALID: /);
    expect(message).toContain(text);
  });

  test("counts beyond the caps are refused before anything is built for them", () => {
    const exports = new Array<number>(10_001 * 3).fill(0);
    expect(refusal(() => readSections(moduleOf(section(7, ...leb(10_001), ...exports))))).toMatch(
      /^MODULE_LIMIT: export section at offset \d+: 10001 exports, at most 10000 are allowed$/,
    );
    expect(refusal(() => readSections(moduleOf(section(5, 2, 0, 1, 0, 1))))).toContain("2 memories, at most 1 are allowed");
    expect(refusal(() => readSections(moduleOf(section(4, 2, 0x70, 0, 1, 0x70, 0, 1))))).toContain("2 tables, at most 1");
    const custom = new Array<number[]>(1_001).fill(section(0, 0));
    expect(refusal(() => readSections(moduleOf(...custom)))).toContain("the module has more than the 1000 that are allowed");
  });

  test("a module with every kind of section is read as it was written", () => {
    const shape = readSections(
      wat(`(module
        (import "neap" "tick" (func $tick))
        (type $pair (func (param i32 i64) (result f32 f64)))
        (memory 2 9)
        (table 3 7 funcref)
        (tag $oops (param i32))
        (global $a (mut i64) (i64.const -3))
        (global $b funcref (ref.func $body))
        (export "body" (func $body)) (export "m" (memory 0)) (export "t" (table 0)) (export "g" (global 1))
        (start $tick)
        (elem (i32.const 1) func $body)
        (elem funcref (ref.null func) (ref.func $body))
        (elem declare func $body)
        (func $body (local i32 i32) (local v128) (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 0)))
        (data (i32.const 8) "abc")
        (data "passive"))`),
    );
    expect(shape.imports).toMatchObject([{ module: "neap", name: "tick", kind: "function" }]);
    expect(shape.types).toContainEqual({ params: ["i32", "i64"], results: ["f32", "f64"] });
    expect(shape.memories).toMatchObject([{ min: 2, max: 9, shared: false, is64: false }]);
    expect(shape.tables[0]?.limits).toMatchObject({ min: 3, max: 7 });
    expect(shape.tags).toHaveLength(1);
    expect(shape.globals).toMatchObject([
      { type: "i64", mutable: true },
      { type: "funcref", mutable: false },
    ]);
    expect(shape.exports.map(({ name, kind, index }) => [name, kind, index])).toEqual([
      ["body", "function", 1],
      ["m", "memory", 0],
      ["t", "table", 0],
      ["g", "global", 1],
    ]);
    expect(shape.start).toBe(0);
    expect(shape.elementSegmentCount).toBe(3);
    expect(shape.bodies).toMatchObject([{ locals: 3 }]);
    expect(shape.dataSegments.map(({ active }) => active)).toEqual([true, false]);
  });

  test("a module of nothing but a code section is read", () => {
    expect(readSections(moduleOf(TYPE, FUNCTION, CODE)).bodies).toHaveLength(1);
  });
});
