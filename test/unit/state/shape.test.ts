import fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import {
  Bytes,
  between,
  Count,
  choice,
  either,
  Finite,
  Flag,
  list,
  Nothing,
  type Of,
  orNothing,
  partial,
  record,
  type Shape,
  Text,
  that,
  tuple,
  whole,
} from "../../../state/shape.ts";

/** Values of the shape, and others. */
const CASES: readonly [name: string, shape: Shape<unknown>, values: readonly unknown[], others: readonly unknown[]][] = [
  ["whole(-1, 4)", whole(-1, 4), [-1, 0, 4], [-2, 5, 0.5, Number.NaN, "1", 1n, null, undefined]],
  ["between(0.5, 1)", between(0.5, 1), [0.5, 0.7, 1], [0.4, 1.1, Number.NaN, "1"]],
  ["Count", Count, [0, 2 ** 53 - 1], [-1, 2 ** 53, 1n]],
  ["Finite", Finite, [-1e300, 0.1], [Number.POSITIVE_INFINITY, Number.NaN, "0"]],
  ["Text", Text, ["", "x"], [1, null, ["x"]]],
  ["Flag", Flag, [true, false], [0, "true"]],
  ["Bytes", Bytes, [new Uint8Array(0), Buffer.from("x")], [[1], new Uint16Array(1), new ArrayBuffer(1), "x"]],
  ["Nothing", Nothing, [null], [undefined, 0, ""]],
  ["choice", choice("a", 2), ["a", 2], ["b", "2", null]],
  ["list", list(Count, { itemsMax: 2 }), [[], [1], [1, 2]], [[1, 2, 3], [-1], { 0: 1 }, null]],
  ["tuple", tuple(Count, Text), [[1, "x"]], [[1], ["x", 1], [1, "x", 1], { 0: 1, 1: "x" }, null]],
  ["either", either(Count, tuple(Text)), [1, ["x"]], ["x", [1], null]],
  ["orNothing", orNothing(Count), [1, null], [undefined, "1"]],
  ["record", record({ a: Count }), [{ a: 1 }, { a: 1, b: 2 }], [{}, { a: "1" }, [1], null, Object.create({ a: 1 })]],
  ["partial", partial({ a: Count }), [{}, { a: 1 }, { b: 2 }], [{ a: "1" }, { a: undefined }, [], null]],
  ["that", that(Text, "a text of one character", (text) => text.length === 1), ["x"], ["xy", 1, ["x"]]],
];

describe("a shape", () => {
  test.each(CASES)("%s is had by its values only", (_name, shape, values, others) => {
    expect(values.filter((value) => !shape.has(value))).toEqual([]);
    expect(others.filter((other) => shape.has(other))).toEqual([]);
  });

  test("never throws, whatever it is asked about", () => {
    fc.assert(
      fc.property(fc.constantFrom(...CASES), fc.anything({ withNullPrototype: true }), ([, shape], value) => {
        expect([true, false]).toContain(shape.has(value));
      }),
    );
  });

  test("says what it takes", () => {
    expect(whole(1, 4).range).toBe("whole number from 1 to 4");
    expect(choice("on", "off").range).toBe("on | off");
    expect(list(Text).range).toBe("list of text");
    expect(orNothing(Text).range).toBe("text or nothing");
    expect(record({ a: Count, b: Text }).range).toBe("object with a, b");
  });

  test("has the type of its values", () => {
    const entry = tuple(Text, choice("a", "b"), list(orNothing(Bytes)));
    expectTypeOf<Of<typeof entry>>().toEqualTypeOf<[string, "a" | "b", (Uint8Array | null)[]]>();
    const some = partial({ size: Count });
    expectTypeOf<Of<typeof some>>().toEqualTypeOf<{ readonly size?: number }>();
  });
});
