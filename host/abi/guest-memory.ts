/**
 * Checked access to a guest's memory. Pointers and lengths come from the guest as i32 and are unsigned; `what` names import and
 * argument for the message of the fault, as in "object_write: value".
 *
 * The memory is taken anew at every access: a view from before a suspension may be detached.
 */
import { type Guest, GuestFault } from "../sandbox/guest.ts";

/** No address is in it. */
const HANDLE_TABLE_BYTES = 65_536;

/** A view of the guest's bytes, valid until the guest runs again. @throws GuestFault when it is not all inside the memory */
export function guestBytes(guest: Guest, what: string, pointer: number, length: number): Uint8Array {
  const memory = guest.memory();
  const start = pointer >>> 0;
  const sizeBytes = length >>> 0;
  const aliased = aliasedBytes(guest, start, sizeBytes);
  if (aliased !== null) {
    return aliased;
  }
  if (start + sizeBytes > memory.byteLength) {
    throw new GuestFault(`${what} at ${start} + ${sizeBytes} is outside the memory of ${memory.byteLength} bytes`);
  }
  return memory.subarray(start, start + sizeBytes);
}

/** The bytes, when they are those of memory regions; null when they are not all inside of these. */
export function aliasedBytes({ aliases }: Guest, start: number, sizeBytes: number): Uint8Array | null {
  if (aliases === null || start < aliases.base + HANDLE_TABLE_BYTES) {
    return null;
  }
  const regions = aliases.memory();
  const at = start - aliases.base;
  return at + sizeBytes > regions.byteLength ? null : regions.subarray(at, at + sizeBytes);
}

/** The same as words of 32 bits. @throws GuestFault  also when they are not aligned */
export function guestWords(guest: Guest, what: string, pointer: number, sizeBytes: number): Int32Array {
  const bytes = guestBytes(guest, what, pointer, sizeBytes);
  if (bytes.byteOffset % 4 !== 0) {
    throw new GuestFault(`${what} at ${pointer >>> 0} is not a multiple of 4`);
  }
  return new Int32Array(bytes.buffer, bytes.byteOffset, sizeBytes / 4);
}

/** Room for a number that the guest may refuse with pointer 0. Checked before the operation, as its effect cannot be taken back. */
export function checkRoom(guest: Guest, what: string, pointer: number, sizeBytes: number): void {
  if (pointer !== 0) {
    guestBytes(guest, what, pointer, sizeBytes);
  }
}

/** Stores an i64 unless `pointer` is 0. */
export function storeI64(guest: Guest, what: string, pointer: number, value: number): void {
  if (pointer !== 0) {
    view(guestBytes(guest, what, pointer, 8)).setBigInt64(0, BigInt(value), true);
  }
}

/** Stores an i32 unless `pointer` is 0. */
export function storeI32(guest: Guest, what: string, pointer: number, value: number): void {
  if (pointer !== 0) {
    view(guestBytes(guest, what, pointer, 4)).setInt32(0, value, true);
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
