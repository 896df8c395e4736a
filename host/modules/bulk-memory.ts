/**
 * memory.fill and memory.copy in pieces. The engine does not stop in the middle of one: over the 256 MiB that a function may have, a
 * fill takes a quarter of a second in which nobody can end its thread. So each whose length is not known to be small becomes a call of
 * a function that does the same in pieces, and can be stopped between them.
 *
 * 1. What is out of bounds traps before anything is written, as the instruction does: it is left to the instruction.
 * 2. Overlapping copies are as the instruction's: the pieces are taken from the end when the target is behind the source.
 */

/** What one instruction writes at most: about a millisecond, most of it for pages that were not touched before. */
export const PIECE_BYTES = 1024 * 1024;

export type BulkKind = "fill" | "copy";

/** An instruction in a function's body that is to become a call. */
export interface BulkInstruction {
  readonly kind: BulkKind;
  /** Of its bytes in the module. */
  readonly start: number;
  readonly end: number;
}

/** (i32, i32, i32) -> (): target; value or source; length. */
export const BULK_TYPE: readonly number[] = [0x60, 3, 0x7f, 0x7f, 0x7f, 0];
export const BULK_KINDS: readonly BulkKind[] = ["fill", "copy"];

const TARGET = 0;
const SOURCE = 1;
const LENGTH = 2;
const VOID = 0x40;
const LOOP = 0x03;
const IF = 0x04;
const ELSE = 0x05;
const END = 0x0b;
const BR_IF = 0x0d;
const RETURN = 0x0f;
const LE_U = 0x4d;
const GT_U = 0x4b;
const ADD = 0x6a;
const SUB = 0x6b;
const OR = 0x72;
const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const tee = (local: number): number[] => [0x22, local];
/** i32.const, as a signed LEB128 number: its highest bit is clear. */
const PIECE = [0x41, 0x80, 0x80, 0xc0, 0x00];

const OPERATION: Readonly<Record<BulkKind, readonly number[]>> = {
  fill: [0xfc, 0x0b, 0x00],
  copy: [0xfc, 0x0a, 0x00, 0x00],
};

/** Whether local + length is beyond the memory, as an i32. */
const isOutside = (local: number): number[] => [
  ...[...get(local), 0xad], // i64.extend_i32_u
  ...[...get(LENGTH), 0xad, 0x7c], // i64.add
  ...[0x3f, 0x00, 0xad, 0x42, 16, 0x86], // memory.size in bytes: i64.shl by 16
  0x56, // i64.gt_u
];
const advance = (local: number): number[] => [...get(local), ...PIECE, ADD, ...set(local)];
const again = [...get(LENGTH), ...PIECE, GT_U, BR_IF, 0];
const whole = (kind: BulkKind): number[] => [...get(TARGET), ...get(SOURCE), ...get(LENGTH), ...OPERATION[kind]];

/** Pieces from the front. */
const forwards = (kind: BulkKind): number[] => [
  ...[LOOP, VOID],
  ...[...get(TARGET), ...get(SOURCE), ...PIECE, ...OPERATION[kind]],
  ...advance(TARGET),
  ...(kind === "copy" ? advance(SOURCE) : []),
  ...[...get(LENGTH), ...PIECE, SUB, ...set(LENGTH)],
  ...again,
  END,
  ...whole(kind),
];

/** Pieces of a copy from the end. */
const backwards: readonly number[] = [
  ...[LOOP, VOID],
  ...[...get(TARGET), ...get(LENGTH), ...PIECE, SUB, ...tee(LENGTH), ADD],
  ...[...get(SOURCE), ...get(LENGTH), ADD, ...PIECE, ...OPERATION.copy],
  ...again,
  END,
  ...whole("copy"),
];

/** A function's body, without its size: BULK_TYPE, and no locals. */
export function bulkBody(kind: BulkKind): readonly number[] {
  const asItIs = [
    ...[...get(LENGTH), ...PIECE, LE_U],
    ...[...isOutside(TARGET), OR],
    ...(kind === "copy" ? [...isOutside(SOURCE), OR] : []),
  ];
  const pieces =
    kind === "fill"
      ? forwards("fill")
      : [...get(TARGET), ...get(SOURCE), LE_U, IF, VOID, ...forwards("copy"), ELSE, ...backwards, END];
  return [0, ...asItIs, IF, VOID, ...whole(kind), RETURN, END, ...pieces, END];
}
