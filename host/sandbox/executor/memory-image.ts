/** What a memory shall look like: a snapshot, or a snapshot with a delta on top, in blocks that share their zeros. */
import { type Snapshot, WASM_PAGE_BYTES } from "../../modules/artefact.ts";

/** Unit of comparing; equal to a wasm page, so that a memory is always whole blocks. */
export const BLOCK_BYTES = WASM_PAGE_BYTES;
/** A page of the machine: inside a block that differs, pieces of this size are compared. */
export const PIECE_BYTES = 4096;
const ZERO_BLOCK = new Uint8Array(BLOCK_BYTES);

export interface Run {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class MemoryImage {
  readonly pages: number;
  /** Only the blocks that are not all zero. */
  readonly #blocks: ReadonlyMap<number, Uint8Array>;

  private constructor(pages: number, blocks: ReadonlyMap<number, Uint8Array>) {
    this.pages = pages;
    this.#blocks = blocks;
  }

  static ofSnapshot(snapshot: Snapshot): MemoryImage {
    return new MemoryImage(0, new Map()).with(snapshot.runs, snapshot.pages);
  }

  /** This image grown to `pages` and with `runs` written over it. Costs the blocks that `runs` touch. */
  with(runs: readonly Run[], pages: number): MemoryImage {
    const blocks = new Map(this.#blocks);
    const own = new Set<number>();
    for (const { offset, bytes } of runs) {
      for (let done = 0; done < bytes.byteLength; ) {
        const at = offset + done;
        const index = Math.floor(at / BLOCK_BYTES);
        const within = at % BLOCK_BYTES;
        const piece = bytes.subarray(done, done + BLOCK_BYTES - within);
        if (!own.has(index)) {
          own.add(index);
          blocks.set(index, Uint8Array.from(this.block(index)));
        }
        blocks.get(index)?.set(piece, within);
        done += piece.byteLength;
      }
    }
    return new MemoryImage(pages, blocks);
  }

  /** The bytes of a block; zeros beyond the image. Not to be changed. */
  block(index: number): Uint8Array {
    return this.#blocks.get(index) ?? ZERO_BLOCK;
  }

  /** Whether nothing of the block is anything but zero, as far as is known. */
  isZero(index: number): boolean {
    return !this.#blocks.has(index);
  }

  /** Indices of the blocks in which `memory` is unlike this image. */
  differingBlocks(memory: Uint8Array): number[] {
    const differing: number[] = [];
    for (let index = 0; index * BLOCK_BYTES < memory.byteLength; index++) {
      if (Buffer.compare(this.block(index), blockOf(memory, index)) !== 0) {
        differing.push(index);
      }
    }
    return differing;
  }

  /**
   * Makes `memory` equal to this image, writing only the pieces that differ: what the guest has not touched does not become resident.
   * Stops in the middle beyond `maxBytes`. Returns the bytes rewritten.
   */
  reset(memory: Uint8Array, maxBytes: number): number {
    let rewritten = 0;
    for (let index = 0; index * BLOCK_BYTES < memory.byteLength && rewritten <= maxBytes; index++) {
      if (Buffer.compare(this.block(index), blockOf(memory, index)) !== 0) {
        rewritten += this.#restore(memory, index);
      }
    }
    return rewritten;
  }

  /** Makes the given blocks of `memory` equal to this image, with as little resident as `reset`. */
  copyTo(memory: Uint8Array, blocks: Iterable<number>): void {
    for (const index of blocks) {
      this.#restore(memory, index);
    }
  }

  /** Writes the pieces of a block that differ. Returns their bytes. */
  #restore(memory: Uint8Array, index: number): number {
    const is = blockOf(memory, index);
    const should = this.block(index);
    let rewritten = 0;
    for (let at = 0; at < BLOCK_BYTES; at += PIECE_BYTES) {
      const piece = should.subarray(at, at + PIECE_BYTES);
      if (Buffer.compare(is.subarray(at, at + PIECE_BYTES), piece) !== 0) {
        is.set(piece, at);
        rewritten += PIECE_BYTES;
      }
    }
    return rewritten;
  }
}

export function blockOf(memory: Uint8Array, index: number): Uint8Array {
  return memory.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
}
