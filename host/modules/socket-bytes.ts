/** Pieces of known size out of a socket: each chunk is copied once, when it comes (H27). */
import type { Socket } from "node:net";

export class SocketBytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  /** @throws when the other side has ended before */
  async take(sizeBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(sizeBytes);
    for (let at = 0; at < sizeBytes; ) {
      if (this.#rest.byteLength === 0) {
        const { value, done } = await this.#chunks.next();
        if (done === true) {
          throw new Error(`the other side ended ${sizeBytes - at} bytes too early`);
        }
        this.#rest = value;
      }
      const piece = this.#rest.subarray(0, sizeBytes - at);
      bytes.set(piece, at);
      at += piece.byteLength;
      this.#rest = this.#rest.subarray(piece.byteLength);
    }
    return bytes;
  }

  /** What `sized` has written. @throws when it is more than `maxBytes`, or the other side has ended before */
  async takeSized(maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const head = await this.take(4);
    const sizeBytes = new DataView(head.buffer).getUint32(0, true);
    if (sizeBytes > maxBytes) {
      throw new Error(`the other side sends ${sizeBytes} bytes, at most ${maxBytes} are allowed`);
    }
    return this.take(sizeBytes);
  }
}

/** The bytes with their size before them, without a copy. */
export function sized(bytes: Uint8Array): readonly [head: Uint8Array, bytes: Uint8Array] {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(bytes.byteLength);
  return [head, bytes];
}

export function write(socket: Socket, ...pieces: readonly Uint8Array[]): void {
  for (const piece of pieces) {
    if (piece.byteLength > 0) {
      socket.write(piece);
    }
  }
}
