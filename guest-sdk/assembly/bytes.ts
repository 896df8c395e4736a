/** Text and bytes. Texts are UTF-8 on their way in and out, and JavaScript-like strings inside. */

/** The UTF-8 bytes of `text`. */
export function toBytes(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text));
}

/** The longest name of an object or a lock. */
const NAME_MAX_BYTES: i32 = 1024;

/** Why the host has refused `name`. */
export function notAName(name: string, what: string): string {
  const sizeBytes = String.UTF8.byteLength(name).toString();
  const limit = NAME_MAX_BYTES.toString();
  return "'" + name.slice(0, 64) + "' of " + sizeBytes + " bytes is not a " + what + ": 1 to " + limit + " bytes without control characters";
}

/** The text whose UTF-8 is `bytes`. */
export function toText(bytes: Uint8Array): string {
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.byteLength);
}
