import { describe, expect, test } from "vitest";
import { scanBody } from "../../../../host/modules/instructions.ts";
import { readSections } from "../../../../host/modules/sections.ts";
import { wat } from "../../../support/guest-modules.ts";
import { refusal } from "./fixtures.ts";

function scanAll(bytes: Uint8Array, onCall?: (index: number) => void): void {
  for (const body of readSections(bytes).bodies) {
    scanBody(bytes, body, onCall === undefined ? {} : { call: onCall });
  }
}

function scanCode(...code: number[]): void {
  const bytes = Uint8Array.from(code);
  scanBody(bytes, { declarations: 0, start: 0, end: bytes.byteLength, locals: 0 });
}

describe("instructions", () => {
  test("instructions with every kind of operand are stepped over, to the end of each body", () => {
    const bytes = wat(`(module (memory 1) (table 2 funcref) (tag $t (param i32)) (global $g (mut i32) (i32.const 0)) (data "x")
      (type $f (func (param i32) (result i32)))
      (func $id (param i32) (result i32) local.get 0)
      (func $all (param i32) (result i32)
        (block $out (result i32)
          (loop $again
            (br_table $again $again $again (i32.const 300)))
          (if (result i32) (i32.const -1) (then (i32.const 0x7fffffff)) (else (i32.const -0x80000000))))
        (drop (i64.const -0x8000000000000000)) (drop (f32.const 1.5)) (drop (f64.const -0.1))
        (drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 0)))
        (drop (ref.is_null (ref.null func))) (drop (ref.func $id)) (drop (table.get 0 (i32.const 0))) (drop (table.size 0))
        (i64.store offset=70000 align=1 (i32.const 0) (i64.load32_u (i32.const 8)))
        (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1)) (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
        (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)) (drop (memory.grow (memory.size)))
        (drop (i32.trunc_sat_f64_s (f64.const 1)))
        (v128.store (i32.const 0) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i32x4 11 11 11 11) (v128.load8x8_s (i32.const 1))))
        (drop (i8x16.replace_lane 3 (i16x8.splat (i32.const 5)) (i32.const 1)))
        (drop (v128.load16_lane offset=300 2 (i32.const 0) (v128.const i64x2 0 0)))
        (drop (v128.load64_zero (i32.const 0)))
        (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))) (atomic.fence)
        (global.set $g (call_indirect (type $f) (i32.const 1) (i32.const 0)))
        (try (do (throw $t (i32.const 11))) (catch $t (drop)) (catch_all))
        (try (do (try (do (nop)) (delegate 0))) (catch_all (rethrow 0)))
        (drop (call $id (i32.const 0)))
        (return_call $id (i32.const 2)))
      (func $indirect (param i32) (result i32) (return_call_indirect (type $f) (i32.const 1) (i32.const 0)))
      (elem declare func $id))`);
    expect(() => scanAll(bytes)).not.toThrow();
  });

  test("operands that look like opcodes are not taken for opcodes", () => {
    expect(() =>
      scanAll(
        wat(`(module (func (drop (i64.const 0x26fdfcfb)) (drop (v128.const i8x16 0x26 0x26 253 253 0 0 0 0 0 0 0 0 0 0 0 0))))`),
      ),
    ).not.toThrow();
  });

  test("try_table with every kind of catch is stepped over", () => {
    expect(() =>
      scanCode(0x1f, 0x40, 4, 0x00, 0xff, 0x01, 0x00, 0x01, 0x00, 0x01, 0x02, 0x00, 0x03, 0x01, 0x0b, 0x0b),
    ).not.toThrow();
  });

  test("direct calls are reported, each with the function's index", () => {
    const calls: number[] = [];
    scanAll(wat(`(module (func $a) (func $b (call $a) (if (i32.const 1) (then (call $b)))))`), (index) => calls.push(index));
    expect(calls).toEqual([0, 1]);
  });

  test("F24: relaxed SIMD is refused, as its results differ between machines", () => {
    const bytes = wat(`(module (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))`);
    expect(refusal(() => scanAll(bytes))).toMatch(/^MODULE_LIMIT: code section at offset \d+: relaxed SIMD/);
    // 0x100 written longer than it needs to be
    expect(refusal(() => scanCode(0xfd, 0x80, 0x82, 0x80, 0x00, 0x0b))).toMatch(/relaxed SIMD/);
  });

  test.each([
    ["table.set", "(table.set 0 (i32.const 0) (ref.null func))"],
    ["table.grow", "(drop (table.grow 0 (ref.null func) (i32.const 1)))"],
    ["table.fill", "(table.fill 0 (i32.const 0) (ref.null func) (i32.const 1))"],
    ["table.copy", "(table.copy 0 0 (i32.const 0) (i32.const 0) (i32.const 0))"],
    ["table.init", "(table.init 0 0 (i32.const 0) (i32.const 0) (i32.const 0))"],
    ["elem.drop", "(elem.drop 0)"],
    ["data.drop", "(data.drop 0)"],
  ])("%s is refused: no snapshot holds what it changes", (name, text) => {
    const bytes = wat(`(module (memory 1) (table 2 funcref) (elem func) (data "x") (func ${text}))`);
    expect(refusal(() => scanAll(bytes))).toMatch(
      new RegExp(`^MODULE_LIMIT: code section at offset \\d+: ${name} is not allowed`),
    );
  });

  test.each([
    ["an unknown opcode", [0xff, 0x0b], "at offset 0: this host does not know the instruction 0xff"],
    ["a garbage-collected object", [0xfb, 0, 0, 0x0b], "does not know the instruction 0xfb"],
    ["an unknown bulk instruction", [0xfc, 40, 0x0b], "does not know the instruction 0xfc 40"],
    ["no final end", [0x01, 0x01], "the final end is missing"],
    ["an operand beyond the end", [0x41, 0x80], "the last instruction is not complete"],
    ["bytes after the end", [0x0b, 0x01], "1 bytes follow the end of the function"],
    ["a branch table larger than the body", [0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f], "says 4294967295 operands"],
    ["a delegate without a try", [0x18, 0, 0x0b], "a block ends that was not begun"],
  ])("%s is refused with its offset", (_what, code, text) => {
    const message = refusal(() => scanCode(...code));
    expect(message).toMatch(/^MODULE_INVALID: code section at offset \d+: /);
    expect(message).toContain(text);
  });

  test("nesting is bounded", () => {
    const nested = (depth: number) => [...new Array(depth).fill([0x02, 0x40]).flat(), ...new Array(depth + 1).fill(0x0b)];
    expect(() => scanCode(...nested(10_000))).not.toThrow();
    expect(refusal(() => scanCode(...nested(10_001)))).toMatch(/^MODULE_LIMIT: .*nested more than 10000 deep/);
  });
});
