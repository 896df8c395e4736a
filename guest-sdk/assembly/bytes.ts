/** Text and bytes. Texts are UTF-8 on their way in and out, and JavaScript-like strings inside. */

/** The UTF-8 bytes of `text`. */
export function toBytes(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text));
}

/** The text whose UTF-8 is `bytes`. */
export function toText(bytes: Uint8Array): string {
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.byteLength);
}
