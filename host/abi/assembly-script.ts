/** Imports that AssemblyScript's own library needs, module "env". */
import { type Guest, GuestFault } from "../sandbox/guest.ts";
import { drawRandom, nextTimeNs } from "./clock-random.ts";
import { logBytes } from "./guest-text.ts";

/** Longer texts of the guest are cut. */
const TEXT_MAX_BYTES = 4096;

const utf16 = new TextDecoder("utf-16le", { ignoreBOM: true });

/** An AssemblyScript string: its size in bytes lies in front of it. A pointer that is none gives "". */
function utf16Text(guest: Guest, pointer: number): string {
  const start = pointer >>> 0;
  const memory = guest.memory();
  if (start < 4 || start > memory.byteLength) {
    return "";
  }
  const sizeBytes = new DataView(memory.buffer, memory.byteOffset, memory.byteLength).getUint32(start - 4, true);
  return utf16.decode(memory.subarray(start, start + Math.min(sizeBytes, TEXT_MAX_BYTES)));
}

export const assemblyScript = (guest: Guest) => ({
  "env.abort": (message: number, file: number, line: number, column: number): never => {
    const text = utf16Text(guest, message) || "abort";
    const place = utf16Text(guest, file);
    throw new GuestFault(place === "" ? text : `${text} at ${place}:${line >>> 0}:${column >>> 0}`);
  },

  "env.trace": (message: number, count: number, a0: number, a1: number, a2: number, a3: number, a4: number): void => {
    const numbers = [a0, a1, a2, a3, a4].slice(0, Math.max(0, count));
    logBytes(guest, Buffer.from([utf16Text(guest, message), ...numbers].join(" ")));
  },

  "env.seed": (): number => {
    const bytes = new Uint8Array(8);
    drawRandom(guest, bytes);
    return Number(new DataView(bytes.buffer).getBigUint64(0) >> 11n) / 2 ** 53;
  },

  "env.Date.now": (): number => Number(nextTimeNs(guest) / 1_000_000n),
});
