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

/** A number that is not negative, where a signed one is read. */
export function signedLeb(value: number): number[] {
  const bytes = unsignedLeb(value);
  const last = bytes.length - 1;
  if (((bytes[last] ?? 0) & 0x40) === 0) {
    return bytes;
  }
  return [...bytes.slice(0, last), (bytes[last] ?? 0) | 0x80, 0];
}
