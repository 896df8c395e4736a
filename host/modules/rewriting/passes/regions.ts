/**
 * Puts the accesses to memory regions into the module: each imported function of them becomes one of its own, whose body finds the
 * region in the handle table at the head of the tenant's shared memory (state/regions/arena.ts), checks the bounds and does the access.
 * Calls need no rewriting, and the engine inlines what they call.
 *
 *     f64_load(handle, offset):
 *       if (handle >= HANDLES_MAX) fault(handle, offset, 8)
 *       entry = i64 at arena[handle * 8]                              // size in the upper half, base in the lower
 *       if (i64(offset) + 8 > entry >> 32) fault(handle, offset, 8)   // unsigned, in 64 bits: nothing wraps
 *       return f64 at arena[i32(entry) + offset]
 *
 * 1. Nothing reaches the shared memory but through these bodies: no guest can read or write the handle table, grow the memory or wait
 *    in it (H21, H23).
 * 2. An access that does not hit the region calls the host, which does not return.
 * 3. A copy goes in pieces, between which the guest can be stopped.
 */
import binaryen from "binaryen";
import { HANDLES_MAX } from "../../../../state/regions/index.ts";
import { ARENA_IMPORT, REGION_MODULE, REWRITING_MODULE } from "../../artefact.ts";

export const FAULT_IMPORT = "region_fault";

const ARENA = `${REWRITING_MODULE}.${ARENA_IMPORT}`;
const FAULT = `${REWRITING_MODULE}.${FAULT_IMPORT}`;
const PIECE_BYTES = 1024 * 1024;
const { i32, i64, f32, f64, none } = binaryen;
const TYPES = { i32, i64, f32, f64 } as const;

type Module = binaryen.Module;
type Expression = binaryen.ExpressionRef;
type TypeName = keyof typeof TYPES;
type Access = (offset: number, align: number, at: Expression, ...rest: (Expression | string)[]) => Expression;
type AtomicAccess = (offset: number, at: Expression, ...rest: (Expression | string)[]) => Expression;

const PLAIN = /^(i32|i64|f32|f64)_((load|store)(8|16)?(_[su])?)$/;
const ATOMIC = /^(i32|i64)_atomic_(load|store|add|sub|and|or|xor|xchg|cmpxchg)$/;

export function regions(module: Module): void {
  const functions = Array.from({ length: module.getNumFunctions() }, (_, at) =>
    binaryen.getFunctionInfo(module.getFunctionByIndex(at)),
  );
  for (const { name, module: from, base, params, results } of functions) {
    const count = binaryen.expandType(params).length;
    const body = from === REGION_MODULE && base !== null ? bodyOf(module, base, count) : undefined;
    if (body !== undefined) {
      module.removeFunction(name);
      module.addFunction(name, params, results, [i64, i32], body);
    }
  }
  module.addFunctionImport(FAULT, REWRITING_MODULE, FAULT_IMPORT, binaryen.createType([i32, i32, i32]), none);
  // Only now: as long as there is one memory, binaryen needs no name for it, and what it is called only the upload knows.
  module.addMemoryImport(ARENA, REWRITING_MODULE, ARENA_IMPORT, true);
}

