/**
 * Imports: memory regions, as far as the host's main thread does the work. Loads, stores, atomics and copies are put into the module
 * when it is uploaded and are no imports of what runs.
 */
import { MAX_SEQNUM } from "../../state/ids.ts";
import { type Guest, GuestFault } from "../sandbox/guest.ts";
import { guestBytes } from "./guest-memory.ts";
import { guestKey } from "./guest-text.ts";
import {
  GuestError,
  Operation,
  PushMode,
  regionArgs,
  regionOpenArgs,
  regionPullReply,
  regionRangeArgs,
  regionWaitArgs,
} from "./operations.ts";
import { request } from "./requests.ts";

/** What one record may hold: a snapshot is one. */
const SNAPSHOT_MAX_BYTES = 1024 * 1024;
/** Longer than any call. */
const TIMEOUT_MAX_MS = 366 * 24 * 60 * 60 * 1000;

export const regions = (guest: Guest) => {
  const ask = async (operation: Operation, args: Uint8Array): Promise<number> => (await request(guest, operation, args)).code;

  const push =
    (name: string, mode: number) =>
    async (handle: number, offset: number, length: number, keyPointer: number, keyLength: number): Promise<number> =>
      pushAt(name, mode, { handle, offset, length, keyPointer, keyLength, at: 0n });

  async function pushAt(
    name: string,
    mode: number,
    range: { handle: number; offset: number; length: number; keyPointer: number; keyLength: number; at: bigint },
  ): Promise<number> {
    const { handle, offset, length, at } = range;
    const key = guestKey(guest, `${name}: key`, range.keyPointer, range.keyLength);
    if (key === null || at < 0n || at > BigInt(MAX_SEQNUM)) {
      return GuestError.invalid;
    }
    return ask(Operation.regionPush, regionRangeArgs.encode({ handle, offset, length, key, at: Number(at), mode }));
  }

  return {
    "region.open": async (namePointer: number, nameLength: number, sizeBytes: number, maxBytes: number): Promise<number> => {
      const name = guestKey(guest, "region.open: name", namePointer, nameLength);
      return name === null ? GuestError.invalid : ask(Operation.regionOpen, regionOpenArgs.encode({ name, sizeBytes, maxBytes }));
    },

    "region.grow": (handle: number, sizeBytes: number): Promise<number> =>
      ask(Operation.regionGrow, regionArgs.encode(handle, sizeBytes)),

    "region.lock": (handle: number, mode: number): Promise<number> => ask(Operation.regionLock, regionArgs.encode(handle, mode)),

    "region.unlock": (handle: number): Promise<number> => ask(Operation.regionUnlock, regionArgs.encode(handle)),

    "region.wait": (handle: number, offset: number, expected: number, timeoutMs: bigint): Promise<number> => {
      const limited = timeoutMs > BigInt(TIMEOUT_MAX_MS) ? TIMEOUT_MAX_MS : Number(timeoutMs);
      return ask(Operation.regionWait, regionWaitArgs.encode({ handle, offset, expected, timeoutMs: limited }));
    },

    "region.notify": (handle: number, offset: number, count: number): Promise<number> =>
      ask(Operation.regionNotify, regionArgs.encode(handle, offset, count)),

    "region.push": push("region.push", PushMode.whole),

    "region.append": push("region.append", PushMode.end),

    "region.push_partial": (
      handle: number,
      offset: number,
      length: number,
      keyPointer: number,
      keyLength: number,
      at: bigint,
    ): Promise<number> => pushAt("region.push_partial", PushMode.part, { handle, offset, length, keyPointer, keyLength, at }),

    "region.pull": async (
      handle: number,
      offset: number,
      length: number,
      keyPointer: number,
      keyLength: number,
      at: bigint,
    ): Promise<bigint> => {
      const key = guestKey(guest, "region.pull: key", keyPointer, keyLength);
      if (key === null || at < 0n || at > BigInt(MAX_SEQNUM)) {
        return BigInt(GuestError.invalid);
      }
      const args = { handle, offset, length, key, at: Number(at), mode: 0 };
      const { code, bytes } = await request(guest, Operation.regionPull, regionRangeArgs.encode(args));
      return BigInt(code < 0 ? code : regionPullReply.decode(bytes).sizeBytes);
    },

    "region.snapshot": async (handle: number, offset: number, length: number, pointer: number): Promise<number> => {
      guestBytes(guest, "region.snapshot: buffer", pointer, length);
      if (length >>> 0 > SNAPSHOT_MAX_BYTES) {
        return GuestError.tooLarge;
      }
      const args = { handle, offset, length, key: "", at: 0, mode: 0 };
      const { code, bytes } = await request(guest, Operation.regionSnapshot, regionRangeArgs.encode(args));
      if (code === 0) {
        guestBytes(guest, "region.snapshot: buffer", pointer, length).set(bytes);
      }
      return code;
    },
  };
};

/**
 * What the accesses in a rewritten module call when they do not hit the region. Not offered to uploads.
 * @throws GuestFault
 */
export const regionFault = (handle: number, offset: number, length: number): never => {
  throw new GuestFault(
    `access to ${length >>> 0} bytes at ${offset >>> 0} is outside of the memory region with handle ${handle >>> 0}`,
  );
};
