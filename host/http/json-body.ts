/** JSON answers that may hold long texts: written in pieces, so that none takes the main thread for long (H27). */
import { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { setImmediate } from "node:timers/promises";
import type { CallBytes } from "../invocation/invocation.ts";

/** A multiple of 3, so that the base64 of slices joins. */
const SLICE_BYTES = 48 * 1024;
/** A body of more characters is streamed. */
const PIECE_MIN_LENGTH = 64 * 1024;

/** Bytes that are one string of a JSON text. As `utf8`, those that are none show as U+FFFD. */
export class TextBytes {
  readonly #bytes: CallBytes;
  readonly #encoding: "utf8" | "base64";

  constructor(bytes: CallBytes, encoding: "utf8" | "base64") {
    this.#bytes = bytes;
    this.#encoding = encoding;
  }

  /** The string of bytes that are in memory, or null. */
  pieces(): Iterable<string> | null {
    return this.#bytes instanceof Uint8Array ? this.#pieces(this.#bytes) : null;
  }

  /** The string, of bytes that are read meanwhile. */
  async *read(): AsyncGenerator<string> {
    const decoder = new StringDecoder(this.#encoding);
    yield '"';
    for await (const bytes of this.#bytes instanceof Uint8Array ? [this.#bytes] : this.#bytes.pieces) {
      yield* texts(bytes, decoder);
    }
    yield `${escaped(decoder.end())}"`;
  }

  *#pieces(bytes: Uint8Array): Generator<string> {
    const decoder = new StringDecoder(this.#encoding);
    yield '"';
    yield* texts(bytes, decoder);
    yield `${escaped(decoder.end())}"`;
  }
}

function* texts(bytes: Uint8Array, decoder: StringDecoder): Generator<string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 0; offset < buffer.length; offset += SLICE_BYTES) {
    yield escaped(decoder.write(buffer.subarray(offset, offset + SLICE_BYTES)));
  }
}

/** What still has to be read is asked for when its turn comes. */
type Piece = string | TextBytes;

/**
 * The JSON of a tree of plain objects, arrays and TextBytes: a string when it is short and in memory. Members that are undefined are
 * left out.
 */
export function jsonBody(value: object): string | Readable {
  const pieces = gathered(piecesOf(value));
  const first = pieces.next();
  const second = pieces.next();
  if (first.done === true) {
    return "";
  }
  if (second.done === true && typeof first.value === "string") {
    return first.value;
  }
  const begun = second.done === true ? [first.value] : [first.value, second.value];
  return Readable.from(paced(begun, pieces), { objectMode: false });
}

async function* paced(...parts: Iterable<Piece>[]): AsyncGenerator<string> {
  for (const part of parts) {
    for (const piece of part) {
      for await (const text of typeof piece === "string" ? [piece] : piece.read()) {
        yield text;
        // A client that reads fast would keep other requests out.
        await setImmediate();
      }
    }
  }
}

/** Joins pieces to some of PIECE_MIN_LENGTH at least, but for the last and those before what has to be read. */
function* gathered(pieces: Iterable<Piece>): Generator<Piece, undefined> {
  let text = "";
  for (const next of pieces) {
    if (typeof next === "string") {
      text += next;
    }
    if (text !== "" && (typeof next !== "string" || text.length >= PIECE_MIN_LENGTH)) {
      yield text;
      text = "";
    }
    if (typeof next !== "string") {
      yield next;
    }
  }
  if (text !== "") {
    yield text;
  }
}

function* piecesOf(value: unknown): Generator<Piece> {
  if (value instanceof TextBytes) {
    yield* value.pieces() ?? [value];
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
