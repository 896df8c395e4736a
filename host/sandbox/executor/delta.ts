/**
 * What a call has changed since a known state: runs of memory, size of the memory, all mutable globals (H15).
 *
 * Layout: pages u32 | globals u16 × (type u8, bits u64) | runs (offset u32, length u32, bytes) to the end.
 *
 * A NaN in a float global loses its payload: the engine hands out one NaN only.
 */
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import { type GlobalExport, WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import { BLOCK_BYTES, type MemoryImage, PIECE_BYTES, type Run } from "./memory-image.ts";
import { type TouchedPages, touchedPages } from "./touched-pages.ts";

export interface Delta {
  /** Size of the memory now. */
  readonly pages: number;
  /** In the order of `Artefact.globals`; i64 as bigint. */
  readonly globals: readonly (number | bigint)[];
  readonly runs: readonly Run[];
}

/** Equal words between two changed ones that stay inside the run: a run of its own costs 8 bytes, and a look at each end. */
const GAP_WORDS = 8;
/** Deltas are written in one place that is kept: new pages cost more than what is written to them. A longer one is not. */
const KEPT_MAX_BYTES = 8 * 1024 * 1024;
let room = new ByteWriter(64 * 1024);
const TYPES: readonly GlobalExport["type"][] = ["i32", "i64", "f32", "f64"];

/**
 * `memory` and `globals` as bytes, relative to `base`: a view that the next capture overwrites.
 *
 * @param isTouched  of the memory; null: not known
 */
export function captureDelta(
  memory: Uint8Array,
  base: MemoryImage,
  globals: readonly { readonly type: GlobalExport["type"]; readonly value: number | bigint }[],
  isTouched: TouchedPages | null = touchedPages(memory),
): Uint8Array {
  if (room.length > KEPT_MAX_BYTES) {
    room = new ByteWriter(64 * 1024);
  }
  const writer = room
    .reset()
    .u32(memory.byteLength / WASM_PAGE_BYTES)
    .u16(globals.length);
  for (const { type, value } of globals) {
    writer.u8(TYPES.indexOf(type));
    if (typeof value === "bigint") {
      writer.i64(value);
    } else {
      writer.f64(value);
    }
  }
  const runs = new RunWriter(writer, memory, base, isTouched);
  for (let at = 0; at < memory.byteLength; at += BLOCK_BYTES) {
    runs.write(at);
  }
  return writer.view();
}

/** Writes the runs of memory that differ from what it was, block by block. */
class RunWriter {
  readonly #writer: ByteWriter;
  readonly #memory: Buffer;
  readonly #words: Int32Array;
  readonly #base: MemoryImage;
  readonly #isTouched: TouchedPages | null;

  constructor(writer: ByteWriter, memory: Uint8Array, base: MemoryImage, isTouched: TouchedPages | null) {
    this.#writer = writer;
    this.#memory = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength / 4);
    this.#base = base;
    this.#isTouched = isTouched;
  }

  /** The runs of the block at this address. */
  write(at: number): void {
    const index = at / BLOCK_BYTES;
    const was = this.#base.block(index);
    const pieces: number[] = [];
    if (this.#isTouched !== null && this.#base.isZero(index)) {
      this.#touchedPieces(at, was, this.#isTouched, pieces);
    } else {
      this.#pieces(at, was, 0, BLOCK_BYTES, pieces);
    }
    const wasWords = new Int32Array(was.buffer, was.byteOffset, BLOCK_BYTES / 4);
    for (let first = 0; first < pieces.length; ) {
      let next = first + 1;
      while (pieces[next] === (pieces[next - 1] ?? 0) + PIECE_BYTES) {
        next += 1;
      }
      this.#runs(at / 4, wasWords, (pieces[first] ?? 0) / 4, ((pieces[next - 1] ?? 0) + PIECE_BYTES) / 4);
      first = next;
    }
  }

  /** Adds the pieces that differ, in their order. Equal halves are not looked into: what has not changed costs least so. */
  #pieces(at: number, was: Uint8Array, wasAt: number, sizeBytes: number, found: number[]): void {
    if (!this.#differs(at, was, wasAt, sizeBytes)) {
      return;
    }
    if (sizeBytes <= PIECE_BYTES) {
      found.push(wasAt);
      return;
    }
    const half = sizeBytes / 2;
    this.#pieces(at, was, wasAt, half, found);
    this.#pieces(at + half, was, wasAt + half, half, found);
  }

  /** The same in a block that was zero, in which some pages still are. */
  #touchedPieces(at: number, was: Uint8Array, isTouched: TouchedPages, found: number[]): void {
    for (let wasAt = 0; wasAt < BLOCK_BYTES; wasAt += PIECE_BYTES) {
      if (isTouched((at + wasAt) / PIECE_BYTES) && this.#differs(at + wasAt, was, wasAt, PIECE_BYTES)) {
        found.push(wasAt);
      }
    }
  }

  #differs(at: number, was: Uint8Array, wasAt: number, sizeBytes: number): boolean {
    return this.#memory.compare(was, wasAt, wasAt + sizeBytes, at, at + sizeBytes) !== 0;
  }

  /** Writes the runs between two words of a block, beyond which nothing is looked at. */
  #runs(firstWord: number, was: Int32Array, from: number, to: number): void {
    const words = this.#words;
    let at = from;
    while (at < to) {
      if (words[firstWord + at] === was[at]) {
        at += 1;
        continue;
      }
      const start = at;
      at += 1;
      for (;;) {
        // From behind: where all has changed one look for each gap is enough.
        let last = Math.min(at + GAP_WORDS, to - 1);
        while (last >= at && words[firstWord + last] === was[last]) {
          last -= 1;
        }
        if (last < at) {
          break;
        }
        at = last + 1;
      }
      const offset = (firstWord + start) * 4;
      this.#writer.u32(offset).bytes(this.#memory.subarray(offset, (firstWord + at) * 4));
    }
  }
}

/**
 * Reads what `captureDelta` wrote, possibly on another node.
 *
 * @throws RangeError unless every run lies inside the memory and the globals have the types of `expected`
 */
export function decodeDelta(bytes: Uint8Array, expected: readonly GlobalExport[]): Delta {
  const reader = new ByteReader(bytes);
  const pages = reader.u32();
  const count = reader.u16();
  if (count !== expected.length) {
    throw new RangeError(`the delta has ${count} globals, the module ${expected.length}`);
  }
  const globals = expected.map(({ name, type }) => {
    const found = TYPES[reader.u8()];
    if (found !== type) {
      throw new RangeError(`the delta's ${name} is of type ${found}, the module's ${type}`);
    }
    return type === "i64" ? reader.i64() : reader.f64();
  });
  const runs: Run[] = [];
  while (reader.remaining > 0) {
    const offset = reader.u32();
    const run = { offset, bytes: reader.bytes() };
    if (offset + run.bytes.byteLength > pages * WASM_PAGE_BYTES) {
      throw new RangeError(`the delta writes ${run.bytes.byteLength} bytes at ${offset} of a memory of ${pages} pages`);
    }
    runs.push(run);
  }
  return { pages, globals, runs };
}
