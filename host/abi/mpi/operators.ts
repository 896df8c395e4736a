/** MPI's predefined operations on values, by the numbers of guest-sdk/include/mpi.h. */
import type { PairKind, ValueKind } from "./datatypes.ts";

/** Puts `lower` and `higher` together, element by element, into `higher`: aligned bytes of the same length. */
export type Combine = (lower: Uint8Array, higher: Uint8Array) => void;

const OPERATORS = ["MAX", "MIN", "SUM", "PROD", "LAND", "BAND", "LOR", "BOR", "LXOR", "BXOR", "MINLOC", "MAXLOC"] as const;
type Operator = (typeof OPERATORS)[number];

/** Numbers of operations that the guest has made begin here. */
export const FIRST_OWN_OPERATOR = 64;
export const REPLACE = 13;

export function operatorName(number: number): string | undefined {
  const name = OPERATORS[number - 1];
  return name === undefined ? undefined : `MPI_${name}`;
}

type Of<T> = Partial<Record<Operator, (lower: T, higher: T) => T>>;

const truth = (yes: boolean): number => (yes ? 1 : 0);

const COMPARED: Of<number> = { MAX: Math.max, MIN: Math.min };
const FLOATS: Of<number> = { ...COMPARED, SUM: (a, b) => a + b, PROD: (a, b) => a * b };
/** What is stored wraps around by itself. */
const INTEGERS: Of<number> = {
  ...COMPARED,
  SUM: (a, b) => a + b,
  PROD: (a, b) => Math.imul(a, b),
  LAND: (a, b) => truth(a !== 0 && b !== 0),
  LOR: (a, b) => truth(a !== 0 || b !== 0),
  LXOR: (a, b) => truth((a !== 0) !== (b !== 0)),
  BAND: (a, b) => a & b,
  BOR: (a, b) => a | b,
  BXOR: (a, b) => a ^ b,
};
const bigTruth = (yes: boolean): bigint => (yes ? 1n : 0n);
function larger(a: bigint, b: bigint): bigint {
  if (a > b) {
    return a;
  }
  return b;
}
const BIG_INTEGERS: Of<bigint> = {
  MAX: (a, b) => larger(a, b),
  MIN: (a, b) => -larger(-a, -b),
  SUM: (a, b) => a + b,
  PROD: (a, b) => a * b,
  LAND: (a, b) => bigTruth(a !== 0n && b !== 0n),
  LOR: (a, b) => bigTruth(a !== 0n || b !== 0n),
  LXOR: (a, b) => bigTruth((a !== 0n) !== (b !== 0n)),
  BAND: (a, b) => a & b,
  BOR: (a, b) => a | b,
  BXOR: (a, b) => a ^ b,
};

const NUMBERS = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;
const BIG_NUMBERS = { i64: BigInt64Array, u64: BigUint64Array } as const;
/** Bytes of a pair, and how its value is read. */
const PAIRS = {
  "2i32": { extentBytes: 8, intAt: 4, read: (view: DataView, at: number) => view.getInt32(at, true) },
  f32i32: { extentBytes: 8, intAt: 4, read: (view: DataView, at: number) => view.getFloat32(at, true) },
  f64i32: { extentBytes: 16, intAt: 8, read: (view: DataView, at: number) => view.getFloat64(at, true) },
} as const;

/** @returns null when the operation is not defined for such values */
export function combineOf(number: number, kind: ValueKind | PairKind): Combine | null {
  const operator = OPERATORS[number - 1];
  if (operator === undefined) {
    return null;
  }
  switch (kind) {
    case "2i32":
    case "f32i32":
    case "f64i32":
      return operator === "MINLOC" || operator === "MAXLOC" ? combinePairs(kind, operator) : null;
    case "i64":
    case "u64":
      return elementwise(BIG_NUMBERS[kind], BIG_INTEGERS[operator]);
    default:
      return elementwise(NUMBERS[kind], (kind === "f32" || kind === "f64" ? FLOATS : INTEGERS)[operator]);
  }
}

interface ArrayOf<T> {
  readonly length: number;
  [at: number]: T;
}

function elementwise<T>(
  Elements: { new (buffer: ArrayBufferLike, offset: number, length: number): ArrayOf<T>; readonly BYTES_PER_ELEMENT: number },
  combine: ((lower: T, higher: T) => T) | undefined,
): Combine | null {
  if (combine === undefined) {
    return null;
  }
  return (lower, higher) => {
    const count = higher.byteLength / Elements.BYTES_PER_ELEMENT;
    const from = new Elements(lower.buffer, lower.byteOffset, count);
    const to = new Elements(higher.buffer, higher.byteOffset, count);
    for (let at = 0; at < count; at += 1) {
      to[at] = combine(from[at] as T, to[at] as T);
    }
  };
}

/** Of two equal values the one that is further in front counts. */
function combinePairs(kind: PairKind, operator: "MINLOC" | "MAXLOC"): Combine {
  const { extentBytes, intAt, read } = PAIRS[kind];
  return (lower, higher) => {
    const from = new DataView(lower.buffer, lower.byteOffset, lower.byteLength);
    const to = new DataView(higher.buffer, higher.byteOffset, higher.byteLength);
    for (let at = 0; at < higher.byteLength; at += extentBytes) {
      const [a, b] = [read(from, at), read(to, at)];
      const isInFront = from.getInt32(at + intAt, true) < to.getInt32(at + intAt, true);
      const wins = a === b ? isInFront : operator === "MINLOC" ? a < b : a > b;
      if (wins) {
        higher.set(lower.subarray(at, at + extentBytes), at);
      }
    }
  };
}
