/**
 * Lets the guest's own loads and stores reach memory regions (H22): addresses from ALIAS_BASE on are those of the tenant's shared memory
 * of regions. Each instruction with an address becomes a call of a function that is put behind the module's own, one for each kind:
 *
 *     i32_load(address, offset):
 *       at = i64(address) + i64(offset)
 *       if (at is between ALIAS_BASE + one page and 2^32) return i32 at arena[at - ALIAS_BASE]
 *       return i32 at memory[at]                                       // beyond 2^32: an address that is out of bounds
 *
 * 1. The module's own memory ends at ALIAS_BASE at most, so that an address is of one of them only.
 * 2. The handle table in the first page of the shared memory is reached by none of them, and nobody waits in it (H21, H23).
 * 3. Copies and fills that touch the shared memory go in pieces, between which the guest can be stopped.
 *
 * memory.init writes into the module's own memory only.
 */
import { ALIAS_BASE, ARENA_IMPORT, REWRITING_MODULE } from "../../artefact.ts";
import { type BulkInstruction, PIECE_BYTES } from "../../bulk-memory.ts";
import { type MemoryAccess, scanBody } from "../../instructions.ts";
import { i32Leb, signedLeb, unsignedLeb } from "../../leb.ts";
import { guestMemory, importedCount, type ModuleShape, type Span } from "../../module-shape.ts";
import { readSections } from "../../sections.ts";
import { ANY_CAPS, readModule, writeModule } from "../binary.ts";
import { withFunctions } from "../with-functions.ts";
import { type AccessType, accessType } from "./access-types.ts";

const PAGE_BYTES = 65_536;
const FIRST = ALIAS_BASE + PAGE_BYTES;
const SPAN = 2 ** 32 - FIRST;
/** Out of bounds of each memory, and aligned for each access. */
const NOWHERE = [0x41, 0x70]; // i32.const -16
const VOID = 0x40;
const I64 = 0x7e;
const I32 = 0x7f;
const [IF, ELSE, END, CALL, UNREACHABLE, SELECT] = [0x04, 0x05, 0x0b, 0x10, 0x00, 0x1b];
const [I32_CONST, I64_CONST, I32_WRAP, I64_EXTEND_U] = [0x41, 0x42, 0xa7, 0xad];
const [I64_ADD, I64_SUB, I64_LT_U, I64_GT_U] = [0x7c, 0x7d, 0x54, 0x56];
const [I32_ADD, I32_SUB, I32_OR, I32_SHR_U, I32_LE_U, I32_GE_U, I32_GT_U] = [0x6a, 0x6b, 0x72, 0x76, 0x4d, 0x4f, 0x4b];
const get = (local: number): number[] => [0x20, local];
const i32 = (value: number): number[] => [I32_CONST, ...i32Leb(value)];
const i64 = (value: number): number[] => [I64_CONST, ...signedLeb(value)];

export function aliases(bytes: Uint8Array): Uint8Array {
  const withArena = importsArena(readSections(bytes, ANY_CAPS)) ? bytes : addArena(bytes);
  const shape = readSections(withArena, ANY_CAPS);
  const isOwn = (memory: number) => memory === guestMemory(shape);
  const first = importedCount(shape, "function") + shape.functions.length;
  const added: { readonly key: string; readonly type: readonly number[]; readonly body: readonly number[] }[] = [];
  const indexOf = (key: string, make: (index: number) => { type: readonly number[]; body: readonly number[] }): number => {
    const known = added.findIndex((one) => one.key === key);
    if (known >= 0) {
      return first + known;
    }
    const index = first + added.length;
    added.push({ key, ...make(index) });
    return index;
  };
  const calls: (Span & { readonly by: readonly number[] })[] = [];
  const replace = ({ start, end }: Span, operands: readonly number[], index: number) =>
    calls.push({ start, end, by: [...operands, CALL, ...unsignedLeb(index)] });
  const memories = { own: guestMemory(shape), arena: arenaIndex(shape) };
  const access = (found: MemoryAccess) => {
    const type = isOwn(found.memory) ? accessType(found) : undefined;
    if (type !== undefined) {
      const key = `${found.opcode} ${found.sub} ${found.lane}`;
      replace(
        found,
        i32(found.offset),
        indexOf(key, () => accessFunction(type, memories)),
      );
    }
  };
  const anyBulk = (found: BulkInstruction) => {
    const { kind } = found;
    if (kind !== "init" && found.memories.every(isOwn)) {
      replace(
        found,
        [],
        indexOf(kind, (index) => ({ type: [0x60, 3, I32, I32, I32, 0], body: bulkBody(kind, index, memories) })),
      );
    }
  };
  for (const body of shape.bodies) {
    scanBody(withArena, body, { access, anyBulk });
  }
  return withFunctions(withArena, shape, calls, added);
}

