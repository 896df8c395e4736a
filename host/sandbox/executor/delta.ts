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

/** `memory` and `globals` as bytes, relative to `base`: a view that the next capture overwrites. */
export function captureDelta(
  memory: Uint8Array,
  base: MemoryImage,
  globals: readonly { readonly type: GlobalExport["type"]; readonly value: number | bigint }[],
): Uint8Array {
  const blocks = base.differingBlocks(memory);
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
  const runs = new RunWriter(writer, memory);
  for (const index of blocks) {
    runs.write(index, base.block(index));
  }
  return writer.view();
}

/** Writes the runs of memory that differ from what it was, block by block. */
class RunWriter {
  readonly #writer: ByteWriter;
  readonly #memory: Buffer;
  readonly #words: Int32Array;

  constructor(writer: ByteWriter, memory: Uint8Array) {
    this.#writer = writer;
    this.#memory = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength / 4);
  }

  write(index: number, was: Uint8Array): void {
    const wasWords = new Int32Array(was.buffer, was.byteOffset, BLOCK_BYTES / 4);
    const firstWord = (index * BLOCK_BYTES) / 4;
    let written = 0;
    this.#pieces(index * BLOCK_BYTES, was, 0, BLOCK_BYTES, (piece) => {
      written = this.#runs(firstWord, wasWords, Math.max(written, piece / 4), (piece + PIECE_BYTES) / 4);
    });
  }

  /** Calls `found` for the pieces that differ, in their order. Equal halves are not looked into: what was never touched costs least so. */
  #pieces(at: number, was: Uint8Array, wasAt: number, sizeBytes: number, found: (wasAt: number) => void): void {
    if (this.#memory.compare(was, wasAt, wasAt + sizeBytes, at, at + sizeBytes) === 0) {
      return;
    }
    if (sizeBytes <= PIECE_BYTES) {
      found(wasAt);
      return;
    }
    const half = sizeBytes / 2;
    this.#pieces(at, was, wasAt, half, found);
    this.#pieces(at + half, was, wasAt + half, half, found);
  }

  /** Writes the runs that begin between two words of a block. Returns the word up to which all is written, which may be beyond. */
  #runs(firstWord: number, was: Int32Array, from: number, to: number): number {
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
        let last = Math.min(at + GAP_WORDS, was.length - 1);
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
    return at;
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
