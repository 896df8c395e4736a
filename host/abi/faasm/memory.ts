/** Imports: pages that a guest asks of its host. What it gives back is zero and the next to be mapped, as no memory shrinks. */

import { WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import type { Guest } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { fileOf } from "../wasi/descriptors.ts";
import { errnoOf } from "../wasi/errno.ts";
import type { CallFileSystem } from "../wasi/index.ts";
import { Right } from "../wasi/types.ts";
import { bytesOfFile } from "./files.ts";

const FAILED = -1;
/** The bits of `flags` that matter here, as Linux and wasi-libc have them. */
const MapFlag = { fixed: 0x10, anonymous: 0x20 } as const;
/** Of one file that is mapped; what comes behind is zeros. */
const FILE_MAX_BYTES = 32 * 1024 * 1024;
const NOTHING = new Uint8Array(0);
/** What addresses and lengths are multiples of to programs. */
const PAGE_BYTES = 4096;

export const memory = (guest: Guest, { world, asks }: CallFileSystem) => {
  function map(length: number, offset: number, fd: number | null): number {
    let bytes: Uint8Array = NOTHING;
    const errno = errnoOf(() => {
      bytes =
        fd === null
          ? NOTHING
          : bytesOfFile(fileOf(world.descriptors(), fd, Right.fdRead).file, offset, Math.min(length, FILE_MAX_BYTES));
    });
    const pointer = errno === 0 ? guest.call.mappings.take(length, "plain", (pages) => guest.grow(pages)) : null;
    if (pointer === null) {
      return FAILED;
    }
    guestBytes(guest, "mmap: file", pointer, bytes.byteLength).set(bytes);
    return pointer;
  }

  const mmap = (_address: number, size: number, _protection: number, flags: number, fd: number, offset: bigint): number => {
    const isFile = fd >= 0 && (flags & MapFlag.anonymous) === 0;
    return size === 0 || (flags & MapFlag.fixed) !== 0 || offset < 0n || offset > BigInt(Number.MAX_SAFE_INTEGER)
      ? FAILED
      : map(size >>> 0, Number(offset), isFile ? fd : null);
  };

  return {
    "env.mmap": asks.waiting(mmap),

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
