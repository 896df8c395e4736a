/** What Faasm's imports take: texts that end with a NUL, and chunks of state values. */
import { isObjectKey, OBJECT_KEY_MAX_BYTES } from "../../../state/ids.ts";
import { type Guest, GuestFault } from "../../sandbox/guest.ts";

/** State values are the objects of this prefix, as `PUT /s/` writes them. */
const STATE_PREFIX = "state/";
/** Without ignoreBOM two different keys would be one. */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The bytes up to the NUL, valid until the guest runs again.
 * @param what  import and argument
 * @throws GuestFault  no NUL within `maxBytes` bytes, or within the memory
 */
export function cBytes(guest: Guest, what: string, pointer: number, maxBytes: number): Uint8Array {
  const memory = guest.memory();
  const start = pointer >>> 0;
  const end = memory.subarray(0, start + maxBytes + 1).indexOf(0, start);
  if (start >= memory.byteLength || end < 0) {
    throw new GuestFault(`${what} at ${start} does not end with a NUL within ${maxBytes} bytes and the memory`);
  }
  return memory.subarray(start, end);
}

/** The object of the state value that the guest names. @throws GuestFault when that is no name of one */
export function stateKey(guest: Guest, what: string, pointer: number): string {
  const bytes = cBytes(guest, what, pointer, OBJECT_KEY_MAX_BYTES - STATE_PREFIX.length);
  let key: string;
  try {
    key = STATE_PREFIX + strictUtf8.decode(bytes);
  } catch {
    throw new GuestFault(`${what} is not UTF-8`);
  }
  if (bytes.byteLength === 0 || !isObjectKey(key)) {
    throw new GuestFault(`${what} is ${bytes.byteLength === 0 ? "empty" : "not the key of an object"}`);
  }
  return key;
}

/** @throws GuestFault unless the chunk lies inside of the value */
export function checkChunk(name: string, total: number, offset: number, length: number): void {
  if (offset + length > total) {
    throw new GuestFault(`${name}: ${length} bytes at ${offset} are not inside of a value of ${total} bytes`);
  }
}

export function cText(guest: Guest, what: string, pointer: number, maxBytes: number): string {
  return Buffer.from(cBytes(guest, what, pointer, maxBytes)).toString();
}
