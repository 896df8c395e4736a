import { describe, expect, test } from "vitest";
import { netOf, scanBodies } from "../../../../host/modules/compile-work.ts";
import { readSections } from "../../../../host/modules/sections.ts";
import { leb, moduleOf, section, wat } from "../../../support/guest-modules.ts";
import { refusal } from "./fixtures.ts";

const scan = (fields: string) => {
  const bytes = wat(`(module (memory 1) (table 1 funcref) (global $g i32 (i32.const 0)) (func $nothing) ${fields})`);
  return scanBodies(bytes, readSections(bytes));
};
const times = (count: number, text: string) => `${text} `.repeat(count);
const locals = (count: number) => `(local ${times(count, "i32")})`;

/** Each keeps the engine busy for 50 ms to minutes at its first call. */
const BOMBS: Readonly<Record<string, string>> = {
  "calls and nothing else": `(func ${times(100_000, "call $nothing")})`,
  "calls through the table": `(func ${times(25_000, "i32.const 0 call_indirect")})`,
  "ifs beside many locals": `(func ${locals(10_000)} ${times(100, "i32.const 0 if else end")})`,
  "loops beside many locals": `(func ${locals(10_000)} ${times(100, "loop end")})`,
  "branches beside many locals": `(func ${locals(10_000)} ${times(100, "block i32.const 0 br_if 0 end")})`,
  "branches by a table beside many locals": `(func ${locals(10_000)} block i32.const 0 br_table ${times(1_000, "0")} end)`,
  "branches beside many parameters": `(func (param ${times(900, "i32")}) ${times(1_000, "i32.const 0 if else end")})`,
  "calls beside many locals": `(func ${locals(10_000)} ${times(1_500, "call $nothing")})`,
  "tries beside many locals": `(func ${locals(10_000)} ${times(100, "try catch_all end")})`,
  "calls with many results": `(func $many (result ${times(500, "i32")}) unreachable) (func ${times(400, "call $many")} unreachable)`,
  "blocks with many parameters": `(type $t (func (param ${times(900, "i32")}) (result ${times(900, "i32")})))
    (func ${times(900, "i32.const 0")} ${times(1_000, "block (type $t) end")} unreachable)`,
};

/** What leaves one value more on the stack. */
const PUSHES: Readonly<Record<string, string>> = {
  "i32.const": "i32.const 0",
  "f64.const": "f64.const 0",
  "v128.const": "v128.const i32x4 0 0 0 0",
  "local.get": "local.get 0",
  "global.get": "global.get $g",
  "memory.size": "memory.size",
  "ref.null": "ref.null func",
  "an operator": "local.get 0 local.get 0 i32.add",
  "a comparison": "f32.const 0 f32.const 0 f32.lt",
  "a conversion": "i64.const 0 i32.wrap_i64",
  "a saturating conversion": "f32.const 0 i32.trunc_sat_f32_s",
  "a load": "local.get 0 i64.load",
  "an atomic addition": "local.get 0 local.get 0 i32.atomic.rmw.add",
  "an atomic comparison": "local.get 0 local.get 0 local.get 0 i32.atomic.rmw.cmpxchg",
  "a vector's sum": "v128.const i32x4 0 0 0 0 local.get 0 i32x4.splat i32x4.add",
  "a vector's lane": "local.get 0 i32x4.splat i32x4.extract_lane 1",
  "a select": "local.get 0 local.get 0 local.get 0 select",
  "a store, and a value": "local.get 0 local.get 0 i32.store local.get 0",
  "a vector's store, and a value": "local.get 0 local.get 0 i32x4.splat v128.store local.get 0",
  "a block": "block (result i32) i32.const 0 end",
  "an if": "local.get 0 if (result i32) i32.const 0 else i32.const 1 end",
  "a branch out of a block": "block (result i32) i32.const 0 br 0 end",
  "what follows a return": "block return end i32.const 0",
};

