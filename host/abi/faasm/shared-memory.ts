/**
 * Imports: merge regions, the critical section of all threads, and the point where a call may move. All threads of a call share one
 * memory here, so that there is nothing to merge: what a program says of its regions is checked, and true.
 */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { GuestMutexes, MutexType } from "./guest-mutexes.ts";

/** Bytes of Faasm's types Raw, Bool, Int, Long, Float, Double. */
const TYPE_BYTES = [1, 1, 4, 8, 4, 8];
/** Bytewise, Sum, Product, Subtract, Max, Min. */
const OPERATIONS = 6;

export const sharedMemory = (guest: Guest) => {
  const mutexes = new GuestMutexes(guest);

  /** There is one for all threads of the call, and none where there are no threads. @throws GuestFault  `why`, when that is not possible */
  function critical(change: (mutex: Int32Array) => number, why: string): void {
    const mutex = guest.team?.critical;
    if (mutex === undefined) {
      return;
    }
    mutexes.setType(mutex, MutexType.errorCheck);
    if (change(mutex) !== 0) {
      throw new GuestFault(why);
    }
  }

  return {
    "env.__faasm_sm_reduce": (pointer: number, type: number, operation: number, _currentBatch: number): void => {
      const sizeBytes = TYPE_BYTES[type];
      if (sizeBytes === undefined || operation < 0 || operation >= OPERATIONS) {
        throw new GuestFault(
          `__faasm_sm_reduce: type ${type} and operation ${operation}, must be 0 to ${TYPE_BYTES.length - 1} and 0 to ${OPERATIONS - 1}`,
        );
      }
      guestBytes(guest, "__faasm_sm_reduce: variable", pointer, sizeBytes);
    },

    "env.__faasm_sm_critical_local": (): void =>
      critical((mutex) => mutexes.lock(mutex), "__faasm_sm_critical_local: this thread is in the critical section already"),

    "env.__faasm_sm_critical_local_end": (): void =>
      critical((mutex) => mutexes.unlock(mutex), "__faasm_sm_critical_local_end: this thread is not in the critical section"),

    /** The guest waits, so that a call that shall be stopped in the middle is stopped here (F22). */
    "env.__faasm_migrate_point": async (_tableIndex: number, _argument: number): Promise<void> => {},
  };
};
