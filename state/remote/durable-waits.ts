import { NO_SEQNUM, type SeqNum } from "../ids.ts";

interface Wait {
  readonly seqnum: SeqNum;
  readonly promise: Promise<void>;
}

/**
 * Waits for durability, with few questions: those of one moment share one question for the highest seqnum, and one for a lower
 * seqnum than is being asked for rides along.
 */
export class DurableWaits {
  readonly #ask: (seqnum: SeqNum) => Promise<unknown>;
  #known: SeqNum = NO_SEQNUM;
  /** The questions on their way, ascending. */
  #asked: Wait[] = [];
  #next: { highest: SeqNum; readonly promise: Promise<void> } | undefined;

  /** @param ask  resolves when everything up to the seqnum is durable, rejects when it will never be known */
  constructor(ask: (seqnum: SeqNum) => Promise<unknown>) {
    this.#ask = ask;
  }

  wait(seqnum: SeqNum): Promise<void> {
    if (seqnum <= this.#known) {
      return Promise.resolve();
    }
    const riding = this.#asked.find((one) => one.seqnum >= seqnum);
    if (riding !== undefined) {
      return riding.promise;
    }
    if (this.#next === undefined) {
      this.#next = { highest: seqnum, promise: Promise.resolve().then(() => this.#askNext()) };
    } else if (seqnum > this.#next.highest) {
      this.#next.highest = seqnum;
    }
    return this.#next.promise;
  }

  async #askNext(): Promise<void> {
    const next = this.#next;
    if (next === undefined) {
      return;
    }
    this.#next = undefined;
    const wait = { seqnum: next.highest, promise: next.promise };
    this.#asked.push(wait);
    try {
      await this.#ask(wait.seqnum);
      this.#known = Math.max(this.#known, wait.seqnum) as SeqNum;
    } finally {
      this.#asked = this.#asked.filter((one) => one !== wait);
    }
  }
}
