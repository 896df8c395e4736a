/** Imports: the call's input, output and log. */
import type { Guest } from "../sandbox/guest.ts";
import { guestBytes } from "./guest-memory.ts";
import { logBytes } from "./guest-text.ts";

export const io = (guest: Guest) => ({
  "neap.input_size": (): number => guest.call.input.byteLength,

  "neap.input_read": (pointer: number, offset: number, length: number): number => {
    const room = guestBytes(guest, "input_read: buffer", pointer, length);
    const { input } = guest.call;
    const start = offset >>> 0;
    const slice = input.subarray(start, start + room.byteLength);
    room.set(slice);
    return slice.byteLength;
  },

  "neap.output_write": (pointer: number, length: number): void => {
    guest.call.appendOutput(guestBytes(guest, "output_write: text", pointer, length));
  },

  "neap.log_write": (pointer: number, length: number): void => {
    logBytes(guest, guestBytes(guest, "log_write: text", pointer, length));
  },
});
