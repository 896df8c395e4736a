/**
 * How much the engine has to do to compile a function, in one go and without a way to stop it, at the function's first call.
 *
 * Where control may come from two places, and at each call, the engine's baseline compiler goes through all locals and all values on the operand stack. So a
 * function of 32 KiB can keep it busy for minutes: 10,000 locals and 5,000 ifs take 3 s, 16,000 calls with 100 results each 50 s (measured, V8 14.6).
 * What is counted is what it goes through. The operand stack is as high as types say.
 */
import { NeapError } from "../../state/errors.ts";
import { type BodyVisitor, scanBody } from "./instructions.ts";
import { MODULE_CAPS } from "./module-caps.ts";
import type { ModuleShape } from "./module-shape.ts";

/** A unit is one local or value that a call goes through, about 2.5 ns; a branch does more with each. */
const BRANCH_UNITS = 8;
/** For what does not depend on locals and values. */
const INSTRUCTION_UNITS = 40;
const CALL_UNITS = 200;
/** Looks into a table, and compares types. */
const INDIRECT_CALL_UNITS = 1_000;

const UNREACHABLE = 0x00;
const BLOCK = 0x02;
const LOOP = 0x03;
const IF = 0x04;
const ELSE = 0x05;
const TRY = 0x06;
const CATCH = 0x07;
const THROW = 0x08;
const RETHROW = 0x09;
const THROW_REF = 0x0a;
const END = 0x0b;
const BR = 0x0c;
const BR_IF = 0x0d;
const BR_TABLE = 0x0e;
const RETURN = 0x0f;
const CALL = 0x10;
const CALL_INDIRECT = 0x11;
const RETURN_CALL = 0x12;
const RETURN_CALL_INDIRECT = 0x13;
const CALL_REF = 0x14;
const RETURN_CALL_REF = 0x15;
const DELEGATE = 0x18;
const CATCH_ALL = 0x19;
const TRY_TABLE = 0x1f;
const BR_ON_NULL = 0xd5;
const BR_ON_NON_NULL = 0xd6;
const PREFIX_BULK = 0xfc;
const PREFIX_SIMD = 0xfd;
const PREFIX_ATOMIC = 0xfe;

type Ranges = readonly (number | readonly [number, number])[];

/** By opcode, by how much an instruction without control flow changes the height of the operand stack; 0 where nothing is said. */
const NET = netsOf({
  // local.get, global.get, memory.size, constants, ref.null, ref.func
  1: [0x20, 0x23, 0x3f, [0x41, 0x44], 0xd0, 0xd2],
  // drop, local.set, global.set; comparisons and operators of two operands
  [-1]: [0x1a, 0x21, 0x24, [0x46, 0x4f], [0x51, 0x66], [0x6a, 0x78], [0x7c, 0x8a], [0x92, 0x98], [0xa0, 0xa6], 0xd3],
  // select, stores
  [-2]: [0x1b, 0x1c, [0x36, 0x3e]],
});
/** Behind 0xfc: table.size; memory.init, copy and fill. */
const NET_BULK = netsOf({ 1: [16], [-3]: [8, 10, 11] });
/** Behind 0xfd: v128.const; operators of two operands; stores and bitselect. */
const NET_SIMD = netsOf({
  1: [12],
  [-1]: [
    ...[13, 14, 23, 26, 28, 30, 32, [34, 76], [78, 81], [84, 87], 101, 102, [107, 115], [118, 121], 123, 130, 133, 134],
    ...[[139, 147], [149, 153], [155, 159], [171, 174], 177, [181, 186], [188, 191], [203, 206], 209, [213, 223]],
    ...[
      [228, 235],
      [240, 247],
    ],
  ] as Ranges,
  [-2]: [11, 82, [88, 91]],
});
/** Behind 0xfe: notify, read-modify-write; waits, stores, compare-and-exchange. */
const NET_ATOMIC = netsOf({ [-1]: [0, [0x1e, 0x47]], [-2]: [1, 2, [0x17, 0x1d], [0x48, 0x4e]] });

function netsOf(nets: Readonly<Record<number, Ranges>>): Int8Array {
  const table = new Int8Array(256);
  for (const [net, ranges] of Object.entries(nets)) {
    for (const range of ranges) {
      const [first, last] = typeof range === "number" ? [range, range] : range;
      table.fill(Number(net), first, last + 1);
    }
  }
  return table;
}

/** @param sub  behind a prefix the rest of the opcode */
export function netOf(opcode: number, sub: number): number {
  const [table, at] =
    opcode === PREFIX_SIMD
      ? [NET_SIMD, sub]
      : opcode === PREFIX_BULK
        ? [NET_BULK, sub]
        : opcode === PREFIX_ATOMIC
          ? [NET_ATOMIC, sub]
          : [NET, opcode];
  return table[at] ?? 0;
}

