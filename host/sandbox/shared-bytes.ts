/** Larger bytes of a call's state go between threads in shared memory: the main thread passes them on without a copy (H27). */
export const SHARED_MIN_BYTES = 128 * 1024;

/** The same bytes; a copy in shared memory when they are many. Not for the main thread. */
export function shared(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength <= SHARED_MIN_BYTES) {
    return bytes;
  }
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  copy.set(bytes);
  return copy;
}

export function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}
