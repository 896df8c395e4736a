/** One thread's share of a parallel region: the call of its function, with the numbers that its first arguments point to on the stack. */
import { GuestFault, type ParallelRegion } from "../guest.ts";
import { stackPointer } from "./stack-pointer.ts";
import { tableFunction } from "./table-function.ts";
import { checkReturnsNothing } from "./trampoline.ts";

/** Of captured variables: more than that nobody writes, and the engine takes. */
const ARGUMENTS_MAX = 64;
/** Two numbers, in what keeps the stack aligned. */
const NUMBERS_BYTES = 16;
const BOUND_RANK = 8;

type RegionFunction = ReturnType<typeof tableFunction>;

/** How many i32 they take. */
const checked = new WeakMap<RegionFunction, number>();

export interface RegionShare {
  /** (i32, …) → () */
  readonly run: RegionFunction;
  readonly args: readonly number[];
  /** Gives back what it has taken of the stack. */
  readonly end: () => void;
}

/** @throws GuestFault  the region's function, its arguments or the stack are not there */
export function shareOf(
  exports: WebAssembly.Exports,
  memory: Uint8Array,
  { tableIndex, argumentsPointer, argumentCount }: ParallelRegion,
  rank: number,
): RegionShare {
  if (argumentCount < 0 || argumentCount > ARGUMENTS_MAX) {
    throw new GuestFault(`a parallel region has ${argumentCount} arguments, at most ${ARGUMENTS_MAX} are possible`);
  }
  const stack = stackPointer(exports);
  const before = stack.value as number;
  const room = words("stack of a parallel region", memory, (before >>> 0) - NUMBERS_BYTES, NUMBERS_BYTES);
  const given = words("arguments of a parallel region", memory, argumentsPointer >>> 0, 4 * argumentCount);
  const run = regionFunction(exports, tableIndex, argumentCount + 2);
  room[0] = rank;
  room[BOUND_RANK / 4] = 0;
  const at = before - NUMBERS_BYTES;
  stack.value = at;
  return {
    run,
    args: [at, at + BOUND_RANK, ...given],
    end: () => {
      stack.value = before;
    },
  };
}

function regionFunction(exports: WebAssembly.Exports, tableIndex: number, params: number): RegionFunction {
  const f = tableFunction(exports, tableIndex);
  if (checked.get(f) !== params) {
    try {
      checkReturnsNothing(f, params);
    } catch (error) {
      throw error instanceof WebAssembly.LinkError
        ? new GuestFault(`the function at ${tableIndex} of the table does not take ${params} i32 and return nothing`)
        : error;
    }
    checked.set(f, params);
  }
  return f;
}

function words(what: string, memory: Uint8Array, at: number, sizeBytes: number): Int32Array {
  if (at < 0 || at % 4 !== 0 || at + sizeBytes > memory.byteLength) {
    throw new GuestFault(
      `${what} at ${at} + ${sizeBytes} is outside the memory of ${memory.byteLength} bytes, or no multiple of 4`,
    );
  }
  return new Int32Array(memory.buffer, memory.byteOffset + at, sizeBytes / 4);
}
