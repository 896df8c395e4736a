/**
 * One pass over the instructions of a module, which finds what this host refuses.
 *
 * Owns: where each instruction begins and ends, that blocks are closed where their function ends, and the refusal of
 *  - relaxed SIMD, whose results differ between machines, so that a replay could differ (F24);
 *  - instructions that change a table or drop a segment: with them refused, memory and mutable globals are all the state that an
 *    instance has, so that a snapshot, a reset and a delta are complete. Where `dataDrop` is visited it becomes nothing (preparation.ts);
 *  - garbage-collected objects, and every instruction it does not know, as these could hold such state too.
 * It also finds the bulk instructions that are to be done in pieces (`bulk-memory.ts`).
 * Does not own: types and indices, which the engine checks.
 */
import { NeapError } from "../../state/errors.ts";
import { type BulkInstruction, SMALL_BYTES } from "./bulk-memory.ts";
import { MODULE_CAPS } from "./module-caps.ts";
import type { ModuleReader } from "./module-reader.ts";
import type { FunctionBody, Span } from "./module-shape.ts";

/** What follows an opcode. */
const Operands = {
  none: 0,
  unknown: 1,
  /** One LEB128 number. */
  one: 2,
  callIndirect: 3,
  /** Alignment, perhaps a memory, and an offset. */
  address: 4,
  blockType: 5,
  branchTable: 6,
  bytes4: 7,
  bytes8: 8,
  types: 9,
  tryTable: 10,
  end: 11,
  delegate: 12,
  bulk: 13,
  simd: 14,
  atomic: 15,
  tableChange: 16,
} as const;

const OPERANDS: Uint8Array = operandsByOpcode();

function operandsByOpcode(): Uint8Array {
  const table = new Uint8Array(256).fill(Operands.unknown);
  const set = (operands: number, ...ranges: (number | readonly [number, number])[]) => {
    for (const range of ranges) {
      const [first, last] = typeof range === "number" ? [range, range] : range;
      table.fill(operands, first, last + 1);
    }
  };
  set(Operands.none, 0x00, 0x01, 0x05, 0x0a, 0x0f, 0x19, 0x1a, 0x1b, [0x45, 0xc4], 0xd1, 0xd4);
  set(Operands.one, 0x07, 0x08, 0x09, 0x0c, 0x0d, 0x10, 0x12, 0x14, 0x15, [0x20, 0x25], [0x3f, 0x42], 0xd0, 0xd2, 0xd5, 0xd6);
  set(Operands.callIndirect, 0x11, 0x13);
  set(Operands.address, [0x28, 0x3e]);
  set(Operands.blockType, 0x02, 0x03, 0x04, 0x06);
  set(Operands.branchTable, 0x0e);
  set(Operands.bytes4, 0x43);
  set(Operands.bytes8, 0x44);
  set(Operands.types, 0x1c);
  set(Operands.tryTable, 0x1f);
  set(Operands.end, 0x0b);
  set(Operands.delegate, 0x18);
  set(Operands.tableChange, 0x26);
  set(Operands.bulk, 0xfc);
  set(Operands.simd, 0xfd);
  set(Operands.atomic, 0xfe);
  return table;
}

const LOOP = 0x03;
const CATCH = 0x07;
const CALL = 0x10;
const I32_CONST = 0x41;
const RETURN_CALL = 0x12;
const CALL_REF = 0x14;
const RETURN_CALL_REF = 0x15;
const REF_NULL_TYPE = 0x63;
const REF_TYPE = 0x64;
const FIRST_RELAXED_SIMD = 0x100;
const DATA_DROP = 9;
const BULK_KINDS_BY_CODE: Readonly<Record<number, BulkInstruction["kind"]>> = { 8: "init", 10: "copy", 11: "fill" };
const BULK_NAMES: Readonly<Record<number, string>> = {
  [DATA_DROP]: "data.drop",
  12: "table.init",
  13: "elem.drop",
  14: "table.copy",
  15: "table.grow",
  17: "table.fill",
};

/** An instruction that reads or writes at an address on the stack. */
export interface MemoryAccess extends Span {
  readonly opcode: number;
  /** Behind the opcodes of SIMD and atomics; else 0. */
  readonly sub: number;
  /** Of the SIMD instructions for one lane; else undefined. */
  readonly lane: number | undefined;
  readonly memory: number;
  /** Added to the address. */
  readonly offset: number;
}

