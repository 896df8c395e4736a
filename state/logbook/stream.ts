import { NO_SEQNUM, type SeqNum } from "../ids.ts";

/**
 * The records of one tag, by their seqnums. Only a prefix is ever collected, so a record that is found is always the right one.
 * The last seqnum has a field of its own: most streams have one or two records, and conditions ask for the end.
 */
export class Stream {
  /** Records collected before the first one kept. */
  base = 0;
  /** Of the last record; 0 when none is kept. */
  last: SeqNum = NO_SEQNUM;
  closed = false;
  /** All kept ones before the last, ascending. */
  earlier: SeqNum[] | undefined = undefined;

  /** Records ever appended, collected ones included. */
  get length(): number {
    return this.base + this.kept;
  }

  get kept(): number {
    return this.last === NO_SEQNUM ? 0 : 1 + (this.earlier === undefined ? 0 : this.earlier.length);
  }

  /** Of the first record kept; above every seqnum when none is. */
  get first(): number {
    return this.earlier?.[0] ?? (this.last === NO_SEQNUM ? Number.POSITIVE_INFINITY : this.last);
  }

  push(seqnum: SeqNum): void {
    if (this.last !== NO_SEQNUM) {
      if (this.earlier === undefined) {
        this.earlier = [this.last];
      } else {
        this.earlier.push(this.last);
      }
    }
    this.last = seqnum;
  }

  /** Of the record at a position; 0 when it was collected or is beyond the end. */
  at(position: number): SeqNum {
    if (position === this.length - 1) {
      return this.last;
    }
    return this.earlier?.[position - this.base] ?? NO_SEQNUM;
  }

  /** The last seqnum at or before `max`; 0 when none is kept there. */
  atOrBefore(max: SeqNum): SeqNum {
    if (this.last <= max) {
      return this.last;
    }
    const index = this.#countUpTo(max) - 1;
    return this.earlier?.[index] ?? NO_SEQNUM;
  }

  /** The first seqnum at or after `min`; 0 when none is kept there. */
  atOrAfter(min: SeqNum): SeqNum {
    return this.earlier?.[this.#countUpTo((min - 1) as SeqNum)] ?? (this.last >= min ? this.last : NO_SEQNUM);
  }

  /** How many kept ones are at or before `max`. */
  countUpTo(max: SeqNum): number {
    return this.last !== NO_SEQNUM && this.last <= max ? this.kept : this.#countUpTo(max);
  }

  /** Collects the first `count` records. */
  collectFirst(count: number, drop: (seqnum: SeqNum) => void): void {
    if (count === this.kept) {
      this.collectAll(drop);
    } else {
      this.#collectEarlier(count, drop);
    }
  }

  /** Collects every record before the last one at or before `watermark`, but `most` at most. Returns how many. */
  collectBefore(watermark: SeqNum, drop: (seqnum: SeqNum) => void, most: number): number {
    const count = Math.min(most, Math.max(0, this.countUpTo(watermark) - 1));
    this.#collectEarlier(count, drop);
    return count;
  }

  #collectEarlier(count: number, drop: (seqnum: SeqNum) => void): void {
    if (this.earlier === undefined || count === 0) {
      return;
    }
    const gone = this.earlier.splice(0, count);
    this.base += gone.length;
    gone.forEach(drop);
    if (this.earlier.length === 0) {
      this.earlier = undefined;
    }
  }

  /** Collects every record. */
  collectAll(drop: (seqnum: SeqNum) => void): void {
    this.base = this.length;
    this.earlier?.forEach(drop);
    this.earlier = undefined;
    if (this.last !== NO_SEQNUM) {
      drop(this.last);
      this.last = NO_SEQNUM;
    }
  }

  /** How many of the earlier ones are at or before `max`. */
  #countUpTo(max: SeqNum): number {
    const seqnums = this.earlier;
    if (seqnums === undefined) {
      return 0;
    }
    let low = 0;
    let high = seqnums.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const seqnum = seqnums[middle];
      if (seqnum !== undefined && seqnum <= max) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
