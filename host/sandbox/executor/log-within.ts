/**
 * Sends what a guest prints, up to the limit of its call, and says once that more was left out.
 * @param add  counts bytes, and returns how many were counted before
 */
export function logWithin(
  text: string,
  maxBytes: number,
  add: (sizeBytes: number, maxBytes: number) => number,
  send: (text: Uint8Array) => void,
): void {
  const bytes = Buffer.from(text);
  if (bytes.byteLength === 0) {
    return;
  }
  const room = maxBytes - add(bytes.byteLength, maxBytes);
  if (room < 0) {
    return;
  }
  send(bytes.subarray(0, room));
  if (bytes.byteLength > room) {
    send(Buffer.from(`LOG_LIMIT: the call has printed more than ${maxBytes} bytes, the rest is left out`));
  }
}
