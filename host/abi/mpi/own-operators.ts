/** Operations of one rank: the predefined ones, and those that functions of the guest carry out. */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import type { Reduction } from "./collective.ts";
import type { Datatype } from "./datatypes.ts";
import type { Messages } from "./messages.ts";
import { combineOf, FIRST_OWN_OPERATOR, operatorName } from "./operators.ts";

/** A guest cannot have more at once. */
export const OPERATORS_MAX = 1024;
const PAGE_BYTES = 65_536;
/** What one call of a function puts together at most; one element may be larger. */
const OWN_PIECE_BYTES = 64 * 1024;
const ELEMENT_MAX_BYTES = 1024 * 1024;
/** Length and datatype, as the function gets them, behind which the values lie. */
const ARGUMENTS_BYTES = 16;

interface Scratch {
  readonly pointer: number;
  readonly sizeBytes: number;
}

export class Operators {
  readonly #guest: Guest;
  readonly #messages: Messages;
  /** Function of the table, by number. */
  readonly #own = new Map<number, number>();
  #next = FIRST_OWN_OPERATOR;
  /** Memory that was added for arguments of functions. */
  #scratch: Scratch | null = null;

  constructor(guest: Guest, messages: Messages) {
    this.#guest = guest;
    this.#messages = messages;
  }

  /** @returns its number; null when there are too many */
  create(tableIndex: number): number | null {
    if (this.#own.size >= OPERATORS_MAX) {
      return null;
    }
    const number = this.#next;
    this.#next += 1;
    this.#own.set(number, tableIndex);
    return number;
  }

  /** False when the guest has made no such one. */
  free(number: number): boolean {
    return this.#own.delete(number);
  }

  /** @throws GuestFault  there is no such operation, or not on such values */
  reduction(number: number, type: number, datatype: Datatype): Reduction {
    const tableIndex = this.#own.get(number);
    if (tableIndex !== undefined) {
      return this.#ownReduction(tableIndex, type, datatype);
    }
    const name = operatorName(number);
    const combine = datatype.kind === null ? null : combineOf(number, datatype.kind);
    if (name === undefined || combine === null) {
      throw this.#messages.fault(
        name === undefined ? `there is no operation ${number}` : `${name} is not defined for ${datatype.name}`,
      );
    }
    return { extentBytes: datatype.extentBytes, combine };
  }

  #ownReduction(tableIndex: number, type: number, { extentBytes }: Datatype): Reduction {
    if (extentBytes > ELEMENT_MAX_BYTES) {
      throw this.#messages.fault(`an element is ${extentBytes} bytes, an own operation may have ${ELEMENT_MAX_BYTES}`);
    }
    const combine = (lower: Uint8Array, higher: Uint8Array) => {
      const sizeBytes = higher.byteLength;
      const { pointer } = this.#room(ARGUMENTS_BYTES + 2 * sizeBytes);
      const [lowerAt, higherAt] = [pointer + ARGUMENTS_BYTES, pointer + ARGUMENTS_BYTES + sizeBytes];
      const memory = this.#guest.memory();
      new DataView(memory.buffer, memory.byteOffset).setInt32(pointer, sizeBytes / extentBytes, true);
      new DataView(memory.buffer, memory.byteOffset).setInt32(pointer + 4, type, true);
      memory.set(lower, lowerAt);
      memory.set(higher, higherAt);
      this.#run(tableIndex, [lowerAt, higherAt, pointer, pointer + 4]);
      higher.set(this.#guest.memory().subarray(higherAt, higherAt + sizeBytes));
    };
    return { extentBytes, combine, pieceMaxBytes: OWN_PIECE_BYTES };
  }

  #run(tableIndex: number, args: readonly number[]): void {
    try {
      this.#guest.callTableFunction(tableIndex, ...args);
    } catch (error) {
      // The engine makes no i64 of a number.
      throw error instanceof TypeError
        ? this.#messages.fault(`the function at ${tableIndex} of the table does not take four i32`)
        : error;
    }
  }

  #room(sizeBytes: number): Scratch {
    if (this.#scratch === null || this.#scratch.sizeBytes < sizeBytes) {
      const pages = Math.ceil(sizeBytes / PAGE_BYTES);
      const page = this.#guest.grow(pages);
      if (page < 0) {
        throw new GuestFault(
          `${this.#messages.call}: there is no memory for the arguments of an own operation, ${sizeBytes} bytes`,
        );
      }
      this.#scratch = { pointer: page * PAGE_BYTES, sizeBytes: pages * PAGE_BYTES };
    }
    return this.#scratch;
  }
}
