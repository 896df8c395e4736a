/** Numbers as modules have them. */

export function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}

/** An i32, whatever the sign of `value` is. */
export function i32Leb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value | 0; ; ) {
    const low = rest & 0x7f;
    rest >>= 7;
    if (rest === ((low & 0x40) === 0 ? 0 : -1)) {
      return [...bytes, low];
    }
    bytes.push(low | 0x80);
  }
}

/** A number that is not negative, where a signed one is read. */
export function signedLeb(value: number): number[] {
  const bytes = unsignedLeb(value);
  const last = bytes.length - 1;
  if (((bytes[last] ?? 0) & 0x40) === 0) {
    return bytes;
  }
  return [...bytes.slice(0, last), (bytes[last] ?? 0) | 0x80, 0];
}