/** As a block type: 0x40, as a signed number. */
const NO_RESULT = -64;

interface Block {
  /** Of the stack below what the block takes and leaves. */
  readonly height: number;
  readonly params: number;
  readonly results: number;
}

const NO_BLOCK: Block = { height: 0, params: 0, results: 0 };

/**
 * Shows all that the functions do to `visitor`.
 *
 * @throws MODULE_LIMIT  a function takes the engine too long; and what `scanBody` throws
 */
export function scanBodies(bytes: Uint8Array, shape: ModuleShape, visitor: BodyVisitor = {}): void {
  const imported = shape.imports.flatMap(({ kind, typeIndex }) => (kind === "function" ? [typeIndex ?? 0] : []));
  const typesOfFunctions = [...imported, ...shape.functions];
  for (const [at, body] of shape.bodies.entries()) {
    const params = shape.types[shape.functions[at] ?? 0]?.params.length ?? 0;
    const work = new CompileWork(shape, typesOfFunctions, params + body.locals);
    scanBody(bytes, body, { ...visitor, instruction: work.instruction });
    if (work.units > MODULE_CAPS.compileUnits) {
      const text =
        `code section at offset ${body.declarations}: a function has so many branches and calls, with so many locals and values at each, that ` +
        `compiling it takes ${work.units} units, at most ${MODULE_CAPS.compileUnits} are allowed`;
      throw new NeapError("MODULE_LIMIT", text);
    }
  }
}

/** Is told of the instructions of one function, in order. */
class CompileWork {
  /** So far. */
  units = 0;
  readonly #shape: ModuleShape;
  /** By function, imports first. */
  readonly #typesOfFunctions: readonly number[];
  readonly #locals: number;
  readonly #blocks: Block[] = [];
  #block = NO_BLOCK;
  #height = 0;

  constructor(shape: ModuleShape, typesOfFunctions: readonly number[], locals: number) {
    this.#shape = shape;
    this.#typesOfFunctions = typesOfFunctions;
    this.#locals = locals;
  }

  /** @param operand  as of `BodyVisitor.instruction` */
  readonly instruction = (opcode: number, operand: number): void => {
    this.units += INSTRUCTION_UNITS;
    switch (opcode) {
      case IF:
        this.#height -= 1;
        this.#enter(operand);
        break;
      case BLOCK:
      case LOOP:
      case TRY:
      case TRY_TABLE:
        this.#enter(operand);
        break;
      case ELSE:
      case CATCH:
      case CATCH_ALL:
        this.#branch(1);
        this.#height = this.#block.height + this.#block.params;
        break;
      case END:
      case DELEGATE:
        this.#branch(1);
        this.#height = this.#block.height + this.#block.results;
        this.#block = this.#blocks.pop() ?? NO_BLOCK;
        break;
      case BR_IF:
      case BR_ON_NULL:
      case BR_ON_NON_NULL:
        this.#height -= 1;
        this.#branch(1);
        break;
      case BR:
      case BR_TABLE:
        this.#branch(operand);
        this.#height = this.#block.height;
        break;
      case RETURN:
      case UNREACHABLE:
      case THROW:
      case RETHROW:
      case THROW_REF:
        this.#height = this.#block.height;
        break;
      case CALL:
      case RETURN_CALL:
        this.units += CALL_UNITS;
        this.#call(this.#typesOfFunctions[operand] ?? 0, 0);
        break;
      case CALL_INDIRECT:
      case RETURN_CALL_INDIRECT:
      case CALL_REF:
      case RETURN_CALL_REF:
        this.units += INDIRECT_CALL_UNITS;
        this.#call(operand, 1);
        break;
      default:
        this.#height += netOf(opcode, operand);
    }
    if (this.#height < this.#block.height) {
      this.#height = this.#block.height;
    }
  };

  #enter(type: number): void {
    const { params, results } = this.#arity(type);
    this.#branch(1);
    this.#blocks.push(this.#block);
    this.#block = { height: Math.max(0, this.#height - params), params, results };
  }

  #call(type: number, popped: number): void {
    const { params, results } = this.#arity(type);
    this.units += this.#locals + this.#height + results;
    this.#height = Math.max(this.#block.height, this.#height - params - popped) + results;
  }

  #branch(targets: number): void {
    this.units += BRANCH_UNITS * targets * (this.#locals + this.#height);
  }

  /** Of a block type: negative, one value or none. */
  #arity(type: number): { readonly params: number; readonly results: number } {
    const found = this.#shape.types[type];
    return { params: found?.params.length ?? 0, results: found?.results.length ?? (type === NO_RESULT ? 0 : 1) };
  }
}
