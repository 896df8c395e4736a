/** What groups of imports still have to do for a call whose guest has returned or exited (`Guest.beforeEnd`). */
import { GuestExit } from "../guest.ts";
import { GuestKill } from "./guest-call.ts";
import type { ImportGate } from "./import-gate.ts";

type Settle = () => Promise<void> | undefined;

export class Settling {
  isUnderWay = false;
  readonly #gate: ImportGate;
  readonly #tasks: Settle[] = [];

  constructor(gate: ImportGate) {
    this.#gate = gate;
  }

  add(task: Settle): void {
    this.#tasks.push(task);
  }

  /** Undefined when there is nothing to do, as for a call that has failed. A failure is the call's: the gate has it. */
  run(): Promise<void> | undefined {
    const { ending } = this.#gate;
    if (!(ending === undefined || ending instanceof GuestExit)) {
      return undefined;
    }
    for (const [at, task] of this.#tasks.entries()) {
      const settling = task();
      if (settling !== undefined) {
        return this.#finish(settling, at + 1, ending);
      }
    }
    return undefined;
  }

  /** One after the other, as an operation waits for the one before. */
  async #finish(first: Promise<void>, next: number, ending: GuestExit | undefined): Promise<void> {
    this.isUnderWay = true;
    try {
      await first;
      for (const task of this.#tasks.slice(next)) {
        await task();
      }
    } catch (error) {
      if (this.#gate.ending === ending) {
        this.#gate.ending = undefined;
      }
      // An operation rejects with what has ended the guest, also when that was the guest itself.
      throw this.#gate.end(error instanceof GuestExit ? new GuestKill("cancelled", "the attempt was cancelled") : error);
    }
  }
}
