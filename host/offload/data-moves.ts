/**
 * Whether a call moves to the storage node because of what it keeps reading there.
 *
 * It does when what it is expected to read still is COST_SHARE times what goes with it, and then again for each time that it has moved
 * before. Expected is what calls of its function read on the average, or, beyond that, as much again as it has read so far. What would go
 * with it is what earlier calls of the function were when they were stopped; of this one it is known when it has been stopped, and
 * one that turns out to be too large goes on where it is, and is left alone until it has read twice as much.
 */
import type { CallTaker, Departure } from "./moved-call.ts";

export interface DataMovesOptions {
  /** False: no call moves for this reason. */
  readonly isOn: boolean;
  /** A call that has read less, since it came to this node, stays. */
  readonly minBytes: number;
  /** Null: this is the storage node, or it is out of reach. */
  readonly storage: () => CallTaker | null;
}

const COST_SHARE = 4;
/** One long read is no habit. */
const READS_MIN = 3;
/** Before anything is known of a module: a small heap and a stack. */
const EXPECTED_CALL_BYTES = 256 * 1024;
/** Of a running mean, what is new counts so much. */
const NEW_SHARE = 0.2;
/** Beyond it everything is learnt anew. */
const MODULES_MAX = 10_000;

/** Of the calls of one module. */
interface Experience {
  /** What they read in all; null before one has ended. */
  readBytes: number | null;
  /** What they were when they were stopped. */
  callBytes: number | null;
}

export class DataMoves {
  readonly #options: DataMovesOptions;
  readonly #experience = new Map<string, Experience>();

  constructor(options: DataMovesOptions) {
    this.#options = options;
  }

  /** The reads of one attempt, from now on; null when it stays here whatever it reads. @param moves  how often the call has moved before */
  watch(module: string, moves: number): ReadWatch | null {
    return this.#options.isOn && this.#options.storage() !== null
      ? new ReadWatch(this.#options, this.#of(module), COST_SHARE * 2 ** moves)
      : null;
  }

  /** A call has ended, which has read so much in all. */
  learn(module: string, readBytes: number): void {
    const known = this.#of(module);
    known.readBytes = mean(known.readBytes, readBytes);
  }

  #of(module: string): Experience {
    const known = this.#experience.get(module) ?? { readBytes: null, callBytes: null };
    if (!this.#experience.has(module)) {
      if (this.#experience.size >= MODULES_MAX) {
        this.#experience.clear();
      }
      this.#experience.set(module, known);
    }
    return known;
  }
}

export class ReadWatch {
  readonly #options: DataMovesOptions;
  readonly #known: Experience;
  readonly #costShare: number;
  #reads = 0;
  #readBytes = 0;
  /** Before, it is not asked again. */
  #nextBytes: number;

  constructor(options: DataMovesOptions, known: Experience, costShare: number) {
    this.#options = options;
    this.#known = known;
    this.#costShare = costShare;
    this.#nextBytes = options.minBytes;
  }

  read(sizeBytes: number): void {
    this.#reads += 1;
    this.#readBytes += sizeBytes;
  }

  /** Whether the call shall leave now. */
  departure(): Departure | null {
    if (this.#readBytes < this.#nextBytes || this.#reads < READS_MIN) {
      return null;
    }
    const callBytes = this.#known.callBytes ?? EXPECTED_CALL_BYTES;
    const taker = this.#pays(callBytes) ? this.#options.storage() : null;
    if (taker === null) {
      return null;
    }
    this.#nextBytes = 2 * this.#readBytes;
    const reason = `has read ${this.#readBytes} bytes in ${this.#reads} reads, is expected to read ${this.#expectedBytes()} more`;
    return {
      cause: "data",
      reason,
      takers: [taker],
      accepts: (sizeBytes) => {
        this.#known.callBytes = mean(this.#known.callBytes, sizeBytes);
        return this.#pays(sizeBytes);
      },
    };
  }

  #pays(callBytes: number): boolean {
    return this.#expectedBytes() >= this.#costShare * callBytes;
  }

  #expectedBytes(): number {
    const usual = this.#known.readBytes ?? 0;
    return usual > this.#readBytes ? Math.round(usual - this.#readBytes) : this.#readBytes;
  }
}

function mean(known: number | null, value: number): number {
  return known === null ? value : known * (1 - NEW_SHARE) + value * NEW_SHARE;
}
