/** Imports: pages that a guest asks of its host. What it gives back is zero and the next to be mapped, as no memory shrinks. */

import { WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import type { Guest } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { fileOf } from "../wasi/descriptors.ts";
import { errnoOf } from "../wasi/errno.ts";
import type { Descriptors } from "../wasi/index.ts";
import { Right } from "../wasi/types.ts";

const FAILED = -1;
/** The bits of `flags` that matter here, as Linux and wasi-libc have them. */
const MapFlag = { fixed: 0x10, anonymous: 0x20 } as const;
/** What addresses and lengths are multiples of to programs. */
const PAGE_BYTES = 4096;

/** @param descriptors  what the call has open */
export const memory = (guest: Guest, descriptors: () => Descriptors) => {
  /** @returns whether the file is there and can be read; bytes behind its end stay zero */
  function copyFile(fd: number, offset: bigint, pointer: number, length: number): boolean {
    const errno = errnoOf(() => {
      const { file } = fileOf(descriptors(), fd, Right.fdRead);
      const room = guestBytes(guest, "mmap: file", pointer, length);
      for (let copiedBytes = 0; copiedBytes < length; ) {
        const read = file.read(room.subarray(copiedBytes), Number(offset) + copiedBytes);
        if (read === 0) {
          break;
        }
        copiedBytes += read;
      }
    });
    return errno === 0;
  }

  return {
    "env.mmap": (_address: number, size: number, _protection: number, flags: number, fd: number, offset: bigint): number => {
      const length = size >>> 0;
      const isFile = fd >= 0 && (flags & MapFlag.anonymous) === 0;
      if (length === 0 || (flags & MapFlag.fixed) !== 0 || offset < 0n || offset > BigInt(Number.MAX_SAFE_INTEGER)) {
        return FAILED;
      }
      const { mappings } = guest.call;
      const pointer = mappings.take(length, "plain", (pages) => guest.grow(pages));
      if (pointer === null) {
        return FAILED;
      }
      if (isFile && !copyFile(fd, offset, pointer, length)) {
        mappings.giveBack(guest.memory(), pointer, length);
        return FAILED;
      }
      return pointer;
    },

    "env.munmap": (address: number, size: number): number => {
      const pointer = address >>> 0;
      const length = size >>> 0;
      if (pointer % PAGE_BYTES !== 0 || length === 0 || pointer + length > guest.memory().byteLength) {
        return FAILED;
      }
      guest.call.mappings.giveBack(guest.memory(), pointer, length);
      return 0;
    },

    "env.__sbrk": (increment: number): number => {
      if (increment === 0) {
        return guest.memory().byteLength;
      }
      const pages = increment < 0 ? FAILED : guest.grow(Math.ceil(increment / WASM_PAGE_BYTES));
      return pages < 0 ? FAILED : pages * WASM_PAGE_BYTES;
    },
  };
};
