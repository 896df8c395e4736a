/**
 * memory.fill, memory.copy and memory.init in pieces. The engine does not stop in the middle of one: over the 256 MiB that a function may have, a
 * fill takes a quarter of a second in which nobody can end its thread. Nor does it look at each turn of a loop whether it shall stop,
 * but every 13 million units of its tiering budget, some 100,000 turns, and where a function is entered. So each whose length is not
 * known to be small becomes a call of a function that halves what is too long and calls itself for both halves.
 *
 * 1. What is out of bounds traps before anything is written, as the instruction does: it is left to the instruction.
 * 2. Overlapping copies are as the instruction's: the half that the other one would overwrite comes first.
 */

import { signedLeb, unsignedLeb } from "./leb.ts";
import type { DataSegment } from "./module-shape.ts";

/** What is written between two looks at most: about a millisecond, most of it for pages that were not touched before. */
export const PIECE_BYTES = 1024 * 1024;
/** An instruction of a constant length up to this stays as it is: 100,000 of them in a loop take 10 ms. */
export const SMALL_BYTES = 1024;

/** An instruction, with the memory, and the segment, that it is about. */
export type BulkOperation =
  | { readonly kind: "fill" | "copy" }
  /** `segmentBytes`: what instantiation leaves of the data segment. */
  | { readonly kind: "init"; readonly segment: number; readonly segmentBytes: number };

/** An instruction in a function's body that is to become a call. */
export interface BulkInstruction {
  readonly kind: BulkOperation["kind"];
  /** Of memory.init: the data segment. */
  readonly segment: number;
  /** The indices of the memories that it names. */
  readonly memories: readonly number[];
  /** Of its bytes in the module. */
  readonly start: number;
  readonly end: number;
}

/** (i32, i32, i32) -> (): target; value or source; length. */
export const BULK_TYPE: readonly number[] = [0x60, 3, 0x7f, 0x7f, 0x7f, 0];

/** One for each function that is to be added: the same for equal instructions. */
export function bulkOperations(bulk: readonly BulkInstruction[], segments: readonly DataSegment[]): BulkOperation[] {
  const inits = new Set(bulk.filter(({ kind }) => kind === "init").map(({ segment }) => segment));
  const init = (segment: number): BulkOperation => {
    const { active = true, sizeBytes = 0 } = segments[segment] ?? {};
    return { kind: "init", segment, segmentBytes: active ? 0 : sizeBytes };
  };
  return [{ kind: "fill" }, { kind: "copy" }, ...Array.from(inits, init)];
}

const TARGET = 0;
const SOURCE = 1;
const LENGTH = 2;
const VOID = 0x40;
const CALL = 0x10;
const IF = 0x04;
const ELSE = 0x05;
const END = 0x0b;
const LE_U = 0x4d;
const ADD = 0x6a;
const SUB = 0x6b;
const OR = 0x72;
const SHR_U = 0x76;
const MEMORY_SIZE = 0x3f;
const I32_CONST = 0x41;
const I64_CONST = 0x42;
const I64_ADD = 0x7c;
const I64_SHL = 0x86;
const I64_GT_U = 0x56;
const I64_EXTEND_U = 0xad;
const get = (local: number): number[] => [0x20, local];
/** PIECE_BYTES as a signed LEB128 number. */
const PIECE = [0x80, 0x80, 0xc0, 0x00];

function instruction(operation: BulkOperation, memory: number): number[] {
  switch (operation.kind) {
    case "fill":
      return [0xfc, 0x0b, memory];
    case "copy":
      return [0xfc, 0x0a, memory, memory];
    case "init":
      return [0xfc, 0x08, ...unsignedLeb(operation.segment), memory];
  }
}

/** Whether local + length is beyond `end`, an i64: as an i32. */
const isBeyond = (local: number, end: readonly number[]): number[] => [
  ...[...get(local), I64_EXTEND_U, ...get(LENGTH), I64_EXTEND_U, I64_ADD],
  ...end,
  I64_GT_U,
];
const memoryEnd = (memory: number): number[] => [MEMORY_SIZE, memory, I64_EXTEND_U, I64_CONST, 16, I64_SHL];

/** Whether there is not as much to read as the length says, as an i32; nothing for what reads nothing. */
function isTooFar(operation: BulkOperation, memory: number): number[] {
  switch (operation.kind) {
    case "fill":
      return [];
    case "copy":
      return [...isBeyond(SOURCE, memoryEnd(memory)), OR];
    case "init":
      return [...isBeyond(SOURCE, [I64_CONST, ...signedLeb(operation.segmentBytes)]), OR];
  }
}
const half = [...get(LENGTH), I32_CONST, 1, SHR_U];

/** @param self  the call of the function itself */
function halves(kind: BulkOperation["kind"], self: readonly number[]): number[] {
  const first = [...get(TARGET), ...get(SOURCE), ...half, ...self];
  const source = kind === "fill" ? get(SOURCE) : [...get(SOURCE), ...half, ADD];
  const second = [...get(TARGET), ...half, ADD, ...source, ...get(LENGTH), ...half, SUB, ...self];
  const forwards = [...first, ...second];
  return kind !== "copy"
    ? forwards
    : [...get(TARGET), ...get(SOURCE), LE_U, IF, VOID, ...forwards, ELSE, ...second, ...first, END];
}

/**
 * A function's body, without its size: of BULK_TYPE, and no locals.
 * @param index  of the function, as a LEB128 number
 * @param memory  index of the memory, below 128
 */
export function bulkBody(operation: BulkOperation, index: readonly number[], memory: number): readonly number[] {
  const isWhole = [
    ...[...get(LENGTH), I32_CONST, ...PIECE, LE_U],
    ...[...isBeyond(TARGET, memoryEnd(memory)), OR],
    ...isTooFar(operation, memory),
  ];
  const whole = [...get(TARGET), ...get(SOURCE), ...get(LENGTH), ...instruction(operation, memory)];
  return [0, ...isWhole, IF, VOID, ...whole, ELSE, ...halves(operation.kind, [CALL, ...index]), END, END];
}
