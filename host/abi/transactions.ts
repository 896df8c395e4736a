/** Imports: transactions, and the steps that only move the cursor. */
import { type Guest, GuestFault } from "../sandbox/guest.ts";
import { guestBytes } from "./guest-memory.ts";
import { beginArgs, GuestError, Operation } from "./operations.ts";
import { post, request } from "./requests.ts";

const NOTHING = new Uint8Array(0);
const ISOLATION_MAX = 2;

export const transactions = (guest: Guest) => {
  function move(operation: Operation, name: string): void | Promise<void> {
    if (guest.call.inPart) {
      throw new GuestFault(`${name}: not possible inside a storage part`);
    }
    const going = post(guest, operation, NOTHING, 0);
    return typeof going === "number" ? undefined : going.then(() => {});
  }

  return {
    "neap.sync": (): void | Promise<void> => move(Operation.sync, "sync"),

    "neap.fence": (): void | Promise<void> => move(Operation.fence, "fence"),

    "neap.transaction_begin": async (isolation: number): Promise<number> => {
      if (guest.call.inPart) {
        return GuestError.notInPart;
      }
      if (isolation < 0 || isolation > ISOLATION_MAX) {
        return GuestError.invalid;
      }
      return (await request(guest, Operation.transactionBegin, beginArgs.encode(isolation))).code;
    },

    "neap.transaction_commit": async (): Promise<number> => {
      const { call } = guest;
      if (call.inPart) {
        return GuestError.notInPart;
      }
      const { code, bytes } = await request(guest, Operation.transactionCommit, NOTHING);
      call.refusal = code < 0 ? Uint8Array.from(bytes) : NOTHING;
      return code;
    },

    "neap.transaction_conflict": (pointer: number, capacity: number): number => {
      const room = guestBytes(guest, "transaction_conflict: buffer", pointer, capacity);
      const { refusal } = guest.call;
      room.set(refusal.subarray(0, room.byteLength));
      return refusal.byteLength;
    },

    "neap.transaction_abort": async (): Promise<number> =>
      guest.call.inPart ? GuestError.notInPart : (await request(guest, Operation.transactionAbort, NOTHING)).code,
  };
};