describe("what compiling a function takes", () => {
  test.each(Object.entries(BOMBS))("%s: refused, with section, offset and limit", (_what, fields) => {
    expect(refusal(() => scan(fields))).toMatch(
      /^MODULE_LIMIT: code section at offset \d+: a function has so many .* takes \d+ units, at most 12000000 are allowed$/,
    );
  });

  test.each(Object.entries(PUSHES))("grows with the values that calls find on the stack: %s", (_what, push) => {
    const high = `(func (param i32) ${times(2_000, push)} ${times(6_000, "call $nothing")} unreachable)`;
    expect(refusal(() => scan(high))).toContain("at most 12000000 are allowed");
  });

  test.each(Object.entries(PUSHES))("does not grow when they are taken off again: %s", (_what, push) => {
    scan(`(func (param i32) ${times(2_000, `${push} drop`)} ${times(6_000, "call $nothing")} unreachable)`);
  });

  test("counts values as the engine does, for all instructions without control flow", () => {
    const wrong: string[] = [];
    let found = 0;
    const control = new Set([0x26, ...range(0x00, 0x19), 0x1f, 0xd4, 0xd5, 0xd6, ...range(0xfb, 0xff)]);
    const opcodes = [
      ...range(0x1a, 0xd6)
        .filter((opcode) => !control.has(opcode))
        .map((opcode) => [opcode]),
      ...[...range(0, 8), 10, 11, 16].map((sub) => [0xfc, sub]),
      ...range(0, 0xff).map((sub) => [0xfd, sub]),
      ...range(0, 0x4e).map((sub) => [0xfe, sub]),
    ];
    for (const [opcode = 0, sub = 0] of opcodes) {
      const net = netByEngine(opcode, sub);
      if (net !== null) {
        found += 1;
        if (net !== netOf(opcode, sub)) {
          wrong.push(`0x${opcode.toString(16)} ${sub}: ${net}, not ${netOf(opcode, sub)}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(found).toBeGreaterThan(450);
  });

  test("of large functions as compilers make them is allowed", () => {
    const statement = "local.get 0 i32.const 7 i32.add local.tee 1 if local.get 1 i32.load local.set 2 call $nothing else end";
    scan(`(func (param i32) ${locals(30)} ${times(7_000, statement)})`);
  });
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

const I32 = 0x7f;
const TYPES = [I32, 0x7e, 0x7d, 0x7c, 0x7b, 0x70];
const OPERANDS: readonly (readonly number[])[] = [
  [],
  ...TYPES.map((a) => [a]),
  ...TYPES.flatMap((a) => TYPES.map((b) => [a, b])),
  ...[
    [I32, I32, I32],
    [I32, 0x7e, 0x7e],
    [I32, I32, 0x7e],
    [I32, 0x7e, I32],
    [0x7b, 0x7b, 0x7b],
    [0x70, 0x70, I32],
  ],
];

/** In this order: what follows an instruction that needs fewer must not be one. */
const IMMEDIATES: readonly (readonly number[])[] = [
  [],
  [0],
  ...[0, 1, 2, 3, 4].map((alignment) => [alignment, 1]),
  ...[[0, 1, 0], [0, 0], [1, I32], [0x70], Array(4).fill(0), Array(8).fill(0), Array(16).fill(0)],
];

/** What the instruction pushes less what it pops, by trying; null when nothing that was tried is valid. */
function netByEngine(opcode: number, sub: number): number | null {
  const code = opcode >= 0xfc ? [opcode, ...leb(sub)] : [opcode];
  for (const immediates of IMMEDIATES) {
    for (const operands of OPERANDS) {
      const gets = operands.flatMap((_, at) => [0x20, at]);
      const body = [0, ...gets, ...code, ...immediates, 0x0b];
      for (const results of [[], ...TYPES.map((type) => [type])]) {
        const bytes = moduleOf(
          section(1, 1, 0x60, ...leb(operands.length + 1), ...operands, I32, ...leb(results.length), ...results),
          section(3, 1, 0),
          section(4, 1, 0x70, 0, 1),
          section(5, 1, 0, 1),
          section(6, 1, I32, 1, 0x41, 0, 0x0b),
          section(7, 1, 1, 0x66, 0, 0),
          section(12, 1),
          section(10, 1, ...leb(body.length), ...body),
          section(11, 1, 1, 0),
        );
        if (WebAssembly.validate(bytes)) {
          return results.length - operands.length;
        }
      }
    }
  }
  return null;
}
