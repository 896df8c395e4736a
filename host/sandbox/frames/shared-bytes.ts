/** Larger bytes of a call's state go between threads in shared memory: the main thread passes them on without a copy (H27). */
export const SHARED_MIN_BYTES = 128 * 1024;

/** The same bytes, those of `more` behind them; a copy in shared memory when they are many. Not for the main thread. */
export function shared(bytes: Uint8Array, more?: Uint8Array): Uint8Array {
  const sizeBytes = bytes.byteLength + (more?.byteLength ?? 0);
  if (sizeBytes <= SHARED_MIN_BYTES) {
    return more === undefined ? bytes : Buffer.concat([bytes, more]);
  }
  const copy = new Uint8Array(new SharedArrayBuffer(sizeBytes));
  copy.set(bytes);
  if (more !== undefined) {
    copy.set(more, bytes.byteLength);
  }
  return copy;
}

export function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}
