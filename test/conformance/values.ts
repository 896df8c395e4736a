/** Values of scripts and of the engine. */
import type { Value } from "./script.ts";

/** What cannot be said through the engine's JavaScript interface, such as vectors. */
export class NotExpressible extends Error {}

/** References that scripts name by number. */
const externs = new Map<string, object>();

export function toEngine({ type, value }: Value): unknown {
  if (typeof value !== "string") {
    throw new NotExpressible(type);
  }
  if (value === "null") {
    return null;
  }
  switch (type) {
    case "i32":
      return Number(value) | 0;
    case "i64":
      return BigInt.asIntN(64, BigInt(value));
    case "f32":
    case "f64":
      return floatOf(type, value);
    case "externref": {
      const known = externs.get(value) ?? { extern: value };
      externs.set(value, known);
      return known;
    }
    default:
      throw new NotExpressible(type);
  }
}

/** @throws NotExpressible */
export function isExpected(expected: Value, actual: unknown): boolean {
  if ((expected.type === "externref" || expected.type === "funcref") && expected.value === undefined) {
    return actual !== null;
  }
  return same(toEngine(expected), actual);
}

/** All NaNs are one: which of them comes out is not determined, and JavaScript does not keep them apart. */
export function same(left: unknown, right: unknown): boolean {
  return Object.is(left, right);
}

/** The results of an exported function: none, one, or several. */
export function resultsOf(returned: unknown): readonly unknown[] {
  if (returned === undefined) {
    return [];
  }
  return Array.isArray(returned) ? returned : [returned];
}

export function show(results: readonly unknown[]): string {
  return `[${results.map((value) => (Object.is(value, -0) ? "-0" : typeof value === "function" ? "function" : String(value))).join(", ")}]`;
}

function floatOf(type: "f32" | "f64", bits: string): number {
  if (bits.startsWith("nan")) {
    return Number.NaN;
  }
  const view = new DataView(new ArrayBuffer(8));
  if (type === "f32") {
    view.setUint32(0, Number(bits));
    return view.getFloat32(0);
  }
  view.setBigUint64(0, BigInt(bits));
  return view.getFloat64(0);
}
