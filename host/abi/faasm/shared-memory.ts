/**
 * Imports: merge regions, and the point where a call may move. All threads of a call share one memory here, so that there is nothing to
 * merge: what a program says of its regions is checked, and true.
 */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";

/** Bytes of Faasm's types Raw, Bool, Int, Long, Float, Double. */
const TYPE_BYTES = [1, 1, 4, 8, 4, 8];
/** Bytewise, Sum, Product, Subtract, Max, Min. */
const OPERATIONS = 6;

export const sharedMemory = (guest: Guest) => ({
  "env.__faasm_sm_reduce": (pointer: number, type: number, operation: number, _currentBatch: number): void => {
    const sizeBytes = TYPE_BYTES[type];
    if (sizeBytes === undefined || operation < 0 || operation >= OPERATIONS) {
      throw new GuestFault(
        `__faasm_sm_reduce: type ${type} and operation ${operation}, must be 0 to ${TYPE_BYTES.length - 1} and 0 to ${OPERATIONS - 1}`,
      );
    }
    guestBytes(guest, "__faasm_sm_reduce: variable", pointer, sizeBytes);
  },

  /** The guest waits, so that a call that shall be stopped in the middle is stopped here (F22). */
  "env.__faasm_migrate_point": async (_tableIndex: number, _argument: number): Promise<void> => {},
});
