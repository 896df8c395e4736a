/** The instructions that read or write at an address: what they take and give. By the binary format of WebAssembly, with SIMD and threads. */
import type { MemoryAccess } from "../../instructions.ts";
import { unsignedLeb } from "../../leb.ts";

const [i32, i64, f32, f64, v128] = [0x7f, 0x7e, 0x7d, 0x7c, 0x7b];
const [SIMD, ATOMIC] = [0xfd, 0xfe];

export interface AccessType {
  /** Value types, behind the address. */
  readonly operands: readonly number[];
  readonly result: number | undefined;
  /** As an exponent of 2: what it must be for atomics, and what promises nothing for others. */
  readonly align: number;
  /** It may block its thread. */
  readonly waits: boolean;
  /** Its bytes, with offset 0. */
  readonly instruction: (align: number, memory: number) => readonly number[];
}

const FIRST_LOAD = 0x28;
const LOADS = [i32, i64, f32, f64, i32, i32, i32, i32, i64, i64, i64, i64, i64, i64];
const FIRST_STORE = FIRST_LOAD + LOADS.length;
const STORES = [i32, i64, f32, f64, i32, i32, i64, i64, i64];
/** Types and alignments of atomics, in the order of each operation's variants. */
const ATOMIC_TYPES = [i32, i64, i32, i32, i64, i64, i64];
const ATOMIC_ALIGNS = [2, 3, 0, 1, 0, 1, 2];
const [FIRST_ATOMIC_LOAD, FIRST_ATOMIC_STORE, FIRST_ATOMIC_CHANGE, FIRST_COMPARE, BEHIND_ATOMICS] = [
  0x10, 0x17, 0x1e, 0x48, 0x4f,
];
const SIMD_STORE = 11;
const [FIRST_LOAD_LANE, FIRST_STORE_LANE, BEHIND_STORE_LANE] = [84, 88, 92];

/** Undefined for an instruction that is not known. */
export function accessType({ opcode, sub, lane }: Pick<MemoryAccess, "opcode" | "sub" | "lane">): AccessType | undefined {
  const prefix = opcode === SIMD || opcode === ATOMIC ? [opcode, sub] : [opcode];
  const suffix = lane === undefined ? [] : [lane];
  const of = (operands: readonly (number | undefined)[], result: number | undefined, align = 0, waits = false): AccessType => ({
    operands: operands.filter((type) => type !== undefined),
    ...{ result, align, waits },
    instruction: (alignment, memory) => [...prefix, alignment, ...unsignedLeb(memory), 0, ...suffix],
  });
  if (opcode === SIMD) {
    if (sub >= FIRST_LOAD_LANE && sub < FIRST_STORE_LANE) {
      return of([v128], v128);
    }
    return (sub >= FIRST_STORE_LANE && sub < BEHIND_STORE_LANE) || sub === SIMD_STORE ? of([v128], undefined) : of([], v128);
  }
  if (opcode === ATOMIC) {
    switch (sub) {
      case 0: // memory.atomic.notify
        return of([i32], i32, 2);
      case 1: // memory.atomic.wait32
        return of([i32, i64], i32, 2, true);
      case 2: // memory.atomic.wait64
        return of([i64, i64], i32, 3, true);
    }
    const variant = (sub - FIRST_ATOMIC_LOAD) % ATOMIC_TYPES.length;
    const [type, align] = [ATOMIC_TYPES[variant], ATOMIC_ALIGNS[variant]];
    if (sub < FIRST_ATOMIC_LOAD || sub >= BEHIND_ATOMICS) {
      return undefined;
    }
    if (sub < FIRST_ATOMIC_STORE) {
      return of([], type, align);
    }
    if (sub < FIRST_ATOMIC_CHANGE) {
      return of([type], undefined, align);
    }
    return of(sub < FIRST_COMPARE ? [type] : [type, type], type, align);
  }
  return opcode < FIRST_STORE ? of([], LOADS[opcode - FIRST_LOAD]) : of([STORES[opcode - FIRST_STORE]], undefined);
}
