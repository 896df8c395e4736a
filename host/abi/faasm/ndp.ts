/**
 * Imports: AutoNDP's objects, and parts that run near them. The objects of its bucket are those of the tenant.
 *
 * An object that a storage part has mapped is unmapped at the end of the part, wherever it ran: nothing of it is shipped back (H19).
 */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { guestKey } from "../guest-text.ts";
import { READ_SLICE_BYTES, writeObject } from "../objects.ts";
import { Operation, objectReadArgs, objectReadReply } from "../operations.ts";
import { runPart } from "../parts.ts";
import { request } from "../requests.ts";

const I32_MAX = 2 ** 31 - 1;
const FAILED = -1;
const NO_OBJECT = 0;

export const ndp = (guest: Guest) => {
  /** @throws GuestFault: there is no room for the object */
  async function map(key: string, offset: number, maxBytes: number, lengthPointer: number): Promise<number> {
    const read = async (at: number, sliceBytes: number) => {
      const args = objectReadArgs.encode({ key, offset: at, maxBytes: Math.min(sliceBytes, READ_SLICE_BYTES) });
      const { code, bytes } = await request(guest, Operation.objectRead, args);
      return code < 0 ? null : objectReadReply.decode(bytes);
    };
    const first = await read(offset, maxBytes);
    const length = first === null ? 0 : Math.max(0, Math.min(first.sizeBytes - offset, maxBytes));
    storeLength(lengthPointer, length);
    if (first === null || length === 0) {
      return NO_OBJECT;
    }
    const { mappings, inPart } = guest.call;
    const pointer = mappings.take(length, inPart ? "part" : "plain", (pages) => guest.grow(pages));
    if (pointer === null) {
      const memoryBytes = guest.memory().byteLength;
      throw new GuestFault(`__faasmndp_getMmap: the memory of ${memoryBytes} bytes has no room for ${length} more`);
    }
    for (let { slice } = first, copiedBytes = 0; ; ) {
      guestBytes(guest, "__faasmndp_getMmap: object", pointer + copiedBytes, slice.byteLength).set(slice);
      copiedBytes += slice.byteLength;
      const more =
        slice.byteLength === 0 || copiedBytes >= length ? null : await read(offset + copiedBytes, length - copiedBytes);
      if (more === null) {
        return pointer;
      }
      slice = more.slice;
    }
  }

  function storeLength(pointer: number, length: number): void {
    const bytes = guestBytes(guest, "__faasmndp_getMmap: length", pointer, 4);
    new DataView(bytes.buffer, bytes.byteOffset, 4).setUint32(0, length, true);
  }

  /** @returns the part's value; −1 when the key names no object */
  async function storageCall(
    name: string,
    keyPointer: number,
    keyLength: number,
    index: number,
    args: number[],
  ): Promise<number> {
    const key = guestKey(guest, `${name}: key`, keyPointer, keyLength);
    return key === null ? FAILED : runPart(guest, key, index >>> 0, args);
  }

  return {
    "env.__faasmndp_put": (keyPointer: number, keyLength: number, pointer: number, length: number): number | Promise<number> => {
      if (keyPointer === 0 || keyLength <= 0 || pointer === 0 || length <= 0) {
        return FAILED;
      }
      const key = guestKey(guest, "__faasmndp_put: key", keyPointer, keyLength);
      const value = guestBytes(guest, "__faasmndp_put: data", pointer, length);
      if (key === null) {
        return FAILED;
      }
      const code = writeObject(guest, key, pointer, value);
      return typeof code === "number" ? Math.max(code, FAILED) : code.then((late) => Math.max(late, FAILED));
    },

    "env.__faasmndp_getMmap": (
      keyPointer: number,
      keyLength: number,
      offset: bigint,
      maxLength: bigint,
      lengthPointer: number,
    ): number | Promise<number> => {
      const key = guestKey(guest, "__faasmndp_getMmap: key", keyPointer, keyLength);
      storeLength(lengthPointer, 0);
      if (
        key === null ||
        offset < 0n ||
        offset > BigInt(Number.MAX_SAFE_INTEGER) ||
        maxLength <= 0n ||
        maxLength > BigInt(I32_MAX)
      ) {
        return NO_OBJECT;
      }
      return map(key, Number(offset), Number(maxLength), lengthPointer);
    },

    "env.__faasmndp_unmap": (pointer: number, length: number): number => {
      guest.call.mappings.giveBack(guest.memory(), pointer >>> 0, length >>> 0);
      return 0;
    },

    "env.__faasmndp_storageCallAndAwait": (keyPointer: number, keyLength: number, index: number): Promise<number> =>
      storageCall("__faasmndp_storageCallAndAwait", keyPointer, keyLength, index, []),

    "env.__faasmndp_storageCallAndAwait1": (
      keyPointer: number,
      keyLength: number,
      index: number,
      first: number,
    ): Promise<number> => storageCall("__faasmndp_storageCallAndAwait1", keyPointer, keyLength, index, [first]),

    "env.__faasmndp_storageCallAndAwait2": (
      keyPointer: number,
      keyLength: number,
      index: number,
      first: number,
      second: number,
    ): Promise<number> => storageCall("__faasmndp_storageCallAndAwait2", keyPointer, keyLength, index, [first, second]),
  };
};
