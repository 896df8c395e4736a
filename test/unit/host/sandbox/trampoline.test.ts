import { expect, it } from "vitest";
import { passThrough } from "../../../../host/sandbox/executor/trampoline.ts";
import type { FunctionType, ValueType } from "../../../../host/sandbox/guest.ts";

const KINDS = ["i32", "i64", "f32", "f64"] as const;

/** The types of 6 parameters, one after the other. */
function typeOf(number: number): FunctionType {
  const params = Array.from({ length: 6 }, (_, at): ValueType => KINDS[Math.floor(number / 4 ** at) % 4] ?? "i32");
  return { params, result: null };
}

it("a module is made once for a type, but types that guests think up are not kept for ever", () => {
  const first = passThrough(typeOf(0));
  expect(passThrough(typeOf(0))).toBe(first);
  for (let number = 1; number <= 1000; number++) {
    passThrough(typeOf(number));
  }
  expect(passThrough(typeOf(0))).not.toBe(first);
});
