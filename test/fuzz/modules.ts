/** Modules that no compiler makes: valid ones with some of their parts changed, and sections of random bytes. */
import fc from "fast-check";
import { readSections } from "../../host/modules/sections.ts";
import { wat } from "../support/guest-modules.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Between them they have every section, and instructions of every sort. Each ends by itself. */
const VALID: readonly Bytes[] = [
  `(module (import "neap" "output_write" (func $out (param i32 i32))) (import "neap" "input_size" (func $size (result i32)))
    (memory (export "memory") 1 9) (table 4 funcref) (tag (param i32)) (global $g (mut i64) (i64.const 5)) (global f32 (f32.const 1))
    (elem (i32.const 1) func $f $f) (data (i32.const 9) "hello") (data "p")
    (func $f (param i32) (result i32) (local i64 f64) (block (result i32) (br_table 0 0 0 (local.get 0) (i32.const 1))))
    (func $s (global.set $g (i64.const 7)) (i32.store (i32.const 40) (i32.const 1))) (start $s)
    (func (export "main") (result i32) (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 1))
      (v128.store (i32.const 0) (v128.const i32x4 1 2 3 4)) (call $out (i32.const 0) (i32.const 16))
      (try (result i32) (do (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 1))) (catch 0))))`,
  `(module (import "neap" "object_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "neap" "object_read" (func $read (param i32 i32 i64 i32 i32 i32) (result i64)))
    (import "neap" "sync" (func $sync)) (memory (export "memory") 2 64) (data (i32.const 0) "key")
    (func (export "main") (result i32) (local $left i32) (local.set $left (i32.const 9))
      (loop $more (drop (call $write (i32.const 0) (i32.const 3) (local.get $left) (i32.const 100))) (call $sync)
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (memory.fill (i32.const 100) (i32.const 1) (local.get $left)) (memory.copy (i32.const 0) (i32.const 8) (i32.const 2000))
      (drop (memory.grow (i32.const 3)))
      (i32.wrap_i64 (call $read (i32.const 0) (i32.const 3) (i64.const 0) (i32.const 64) (i32.const 8) (i32.const 0)))))`,
].map(wat);

interface Change {
  readonly kind:
    | "flip"
    | "number"
    | "remove"
    | "repeat"
    | "swap"
    | "dropSection"
    | "repeatSection"
    | "randomSection"
    | "mixSection";
  /** Where, as a share of what there is. */
  readonly at: number;
  readonly value: number;
  readonly bytes: Uint8Array;
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom<Change["kind"]>(
    "flip",
    "number",
    "remove",
    "repeat",
    "swap",
    "dropSection",
    "repeatSection",
    "randomSection",
    "mixSection",
  ),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  value: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0xffff, 0xffff_ffff), fc.nat(255)),
  bytes: fc.uint8Array({ maxLength: 40 }),
});

export const anyModule: fc.Arbitrary<Bytes> = fc
  .tuple(fc.nat(VALID.length - 1), fc.array(change, { minLength: 1, maxLength: 5 }))
  .map(([which, changes]) => changes.reduce(changed, VALID[which] ?? new Uint8Array()));

function changed(module: Bytes, { kind, at, value, bytes }: Change): Bytes {
  const offset = 8 + Math.floor(at * Math.max(0, module.byteLength - 8));
  const splice = (from: number, to: number, ...between: readonly Uint8Array[]): Bytes =>
    Uint8Array.from(Buffer.concat([module.subarray(0, from), ...between, module.subarray(to)]));
  switch (kind) {
    case "flip":
      return splice(offset, offset + 1, Buffer.of((module[offset] ?? 0) ^ (1 << (value & 7))));
    case "number":
      return splice(offset, offset + 1, Buffer.from(leb(value)));
    case "remove":
      return splice(offset, offset + 1 + (value & 7));
    case "repeat":
      return splice(offset, offset, module.subarray(offset, offset + 1 + (value & 31)));
    case "swap":
      return splice(offset, offset + 2, module.subarray(offset + 1, offset + 2), module.subarray(offset, offset + 1));
    default:
      return sectionChanged(module, kind, at, value, bytes, splice);
  }
}

function sectionChanged(
  module: Bytes,
  kind: Change["kind"],
  at: number,
  value: number,
  bytes: Uint8Array,
  splice: (from: number, to: number, ...between: readonly Uint8Array[]) => Bytes,
): Bytes {
  const sections = sectionsOf(module);
  const section = sections[Math.floor(at * sections.length)];
  if (section === undefined) {
    return module;
  }
  const whole = module.subarray(section.start, section.end);
  switch (kind) {
    case "dropSection":
      return splice(section.start, section.end);
    case "repeatSection":
      return splice(section.end, section.end, whole);
    case "randomSection":
      return splice(section.start, section.end, Buffer.from([value % 14, ...leb(bytes.byteLength)]), bytes);
    default: {
      const others = sectionsOf(VALID[value % VALID.length] ?? module);
      const other = others.find(({ id }) => id === section.id) ?? section;
      return splice(section.start, section.end, (VALID[value % VALID.length] ?? module).subarray(other.start, other.end));
    }
  }
}

/** None of a module whose sections cannot be found any more. */
function sectionsOf(module: Bytes): readonly { id: number; start: number; end: number }[] {
  try {
    return readSections(module).sections;
  } catch {
    return [];
  }
}

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(Math.floor(value / 128))];
}
