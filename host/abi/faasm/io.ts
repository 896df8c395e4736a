/** Imports: input, output, and what a module asks of its host. */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";
import { logBytes } from "../guest-text.ts";
import { cText } from "./text.ts";

const FLAG_MAX_BYTES = 256;
const FRAMES_MAX = 64;

export const io = (guest: Guest) => ({
  "env.__faasm_read_input": (pointer: number, length: number): number => {
    const { input } = guest.call;
    if (length === 0) {
      return input.byteLength;
    }
    const room = guestBytes(guest, "__faasm_read_input: buffer", pointer, length);
    const slice = input.subarray(0, room.byteLength);
    room.set(slice);
    return slice.byteLength;
  },

  "env.__faasm_write_output": (pointer: number, length: number): void =>
    guest.call.replaceOutput(guestBytes(guest, "__faasm_write_output: bytes", pointer, length)),

  "env.__faasm_conf_flag": (pointer: number): number =>
    cText(guest, "__faasm_conf_flag: name", pointer, FLAG_MAX_BYTES) === "ALWAYS_ON" ? 1 : 0,

  "env.__faasm_backtrace": (depth: number): void => {
    const frames = wasmFrames().slice(0, Math.min(Math.max(depth, 0), FRAMES_MAX));
    logBytes(guest, Buffer.from(frames.join("\n")));
  },
});

/** Functions of the guest that are being called, the innermost first. */
function wasmFrames(): string[] {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES_MAX;
  const { stack = "" } = new GuestFault("");
  Error.stackTraceLimit = before;
  return stack
    .split("\n")
    .filter((line) => line.includes("wasm://"))
    .map((line) => line.trim());
}
