import { NeapError } from "../errors.ts";
import type { SeqNum } from "../ids.ts";

export const AUX_MAX_BYTES = 64 * 1024;
/** What an entry costs besides its bytes. */
const ENTRY_BYTES = 200;

/**
 * Bytes that users of the log keep beside records: in memory only, the least recently used ones go first. To lose any of them at
 * any time must change no result.
 */
export class AuxCache {
  readonly #maxBytes: number;
  /** Least recently used first. */
  readonly #bytes = new Map<SeqNum, Uint8Array>();
  #sizeBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#bytes.size;
  }

  get(seqnum: SeqNum): Uint8Array | undefined {
    const bytes = this.#bytes.get(seqnum);
    if (bytes !== undefined) {
      this.#bytes.delete(seqnum);
      this.#bytes.set(seqnum, bytes);
    }
    return bytes;
  }

  set(seqnum: SeqNum, bytes: Uint8Array): void {
    this.drop(seqnum);
    this.#bytes.set(seqnum, Uint8Array.from(bytes));
    this.#sizeBytes += ENTRY_BYTES + bytes.byteLength;
    for (const oldest of this.#bytes.keys()) {
      if (this.#sizeBytes <= this.#maxBytes) {
        break;
      }
      this.drop(oldest);
    }
  }

  drop(seqnum: SeqNum): void {
    const bytes = this.#bytes.get(seqnum);
    if (bytes !== undefined) {
      this.#sizeBytes -= ENTRY_BYTES + bytes.byteLength;
      this.#bytes.delete(seqnum);
    }
  }
}

/** @throws AUX_TOO_LARGE */
export function checkAux(bytes: Uint8Array): void {
  if (bytes.byteLength > AUX_MAX_BYTES) {
    throw new NeapError("AUX_TOO_LARGE", `aux data has ${bytes.byteLength} bytes, must be at most ${AUX_MAX_BYTES}`);
  }
}
