/** Gathers the body of an upload. */
import { NeapError } from "../../state/errors.ts";

/** A buffer starts with this and doubles: a small module does not reserve the limit. */
const FIRST_BYTES = 64 * 1024;

/**
 * The whole body in one buffer of its own, grown in place, so that no step copies more than a chunk. Reading stops at the limit.
 * @throws MODULE_TOO_LARGE  the body has more than `maxBytes` bytes
 */
export async function receiveUpload(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<ArrayBuffer> {
  const buffer = new ArrayBuffer(0, { maxByteLength: maxBytes });
  let length = 0;
  for await (const chunk of body) {
    const end = length + chunk.byteLength;
    if (end > maxBytes) {
      throw new NeapError("MODULE_TOO_LARGE", `the module has more than the ${maxBytes} bytes that are allowed`);
    }
    if (end > buffer.byteLength) {
      buffer.resize(Math.min(maxBytes, Math.max(end, FIRST_BYTES, buffer.byteLength * 2)));
    }
    new Uint8Array(buffer, length).set(chunk);
    length = end;
  }
  buffer.resize(length);
  return buffer;
}
