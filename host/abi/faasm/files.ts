/** Bytes of the call's files, for Faasm's imports. They may ask the host: who calls them is entered again with the answer. */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { Errno, fail, WasiError } from "../wasi/errno.ts";
import type { FileNode, FolderNode } from "../wasi/file-system.ts";
import type { CallFileSystem } from "../wasi/index.ts";
import { atPath, PATH_MAX_BYTES, pathOf } from "../wasi/path.ts";
import type { World } from "../wasi/world.ts";
import { cBytes } from "./text.ts";

const SLASH = 0x2f;
/** No page of a file that is asked for is smaller. */
const PAGE_BYTES = 64 * 1024;

/** Of the file from `offset` to its end, at most `length`. @throws WasiError */
export function bytesOfFile(file: FileNode, offset: number, length: number): Uint8Array {
  const sizeBytes = Math.max(0, Math.min(length, Number(file.stat().sizeBytes) - offset));
  // What is not there is asked for first, so that there is one copy of the file and not one with each answer.
  const probe = new Uint8Array(1);
  for (let at = 0; at < sizeBytes; at += PAGE_BYTES) {
    file.read(probe, offset + at);
  }
  const bytes = new Uint8Array(sizeBytes);
  for (let copiedBytes = 0; copiedBytes < bytes.byteLength; ) {
    const read = file.read(bytes.subarray(copiedBytes), offset + copiedBytes);
    if (read === 0) {
      break;
    }
    copiedBytes += read;
  }
  return bytes;
}

/**
 * The file that the guest names by its path from "/" on, whole.
 * @param what  import and argument
 * @throws GuestFault  it cannot be read, with the reason, or has more than `maxBytes`
 */
export function wholeFile(guest: Guest, { world }: CallFileSystem, what: string, pointer: number, maxBytes: number): Uint8Array {
  const given = cBytes(guest, what, pointer, PATH_MAX_BYTES);
  try {
    const name = given.findIndex((byte) => byte !== SLASH);
    const path = pathOf(given.subarray(name < 0 ? given.byteLength : name));
    return atPath(rootOf(world), path, true, ({ node }) => {
      const file = node?.kind === "file" ? node : fail(node === undefined ? "noent" : "isdir");
      const { sizeBytes } = file.stat();
      if (sizeBytes > BigInt(maxBytes)) {
        throw new GuestFault(`${what} is a file of ${sizeBytes} bytes, at most ${maxBytes} are allowed`);
      }
      return bytesOfFile(file, 0, maxBytes);
    });
  } catch (error) {
    if (!(error instanceof WasiError)) {
      throw error;
    }
    const [why = error.errno] = Object.entries(Errno).find(([, errno]) => errno === error.errno) ?? [];
    throw new GuestFault(`${what} cannot be read: ${why}`);
  }
}

/** @throws WasiError badf  the program has closed it */
function rootOf(world: World): FolderNode {
  for (const [, { preopen, target }] of world.descriptors()) {
    if (preopen === "/" && target.kind === "folder") {
      return target;
    }
  }
  return fail("badf");
}
