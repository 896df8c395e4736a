/** Imports: what a C library of Faasm leaves to its host beside WASI. */
import type { Guest } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { Errno } from "../wasi/errno.ts";
import { cBytes } from "./text.ts";

const FAILED = -1;
const NULL = 0;
const LINE_MAX_BYTES = 64 * 1024;
const NEWLINE = Uint8Array.of(10);
/** Of struct utsname: six texts of this size. */
const NAME_BYTES = 65;
/** System, node, release, version, machine, domain. */
const NAMES = ["Neap", "neap", "1", "1", "wasm32", "(none)"];

export const system = (guest: Guest) => ({
  "env.puts": (pointer: number): number => {
    const text = cBytes(guest, "puts: text", pointer, LINE_MAX_BYTES);
    guest.call.appendOutput(text);
    guest.call.appendOutput(NEWLINE);
    return text.byteLength + 1;
  },

  "env.bzero": (pointer: number, length: number): void => {
    guestBytes(guest, "bzero: bytes", pointer, length).fill(0);
  },

  "env.getcwd": (pointer: number, length: number): number => {
    const room = guestBytes(guest, "getcwd: buffer", pointer, length);
    if (room.byteLength < 2) {
      return NULL;
    }
    room.set(Buffer.from("/\0"));
    return pointer;
  },

  "env.uname": (pointer: number): number => {
    const room = guestBytes(guest, "uname: buffer", pointer, NAMES.length * NAME_BYTES).fill(0);
    for (const [at, name] of NAMES.entries()) {
      room.set(Buffer.from(name), at * NAME_BYTES);
    }
    return 0;
  },

  "env.getpwuid": (_uid: number): number => NULL,

  "env.dup": (_fd: number): number => FAILED,

  "env.__wasi_fd_dup": (_fd: number, _pointer: number): number => Errno.notsup,

  "env.ioctl": (_fd: number, _request: number, _argument: number): number => FAILED,
});