/** Told of what a body does, in order. */
export interface BodyVisitor {
  /** Calls the function of this index, perhaps instead of returning. */
  readonly call?: (functionIndex: number) => void;
  /** Calls through a table a function of the type of this index. */
  readonly callIndirect?: (typeIndex: number) => void;
  /** Calls a function by reference. */
  readonly callReference?: () => void;
  /** A loop's own instructions begin at this offset. */
  readonly loop?: (offset: number) => void;
  /** Each data.drop, which is refused without it. */
  readonly dataDrop?: (span: Span) => void;
  /** Each memory.fill and memory.copy that may be of more than SMALL_BYTES. */
  readonly bulk?: (instruction: BulkInstruction) => void;
  /** Each of the bulk instructions, whatever its length. */
  readonly anyBulk?: (instruction: BulkInstruction) => void;
  readonly access?: (access: MemoryAccess) => void;
  /**
   * Each instruction but the last end. `operand`: of a call the index of the function, or of its type; of a block its type, where negative numbers are types of one
   * value or none; of a branch how many targets it has; of a catch its tag; behind a prefix the rest of the opcode; else nothing that counts.
   */
  readonly instruction?: (opcode: number, operand: number) => void;
}

/**
 * @throws MODULE_INVALID for broken or unknown instructions, MODULE_LIMIT for those this host refuses; both name the offset
 */
export function scanBody(bytes: Uint8Array, body: FunctionBody, visitor: BodyVisitor = {}): void {
  const end = scan(bytes, body.start, body.end, "code section", visitor);
  if (end !== body.end) {
    throw invalid("code section", end, `${body.end - end} bytes follow the end of the function`);
  }
}

/** Moves the reader behind a constant expression. */
export function skipConstantExpression(reader: ModuleReader): void {
  reader.offset = scan(reader.bytes, reader.offset, reader.end, reader.what, {});
}

