import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";

type Value =
  | { readonly kind: "u8" | "u16" | "u32" | "i32" | "f64"; readonly value: number }
  | { readonly kind: "i64"; readonly value: bigint }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "bytes"; readonly value: Uint8Array };

const number = (kind: "u8" | "u16" | "u32" | "i32", min: number, max: number) =>
  fc.record({ kind: fc.constant(kind), value: fc.integer({ min, max }) });
const value: fc.Arbitrary<Value> = fc.oneof(
  number("u8", 0, 255),
  number("u16", 0, 65_535),
  number("u32", 0, 2 ** 32 - 1),
  number("i32", -(2 ** 31), 2 ** 31 - 1),
  fc.record({ kind: fc.constant("f64" as const), value: fc.double() }),
  fc.record({ kind: fc.constant("i64" as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  fc.record({ kind: fc.constant("text" as const), value: fc.string({ unit: "binary", maxLength: 200 }) }),
  fc.record({ kind: fc.constant("text" as const), value: fc.string({ unit: "grapheme-ascii", maxLength: 200 }) }),
  fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 200 }) }),
);

function written(values: readonly Value[]): Uint8Array {
  const writer = new ByteWriter(1);
  for (const one of values) {
    // Each method takes the type of its kind.
    (writer[one.kind] as (value: Value["value"]) => ByteWriter).call(writer, one.value);
  }
  return writer.take();
}

describe("flat frames", () => {
  it("are read as they were written", () => {
    fc.assert(
      fc.property(fc.array(value), fc.nat(7), (values, shift) => {
        const bytes = written(values);
        const shifted = new Uint8Array(bytes.byteLength + shift).subarray(shift);
        shifted.set(bytes);
        const reader = new ByteReader(shifted);
        for (const one of values) {
          expect(reader[one.kind]()).toEqual(one.value);
        }
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it("that end too early are refused with a RangeError, wherever they were cut", () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1 }), fc.nat(), (values, cut) => {
        const bytes = written(values);
        const reader = new ByteReader(bytes.subarray(0, cut % bytes.byteLength));
        expect(() => {
          for (const { kind } of values) {
            reader[kind]();
          }
        }).toThrow(RangeError);
      }),
    );
  });

  it("refuse text that is not UTF-8 with a TypeError, short or long", () => {
    for (const length of [1, 64, 65, 300]) {
      const bytes = new ByteWriter().bytes(new Uint8Array(length).fill(0xff)).take();
      expect(() => new ByteReader(bytes).text()).toThrow(TypeError);
    }
  });
});
