/** Answers that are bytes: short ones in one write, long ones as a stream, so that none takes the main thread for long (H27). */
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { CallBytes } from "../invocation/invocation.ts";

/** Of bytes in memory; longer ones are streamed. */
const PIECE_BYTES = 256 * 1024;

/**
 * What is sent of them; a stream goes as fast as the client takes it, holds what it reads from only while it is read, and gives that
 * back when it is destroyed.
 */
export function byteBody(bytes: CallBytes): Uint8Array | Readable {
  if (!(bytes instanceof Uint8Array)) {
    return Readable.from(paced(bytes.pieces), { objectMode: false });
  }
  return bytes.byteLength <= PIECE_BYTES ? bytes : Readable.from(paced(inPieces(bytes)), { objectMode: false });
}

/** Of a stream, whose length its reader could not know else. */
export function lengthHeader(bytes: CallBytes): readonly string[] {
  return ["Content-Length", `${sizeOf(bytes)}`];
}

export function sizeOf(bytes: CallBytes): number {
  return bytes instanceof Uint8Array ? bytes.byteLength : bytes.sizeBytes;
}

function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let offset = 0; offset < bytes.byteLength; offset += PIECE_BYTES) {
    yield bytes.subarray(offset, offset + PIECE_BYTES);
  }
}

async function* paced(pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    yield piece;
    // A client that reads fast would keep other requests out.
    await setImmediate();
  }
}
