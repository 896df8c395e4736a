/**
 * How a call is stopped in the middle and goes on, in the same sandbox or in another one (F22).
 *
 * 1. A call is stopped inside an import only: before that has an effect, and then the import is entered again where the call goes on;
 *    or together with its result, which it then returns without being run.
 * 2. Between `leave` and `frames`, and between `rewind` and `arrive`, the guest computes nothing: it only saves or restores its frames.
 */
import type { UnwindableStack } from "./unwindable-stack.ts";

/** What an import has returned. */
export interface ImportResult {
  readonly value: unknown;
}

export class Freezer {
  readonly #stack: UnwindableStack;
  #state: "runs" | "unwinds" | "rewinds" = "runs";
  #isAsked = false;
  #result: ImportResult | null = null;

  constructor(stack: UnwindableStack) {
    this.#stack = stack;
  }

  /** The call shall be stopped at its next chance. */
  get isAsked(): boolean {
    return this.#isAsked && this.#state === "runs";
  }

  get isUnwinding(): boolean {
    return this.#state === "unwinds";
  }

  get isRewinding(): boolean {
    return this.#state === "rewinds";
  }

  /** Of the import in which the call was stopped; null: it shall be entered again. */
  get result(): ImportResult | null {
    return this.#result;
  }

  /** Another call begins. */
  begin(): void {
    this.#state = "runs";
    this.#isAsked = false;
    this.#result = null;
  }

  ask(): void {
    this.#isAsked = true;
  }

  /** To be called inside an import that then returns anything at all: the guest unwinds its stack and returns. */
  leave(result: ImportResult | null): void {
    this.#result = result;
    this.#state = "unwinds";
    this.#stack.startUnwind();
  }

  /** The frames of the guest that has unwound its stack. */
  frames(): Uint8Array {
    return this.#stack.stopUnwind();
  }

  /** The entry that is called next gets to the import in which the call was stopped. @throws RangeError  see `UnwindableStack` */
  rewind(frames: Uint8Array, result: ImportResult | null): void {
    this.#stack.startRewind(frames);
    this.#result = result;
    this.#state = "rewinds";
  }

  /** The guest has entered an import: what that shall return instead of being run, or null. */
  arrive(): ImportResult | null {
    if (this.#state !== "rewinds") {
      return null;
    }
    this.#stack.stopRewind();
    this.#state = "runs";
    return this.#result;
  }
}