/** Undefined for an import that stays. @param entry  index of the first local behind the parameters, which will hold the table's entry */
function bodyOf(m: Module, name: string, entry: number): Expression | undefined {
  const plain = PLAIN.exec(name);
  if (plain !== null) {
    const [, type, instruction = "", kind, bits] = plain as unknown as [string, TypeName, string, string, string | undefined];
    const access = (m[type] as unknown as Record<string, Access>)[instruction];
    const bytes = bits === undefined ? sizeOf(type) : Number(bits) / 8;
    const value = kind === "load" ? [] : [m.local.get(2, TYPES[type])];
    // Aligned to 1: nothing is promised.
    const done = access?.(0, 1, address(m, entry), ...value, ARENA);
    return done && guarded(m, entry, () => m.i32.const(bytes), done, kind === "load" ? TYPES[type] : none);
  }
  const atomic = ATOMIC.exec(name);
  if (atomic !== null) {
    const [, type, operation = ""] = atomic as unknown as [string, "i32" | "i64", string];
    const operands = Array.from({ length: entry - 2 }, (_, at) => m.local.get(2 + at, TYPES[type]));
    const { rmw, load, store } = m[type].atomic as unknown as { rmw: Record<string, AtomicAccess> } & Record<
      string,
      AtomicAccess
    >;
    const access = { load, store }[operation] ?? rmw[operation];
    const done = access?.(0, address(m, entry), ...operands, ARENA);
    return done && guarded(m, entry, () => m.i32.const(sizeOf(type)), done, operation === "store" ? none : TYPES[type]);
  }
  switch (name) {
    case "size":
      return m.if(isNoHandle(m), m.i32.const(0), m.i32.wrap(m.i64.shr_u(loadEntry(m), m.i64.const(32n))));
    case "read":
      return inPieces(m, entry, true, (at, piece) => m.memory.copy(m.local.get(2, i32), at, piece, undefined, ARENA));
    case "write":
      return inPieces(m, entry, true, (at, piece) => m.memory.copy(at, m.local.get(2, i32), piece, ARENA, undefined));
    case "fill":
      return inPieces(m, entry, false, (at, piece) => m.memory.fill(at, m.local.get(2, i32), piece, ARENA));
    default:
      return undefined;
  }
}

/** (handle, offset, pointer or value, length). @param advances  the third parameter is a pointer, which goes along */
function inPieces(
  m: Module,
  entry: number,
  advances: boolean,
  move: (at: Expression, pieceBytes: Expression) => Expression,
): Expression {
  const OFFSET = 1;
  const POINTER = 2;
  const LENGTH = 3;
  const PIECE = entry + 1;
  const get = (index: number) => m.local.get(index, i32);
  const advance = (index: number) => m.local.set(index, m.i32.add(get(index), get(PIECE)));
  const isLast = m.i32.le_u(get(LENGTH), m.i32.const(PIECE_BYTES));
  const body = [
    m.local.set(PIECE, m.select(isLast, get(LENGTH), m.i32.const(PIECE_BYTES))),
    move(address(m, entry), get(PIECE)),
    advance(OFFSET),
    ...(advances ? [advance(POINTER)] : []),
    m.br_if("more", m.local.tee(LENGTH, m.i32.sub(get(LENGTH), get(PIECE)), i32)),
  ];
  return guarded(m, entry, () => get(LENGTH), m.loop("more", m.block(null, body)), none);
}

/** `access` of so many bytes, once they are known to be inside. */
function guarded(m: Module, entry: number, bytes: () => Expression, access: Expression, result: binaryen.Type): Expression {
  const fault = () => m.block(null, [m.call(FAULT, [m.local.get(0, i32), m.local.get(1, i32), bytes()], none), m.unreachable()]);
  const end = m.i64.add(m.i64.extend_u(m.local.get(1, i32)), m.i64.extend_u(bytes()));
  const size = m.i64.shr_u(m.local.get(entry, i64), m.i64.const(32n));
  const body = [m.if(isNoHandle(m), fault()), m.local.set(entry, loadEntry(m)), m.if(m.i64.gt_u(end, size), fault()), access];
  return m.block(null, body, result);
}

function isNoHandle(m: Module): Expression {
  return m.i32.ge_u(m.local.get(0, i32), m.i32.const(HANDLES_MAX));
}

function loadEntry(m: Module): Expression {
  return m.i64.load(0, 8, m.i32.shl(m.local.get(0, i32), m.i32.const(3)), ARENA);
}

/** Where the access goes: base + offset, which a region of at most 2 GiB below 2 GiB keeps below 4 GiB. */
function address(m: Module, entry: number): Expression {
  return m.i32.add(m.i32.wrap(m.local.get(entry, i64)), m.local.get(1, i32));
}

function sizeOf(type: TypeName): number {
  return type.endsWith("64") ? 8 : 4;
}
