import type { CallBytes } from "../../host/invocation/invocation.ts";

/** Bytes that the answer has in memory, as a text. */
export function textOf(bytes: CallBytes): string {
  if (!(bytes instanceof Uint8Array)) {
    throw new Error(`${bytes.sizeBytes} bytes are in a blob`);
  }
  return Buffer.from(bytes).toString();
}

/** Wherever they are. */
export async function readAll(bytes: CallBytes): Promise<Buffer> {
  return bytes instanceof Uint8Array ? Buffer.from(bytes) : Buffer.concat(await Array.fromAsync(bytes.pieces));
}
