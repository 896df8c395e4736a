/** How a call ended, as the worker sees it. */

import { GuestExit, GuestFault } from "../guest.ts";
import type { KillReason } from "../sandbox.ts";
import { GuestKill } from "./guest-call.ts";

export type Outcome =
  | { readonly kind: "returned"; readonly value: number }
  | { readonly kind: "trapped"; readonly message: string }
  | { readonly kind: "killed"; readonly reason: KillReason; readonly message: string }
  /** It was stopped in the middle. `awaits`: for the answer of the operation that it has sent last. */
  | { readonly kind: "frozen"; readonly bytes: Uint8Array; readonly awaits: boolean };

/** What was thrown out of the guest, or by the import that ended the call. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof GuestExit) {
    return { kind: "returned", value: error.value | 0 };
  }
  if (error instanceof GuestKill) {
    return { kind: "killed", reason: error.reason, message: error.message };
  }
  if (error instanceof GuestFault || error instanceof WebAssembly.RuntimeError) {
    return { kind: "trapped", message: error.message };
  }
  if (isStackOverflow(error)) {
    return { kind: "killed", reason: "stackOverflow", message: "the call overflowed its stack" };
  }
  return { kind: "trapped", message: `exception: ${error instanceof Error ? error.message : String(error)}` };
}

/** A trap or a stack overflow: wasm frames were cut off in the middle of their work. */
export function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || isStackOverflow(error);
}

/** The engine throws a plain RangeError; its text is all that tells it from others. */
function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message === "Maximum call stack size exceeded";
}