/** Returns where the outermost block has ended. Operands are skipped without looking whether they go past `limit`: the loop does. */
function scan(bytes: Uint8Array, start: number, limit: number, what: string, visitor: BodyVisitor): number {
  let at = start;
  let previousAt = start;
  let depth = 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80 || at > limit) {
        return value;
      }
    }
  };
  const skipNumber = () => {
    while ((bytes[at++] ?? 0) >= 0x80) {}
  };
  const skipAddress = () => {
    const alignment = bytes[at] ?? 0;
    skipNumber();
    if ((alignment & 0x40) !== 0) {
      skipNumber();
    }
    skipNumber();
  };
  /** With a visitor for it, tells of the access whose address follows. */
  const address = (opcodeAt: number, opcode: number, sub: number, hasLane = false) => {
    if (visitor.access === undefined) {
      skipAddress();
      at += hasLane ? 1 : 0;
      return;
    }
    const memory = (number() & 0x40) !== 0 ? number() : 0;
    const offset = number();
    const lane = hasLane ? bytes[at++] : undefined;
    visitor.access({ opcode, sub, lane, memory, offset, start: opcodeAt, end: at });
  };
  /** Moves behind a block's type, and returns it. */
  const blockType = (): number => {
    const first = bytes[at] ?? 0;
    // A signed number of one byte, or of more.
    if (first < 0x80 && (first & 0x40) !== 0) {
      skipType();
      return first - 0x80;
    }
    return number();
  };
  const skipType = () => {
    const type = bytes[at] ?? 0;
    if (type === REF_NULL_TYPE || type === REF_TYPE) {
      at += 1;
    }
    skipNumber();
  };
  /** The length of a vector of entries of at least one byte. */
  const length = () => {
    const value = number();
    if (value > limit - at) {
      throw invalid(what, at, `truncated: an instruction says ${value} operands, ${Math.max(0, limit - at)} bytes are left`);
    }
    return value;
  };

  while (at < limit) {
    const opcodeAt = at;
    const opcode = bytes[at++] ?? 0;
    let operand = 1;
    switch (OPERANDS[opcode]) {
      case Operands.none:
        break;
      case Operands.one:
        if (opcode === CALL || opcode === RETURN_CALL) {
          operand = number();
          visitor.call?.(operand);
        } else if (opcode === CALL_REF || opcode === RETURN_CALL_REF) {
          operand = number();
          visitor.callReference?.();
        } else if (opcode === CATCH) {
          operand = number();
        } else {
          skipNumber();
        }
        break;
      case Operands.callIndirect:
        operand = number();
        skipNumber();
        visitor.callIndirect?.(operand);
        break;
      case Operands.address:
        address(opcodeAt, opcode, 0);
        break;
      case Operands.blockType:
        operand = blockType();
        depth += 1;
        if (opcode === LOOP) {
          visitor.loop?.(at);
        }
        break;
      case Operands.end:
        if (depth === 0) {
          return at;
        }
        depth -= 1;
        break;
      case Operands.delegate:
        skipNumber();
        depth -= 1;
        break;
      case Operands.branchTable:
        operand = length() + 1;
        for (let left = operand; left > 0; left--) {
          skipNumber();
        }
        break;
      case Operands.bytes4:
        at += 4;
        break;
      case Operands.bytes8:
        at += 8;
        break;
      case Operands.types:
        for (let left = length(); left > 0; left--) {
          skipType();
        }
        break;
      case Operands.tryTable:
        operand = blockType();
        depth += 1;
        for (let left = length(); left > 0; left--) {
          // catch and catch_ref name a tag, catch_all and catch_all_ref do not
          if ((bytes[at++] ?? 0) < 2) {
            skipNumber();
          }
          skipNumber();
        }
        break;
      case Operands.bulk: {
        const operation = number();
        operand = operation;
        if (operation === DATA_DROP && visitor.dataDrop !== undefined) {
          skipNumber();
          visitor.dataDrop({ start: opcodeAt, end: at });
          break;
        }
        const operands = Array.from({ length: bulkOperands(operation, opcodeAt, what) }, number);
        const kind = BULK_KINDS_BY_CODE[operation];
        if (kind !== undefined && (visitor.bulk !== undefined || visitor.anyBulk !== undefined)) {
          const [segment = 0, ...memories] = kind === "init" ? operands : [0, ...operands];
          const found = { kind, segment, memories, start: opcodeAt, end: at };
          visitor.anyBulk?.(found);
          if (!isSmallConstant(bytes, previousAt)) {
            visitor.bulk?.(found);
          }
        }
        break;
      }
      case Operands.simd: {
        const sub = number();
        operand = sub;
        if (sub >= FIRST_RELAXED_SIMD) {
          throw refused(what, opcodeAt, "relaxed SIMD, whose results differ between machines, is not allowed");
        }
        if (sub <= 11 || sub === 92 || sub === 93) {
          address(opcodeAt, opcode, sub);
        } else if (sub >= 84 && sub <= 91) {
          address(opcodeAt, opcode, sub, true);
        } else if (sub === 12 || sub === 13) {
          at += 16;
        } else if (sub >= 21 && sub <= 34) {
          at += 1;
        }
        break;
      }
      case Operands.atomic: {
        // atomic.fence has one byte, all others an address
        const sub = number();
        operand = sub;
        if (sub === 3) {
          at += 1;
        } else {
          address(opcodeAt, opcode, sub);
        }
        break;
      }
      case Operands.tableChange:
        throw tableChange(what, opcodeAt, "table.set");
      default:
        throw invalid(what, opcodeAt, `this host does not know the instruction 0x${opcode.toString(16)}`);
    }
    visitor.instruction?.(opcode, operand);
    previousAt = opcodeAt;
    if (depth < 0 || depth > MODULE_CAPS.nesting) {
      throw depth < 0
        ? invalid(what, opcodeAt, "a block ends that was not begun")
        : refused(what, opcodeAt, `blocks are nested more than ${MODULE_CAPS.nesting} deep`);
    }
  }
  throw invalid(what, limit, "truncated: the last instruction is not complete, or the final end is missing");
}

/** Whether the instruction at `at` is an i32.const of at most SMALL_BYTES: the length of the bulk instruction right behind it. */
function isSmallConstant(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== I32_CONST) {
    return false;
  }
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at + 1 + shift / 7] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) {
      const isNegative = (byte & 0x40) !== 0;
      return !isNegative && value <= SMALL_BYTES;
    }
  }
  return false;
}

/** How many LEB128 numbers follow the instruction 0xfc `sub`. */
function bulkOperands(sub: number, offset: number, what: string): number {
  const name = BULK_NAMES[sub];
  if (name !== undefined) {
    throw tableChange(what, offset, name);
  }
  if (sub <= 7) {
    return 0;
  }
  switch (sub) {
    case 8: // memory.init
    case 10: // memory.copy
      return 2;
    case 11: // memory.fill
    case 16: // table.size
      return 1;
    default:
      throw invalid(what, offset, `this host does not know the instruction 0xfc ${sub}`);
  }
}

function tableChange(what: string, offset: number, name: string): NeapError {
  return refused(what, offset, `${name} is not allowed: tables and segments must stay as they are, as no snapshot holds them`);
}

function invalid(what: string, offset: number, text: string): NeapError {
  return new NeapError("MODULE_INVALID", `${what} at offset ${offset}: ${text}`);
}

function refused(what: string, offset: number, text: string): NeapError {
  return new NeapError("MODULE_LIMIT", `${what} at offset ${offset}: ${text}`);
}
