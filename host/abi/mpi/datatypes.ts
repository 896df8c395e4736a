/** MPI's datatypes, by the numbers of guest-sdk/include/mpi.h. All are contiguous, so that values travel as the bytes they are. */

/** How the values of a type are combined. */
export type Values = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Floats | BigValues;
export type Floats = Float32Array | Float64Array;
export type BigValues = BigInt64Array | BigUint64Array;

export interface Datatype {
  readonly name: string;
  /** From one element to the next. */
  readonly extentBytes: number;
  /** Of what means something in an element. */
  readonly sizeBytes: number;
  /** What an element is; null for one that is combined by functions of the guest only. */
  readonly kind: ValueKind | PairKind | null;
}

export type ValueKind = "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64" | "u64" | "f32" | "f64";
/** A value and an i32, which tells where it is. */
export type PairKind = "2i32" | "f32i32" | "f64i32";

const NAMED: readonly (readonly [name: string, kind: ValueKind | PairKind, sizeBytes: number, extentBytes?: number])[] = [
  ["MPI_CHAR", "i8", 1],
  ["MPI_UNSIGNED_CHAR", "u8", 1],
  ["MPI_BYTE", "u8", 1],
  ["MPI_SHORT", "i16", 2],
  ["MPI_UNSIGNED_SHORT", "u16", 2],
  ["MPI_INT", "i32", 4],
  ["MPI_UNSIGNED", "u32", 4],
  ["MPI_LONG_LONG", "i64", 8],
  ["MPI_UNSIGNED_LONG_LONG", "u64", 8],
  ["MPI_FLOAT", "f32", 4],
  ["MPI_DOUBLE", "f64", 8],
  ["MPI_2INT", "2i32", 8],
  ["MPI_FLOAT_INT", "f32i32", 8],
  ["MPI_DOUBLE_INT", "f64i32", 12, 16],
];

/** From 1 on. */
const PREDEFINED: readonly Datatype[] = NAMED.map(([name, kind, sizeBytes, extentBytes = sizeBytes]) => ({
  ...{ name, kind, sizeBytes, extentBytes },
}));
/** Numbers of derived types begin here. */
const FIRST_DERIVED = 64;
/** A guest cannot have more of them at once. */
export const DERIVED_MAX = 1024;

/** The types of one call. */
export class Datatypes {
  readonly #derived = new Map<number, Datatype>();
  #next = FIRST_DERIVED;

  get(number: number): Datatype | undefined {
    return PREDEFINED[number - 1] ?? this.#derived.get(number);
  }

  /** `count` elements as one. @returns its number; null when there are too many types */
  contiguous(count: number, of: Datatype): number | null {
    if (this.#derived.size >= DERIVED_MAX) {
      return null;
    }
    const number = this.#next;
    this.#next += 1;
    this.#derived.set(number, {
      name: `${count} × ${of.name}`,
      extentBytes: count * of.extentBytes,
      sizeBytes: count * of.sizeBytes,
      kind: null,
    });
    return number;
  }

  /** False when it is no derived type. */
  free(number: number): boolean {
    return this.#derived.delete(number);
  }
}
