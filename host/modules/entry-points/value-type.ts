/** Types of what typed entry points take and return, as AssemblyScript has them. */

/** Whole numbers that JSON has as numbers. */
export const INTEGERS = {
  i8: { min: -128, max: 127, sizeBytes: 1 },
  u8: { min: 0, max: 255, sizeBytes: 1 },
  i16: { min: -32_768, max: 32_767, sizeBytes: 2 },
  u16: { min: 0, max: 65_535, sizeBytes: 2 },
  i32: { min: -2_147_483_648, max: 2_147_483_647, sizeBytes: 4 },
  u32: { min: 0, max: 4_294_967_295, sizeBytes: 4 },
} as const;

/** Those that JSON has as numbers or, beyond ±(2^53 − 1), as decimal texts. */
export const LONG_INTEGERS = {
  i64: { min: -(2n ** 63n), max: 2n ** 63n - 1n },
  u64: { min: 0n, max: 2n ** 64n - 1n },
} as const;

export type IntegerKind = keyof typeof INTEGERS;
export type LongKind = keyof typeof LONG_INTEGERS;
export type FloatKind = "f32" | "f64";
export type PlainKind = IntegerKind | LongKind | FloatKind | "bool" | "string";
export type ListKind = "array" | "staticArray" | "typedArray";

export interface PlainType {
  readonly kind: PlainKind;
}

export interface ListType {
  readonly kind: ListKind;
  /** As the runtime of the module knows it. */
  readonly id: number;
  readonly of: ValueType;
}

export interface ClassType {
  readonly kind: "class";
  readonly name: string;
  readonly id: number;
  readonly sizeBytes: number;
  readonly fields: readonly FieldType[];
}

export interface FieldType {
  readonly name: string;
  readonly offset: number;
  readonly type: ValueType;
}

/** Of a reference. */
export interface NullableType {
  readonly kind: "nullable";
  readonly of: ValueType;
}

export type ValueType = PlainType | ListType | ClassType | NullableType;

export function isInteger(kind: ValueType["kind"]): kind is IntegerKind {
  return Object.hasOwn(INTEGERS, kind);
}

export function isLong(kind: ValueType["kind"]): kind is LongKind {
  return Object.hasOwn(LONG_INTEGERS, kind);
}

export function isFloat(kind: ValueType["kind"]): kind is FloatKind {
  return kind === "f32" || kind === "f64";
}

export function isList(type: ValueType): type is ListType {
  return type.kind === "array" || type.kind === "staticArray" || type.kind === "typedArray";
}

/** Whether a value of the type is a pointer. */
export function isReference({ kind }: ValueType): boolean {
  return !isInteger(kind) && !isLong(kind) && !isFloat(kind) && kind !== "bool";
}

/** What WebAssembly passes. */
export function wasmType({ kind }: ValueType): "i32" | "i64" | "f32" | "f64" {
  return isLong(kind) ? "i64" : isFloat(kind) ? kind : "i32";
}

/** In memory. */
export function sizeOf({ kind }: ValueType): 1 | 2 | 4 | 8 {
  if (isInteger(kind)) {
    return INTEGERS[kind].sizeBytes;
  }
  return kind === "bool" ? 1 : isLong(kind) || kind === "f64" ? 8 : 4;
}

const TYPED_ARRAYS: Readonly<Record<string, string>> = {
  i8: "Int8Array",
  u8: "Uint8Array",
  i16: "Int16Array",
  u16: "Uint16Array",
  i32: "Int32Array",
  u32: "Uint32Array",
  i64: "Int64Array",
  u64: "Uint64Array",
  f32: "Float32Array",
  f64: "Float64Array",
};

/** Whether there is a typed array of such elements. */
export function hasTypedArray({ kind }: ValueType): boolean {
  return Object.hasOwn(TYPED_ARRAYS, kind);
}

/** As its author has written it: "Array<Item | null>". */
export function typeText(type: ValueType): string {
  switch (type.kind) {
    case "array":
      return `Array<${typeText(type.of)}>`;
    case "staticArray":
      return `StaticArray<${typeText(type.of)}>`;
    case "typedArray":
      return TYPED_ARRAYS[type.of.kind] ?? "typed array";
    case "class":
      return type.name;
    case "nullable":
      return `${typeText(type.of)} | null`;
    default:
      return type.kind;
  }
}
