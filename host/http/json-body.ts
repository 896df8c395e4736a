/** JSON answers that may hold long texts: written in pieces, so that none takes the main thread for long (H27). */
import { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { setImmediate } from "node:timers/promises";

/** A multiple of 3, so that the base64 of slices joins. */
const SLICE_BYTES = 48 * 1024;
/** A body of more characters is streamed. */
const PIECE_MIN_LENGTH = 64 * 1024;

/** Bytes that are one string of a JSON text. As `utf8`, those that are none show as U+FFFD. */
export class TextBytes {
  readonly #bytes: Buffer;
  readonly #encoding: "utf8" | "base64";

  constructor(bytes: Uint8Array, encoding: "utf8" | "base64") {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#encoding = encoding;
  }

  *pieces(): Generator<string> {
    const decoder = new StringDecoder(this.#encoding);
    yield '"';
    for (let offset = 0; offset < this.#bytes.length; offset += SLICE_BYTES) {
      yield escaped(decoder.write(this.#bytes.subarray(offset, offset + SLICE_BYTES)));
    }
    yield `${escaped(decoder.end())}"`;
  }
}

/** The JSON of a tree of plain objects, arrays and TextBytes: a string when it is short. Members that are undefined are left out. */
export function jsonBody(value: object): string | Readable {
  const pieces = gathered(piecesOf(value));
  const first = pieces.next();
  const second = pieces.next();
  if (first.done === true || second.done === true) {
    return first.value ?? "";
  }
  return Readable.from(paced([first.value, second.value], pieces), { objectMode: false });
}

async function* paced(...parts: Iterable<string>[]): AsyncGenerator<string> {
  for (const part of parts) {
    for (const piece of part) {
      yield piece;
      // A client that reads fast would keep other requests out.
      await setImmediate();
    }
  }
}

/** Joins pieces to some of PIECE_MIN_LENGTH at least, but for the last. */
function* gathered(pieces: Iterable<string>): Generator<string, undefined> {
  let piece = "";
  for (const next of pieces) {
    piece += next;
    if (piece.length >= PIECE_MIN_LENGTH) {
      yield piece;
      piece = "";
    }
  }
  if (piece !== "") {
    yield piece;
  }
}

function* piecesOf(value: unknown): Generator<string> {
  if (value instanceof TextBytes) {
    yield* value.pieces();
  } else if (Array.isArray(value)) {
    yield "[";
    for (const [index, element] of value.entries()) {
      yield index === 0 ? "" : ",";
      yield* piecesOf(element);
    }
    yield "]";
  } else if (typeof value === "object" && value !== null) {
    let before = "{";
    for (const [key, member] of Object.entries(value)) {
      if (member !== undefined) {
        yield `${before}${JSON.stringify(key)}:`;
        yield* piecesOf(member);
        before = ",";
      }
    }
    yield before === "{" ? "{}" : "}";
  } else {
    yield JSON.stringify(value);
  }
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