interface Memories {
  readonly own: number;
  readonly arena: number;
}

function importsArena(shape: ModuleShape): boolean {
  return arenaIndex(shape) >= 0;
}

function arenaIndex({ imports }: ModuleShape): number {
  return imports
    .filter(({ kind }) => kind === "memory")
    .findIndex(({ module, name }) => module === REWRITING_MODULE && name === ARENA_IMPORT);
}

function addArena(bytes: Uint8Array): Uint8Array {
  const module = readModule(bytes);
  module.addMemoryImport(`${REWRITING_MODULE}.${ARENA_IMPORT}`, REWRITING_MODULE, ARENA_IMPORT, true);
  return writeModule(module);
}

/** (address, operands …, offset) → what the instruction gives. */
function accessFunction({ instruction, operands, result, align, waits }: AccessType, { own, arena }: Memories) {
  const offset = operands.length + 1;
  const at = offset + 1;
  const done = (memory: number, address: readonly number[]) => [
    ...address,
    ...operands.flatMap((_, index) => get(1 + index)),
    ...instruction(0x40 | align, memory),
  ];
  const isShared = [...get(at), ...i64(FIRST), I64_SUB, ...i64(SPAN), I64_LT_U];
  const sharedAddress = [...get(at), ...i64(ALIAS_BASE), I64_SUB, I32_WRAP];
  const ownAddress = [...NOWHERE, ...get(at), I32_WRAP, ...get(at), ...i64(0xffff_ffff), I64_GT_U, SELECT];
  const body = [
    ...[1, 1, I64],
    ...[...get(0), I64_EXTEND_U, ...get(offset), I64_EXTEND_U, I64_ADD, 0x21, at],
    ...isShared,
    ...[IF, result ?? VOID],
    ...(waits ? [UNREACHABLE] : done(arena, sharedAddress)),
    ELSE,
    ...done(own, ownAddress),
    ...[END, END],
  ];
  const params = [I32, ...operands, I32];
  return { type: [0x60, params.length, ...params, ...(result === undefined ? [0] : [1, result])], body };
}

const [TARGET, SOURCE, LENGTH] = [0, 1, 2];

/** (target, source or value, length). @param index  of the function itself */
function bulkBody(kind: "copy" | "fill", index: number, { own, arena }: Memories): number[] {
  const isCopy = kind === "copy";
  const self = [CALL, ...unsignedLeb(index)];
  const half = [...get(LENGTH), ...i32(1), I32_SHR_U];
  const later = (local: number) => [...get(local), ...half, I32_ADD];
  const firstHalf = [...get(TARGET), ...get(SOURCE), ...half, ...self];
  const secondHalf = [...later(TARGET), ...(isCopy ? later(SOURCE) : get(SOURCE)), ...get(LENGTH), ...half, I32_SUB, ...self];
  const halves = isCopy
    ? [...get(TARGET), ...get(SOURCE), I32_LE_U, IF, VOID, ...firstHalf, ...secondHalf, ELSE, ...secondHalf, ...firstHalf, END]
    : [...firstHalf, ...secondHalf];
  const isShared = (local: number) => [...get(local), ...i32Base, I32_GE_U];
  const address = (local: number, shared: boolean) => (shared ? [...get(local), ...i32Base, I32_SUB] : get(local));
  const check = (local: number) => [...address(local, true), ...i32(PAGE_BYTES), I32_GE_U, IF, VOID, ELSE, UNREACHABLE, END];
  const move = (target: boolean, source: boolean) => {
    const memories = isCopy ? [target ? arena : own, source ? arena : own] : [target ? arena : own];
    const checks = [...(target ? check(TARGET) : []), ...(source ? check(SOURCE) : [])];
    const operands = [...address(TARGET, target), ...address(SOURCE, source), ...get(LENGTH)];
    return [...checks, ...operands, 0xfc, isCopy ? 0x0a : 0x0b, ...memories.flatMap(unsignedLeb)];
  };
  const bySource = (target: boolean) =>
    isCopy ? [...isShared(SOURCE), IF, VOID, ...move(target, true), ELSE, ...move(target, false), END] : move(target, false);
  const piece = [...isShared(TARGET), IF, VOID, ...bySource(true), ELSE, ...bySource(false), END];
  const touches = isCopy ? [...isShared(TARGET), ...isShared(SOURCE), I32_OR] : isShared(TARGET);
  const inPieces = [...get(LENGTH), ...i32(PIECE_BYTES), I32_GT_U, IF, VOID, ...halves, ELSE, ...piece, END];
  return [0, ...touches, IF, VOID, ...inPieces, ELSE, ...move(false, false), END, END];
}

/** ALIAS_BASE as an i32. */
const i32Base = i32(ALIAS_BASE);
