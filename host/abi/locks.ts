/** Imports: locks. */
import type { Guest } from "../sandbox/guest.ts";
import { guestKey } from "./guest-text.ts";
import { GuestError, lockArgs, lockReply, Operation } from "./operations.ts";
import { request } from "./requests.ts";

export const locks = (guest: Guest) => {
  /** The name of a lock is what the key of an object may be. @returns the name, or why not */
  function lockName(what: string, pointer: number, length: number): string | number {
    const name = guestKey(guest, `${what}: name`, pointer, length);
    if (guest.call.inPart) {
      return GuestError.notInPart;
    }
    return name ?? GuestError.invalid;
  }

  async function take(what: string, operation: Operation, pointer: number, length: number): Promise<bigint> {
    const name = lockName(what, pointer, length);
    if (typeof name === "number") {
      return BigInt(name);
    }
    const { code, bytes } = await request(guest, operation, lockArgs.encode(name));
    return BigInt(code < 0 ? code : lockReply.decode(bytes).token);
  }

  return {
    "neap.lock": (pointer: number, length: number): Promise<bigint> => take("lock", Operation.lock, pointer, length),

    "neap.lock_try": (pointer: number, length: number): Promise<bigint> => take("lock_try", Operation.lockTry, pointer, length),

    "neap.unlock": async (pointer: number, length: number): Promise<number> => {
      const name = lockName("unlock", pointer, length);
      return typeof name === "number" ? name : (await request(guest, Operation.unlock, lockArgs.encode(name))).code;
    },
  };
};
