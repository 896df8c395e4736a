/** Imports: the call's input, output and log. */
import { type Guest, GuestFault } from "../sandbox/guest.ts";
import { guestBytes } from "./guest-memory.ts";
import { logBytes, lossyText } from "./guest-text.ts";

const REASON_MAX_BYTES = 4096;

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

  "neap.fail": (pointer: number, length: number): never => {
    const text = guestBytes(guest, "fail: text", pointer, length);
    throw new GuestFault(lossyText(text.subarray(0, REASON_MAX_BYTES)) || "the function failed");
  },
});
