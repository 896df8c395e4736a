/** Runs functions of a guest on stacks of their own: beside its call, which waits for them, or in its place. */
import { type FunctionType, GuestFault } from "../guest.ts";
import type { SliceClock } from "./slice-clock.ts";
import { tableFunction } from "./table-function.ts";
import { i32s, runOnOwnStack } from "./trampoline.ts";

/** Of calls by `callOfType`: each holds a stack, as storage parts do. */
const NESTED_MAX = 8;

export class SecondStacks {
  readonly #exports: WebAssembly.Exports;
  readonly #clock: SliceClock;
  readonly #failed: (error: unknown) => unknown;
  /** Calls by `callOfType` that have not returned. */
  #nested = 0;

  /** @param failed  told what was thrown there, which ends the call; returns what has ended it */
  constructor(exports: WebAssembly.Exports, clock: SliceClock, failed: (error: unknown) => unknown) {
    this.#exports = exports;
    this.#clock = clock;
    this.#failed = failed;
  }

  /** Another call begins. */
  begin(): void {
    this.#nested = 0;
  }

  /** Whether a call by `callOfType` has not returned. */
  get isNested(): boolean {
    return this.#nested > 0;
  }

  /** Its slice begins here (H7): since the reply that led here others of the worker may have gone on. */
  async run(run: WebAssembly.ExportValue, args: readonly number[] = []): Promise<void> {
    this.#clock.start();
    try {
      await WebAssembly.promising(run)(...args);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** As `Guest.runTableFunction`. */
  async runTableFunction(tableIndex: number, args: readonly number[]): Promise<number> {
    const f = tableFunction(this.#exports, tableIndex);
    this.#clock.start();
    try {
      return Number(await runOnOwnStack(f, args, { params: i32s(args.length), result: "i32" }));
    } catch (error) {
      if (error instanceof WebAssembly.LinkError) {
        const taken = args.length === 0 ? "nothing" : `${args.length} i32`;
        throw new GuestFault(`the function at ${tableIndex} of the table does not take ${taken} and return an i32`);
      }
      throw this.#failed(error);
    }
  }

  /** As `Guest.callOfType`. */
  async callOfType(type: FunctionType, tableIndex: number, args: readonly (number | bigint)[]) {
    const f = tableFunction(this.#exports, tableIndex);
    if (this.#nested === NESTED_MAX) {
      throw new GuestFault(`calls by their types are nested deeper than ${NESTED_MAX}`);
    }
    this.#nested += 1;
    this.#clock.start();
    try {
      return (await runOnOwnStack(f, args, type)) as number | bigint | undefined;
    } catch (error) {
      if (error instanceof WebAssembly.LinkError) {
        throw new GuestFault(`the function at ${tableIndex} of the table is not (${type.params}) → (${type.result ?? ""})`);
      }
      throw this.#failed(error);
    } finally {
      this.#nested -= 1;
    }
  }
}
