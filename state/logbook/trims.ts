/**
 * What trims have taken away from the streams of a LogBook's guests: part of the fold (B1).
 *
 * T1. A trim takes effect at its own position: a read as of an earlier one still finds what it hides. So attempts that read at an
 *     older cursor, and their replays, all find the same (F4, F36).
 * T2. What it hides is let go of when a collection's floor has passed its record: nobody reads as of an earlier position any more.
 * T3. A stream keeps its length, its last seqnum and whether it is closed for ever, so that no condition that failed can hold again
 *     (F14): some 270 bytes and the tag for a stream that was trimmed as a whole.
 */
import { NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import type { Stream } from "./stream.ts";
import type { Trim } from "./trim.ts";

/** The trims of one stream, or those of all streams. */
export class TrimPoint {
  /** Up to here all is let go of. */
  settled: SeqNum = NO_SEQNUM;
  /** Later ones, ascending in both: `seqnum` of the trim's record, and the last seqnum it hides. */
  readonly pending: { readonly seqnum: SeqNum; readonly upTo: SeqNum }[] = [];
  /** Of the stream's last record that is let go of. */
  last: SeqNum = NO_SEQNUM;

  /** The last seqnum that is hidden from reads as of `at`. */
  upTo(at: SeqNum): SeqNum {
    return this.pending.findLast(({ seqnum }) => seqnum <= at)?.upTo ?? this.settled;
  }

  /** Returns whether it hides more than those before. */
  add(seqnum: SeqNum, upTo: SeqNum): boolean {
    if (upTo <= (this.pending.at(-1)?.upTo ?? this.settled)) {
      return false;
    }
    this.pending.push({ seqnum, upTo });
    return true;
  }

  settle(floor: SeqNum): void {
    this.settled = this.upTo(floor);
    const later = this.pending.findIndex(({ seqnum }) => seqnum > floor);
    this.pending.splice(0, later < 0 ? this.pending.length : later);
  }
}

/** Records and streams that one collection lets go of at most: about 1 ms of work. The rest is due for the next. */
export const LET_GO_MAX = 500;

export class Trims {
  readonly all = new TrimPoint();
  readonly byTag = new Map<Tag, TrimPoint>();
  /** The streams of guests, in the order in which they began. */
  readonly tags: Tag[] = [];
  /** Trims that are not settled, in their order. */
  readonly waiting: { readonly seqnum: SeqNum; readonly tag: Tag | null }[] = [];
  /** What a trim of all streams hides is still to be let go of in `tags` from here … */
  sweepFrom = 0;
  /** … up to here, this one not included. */
  sweepTo = 0;

  /** @param seqnum  of the record: nothing later is hidden, whatever it names */
  add(seqnum: SeqNum, { tag, upTo }: Trim): void {
    const point = tag === null ? this.all : this.#point(tag);
    if (point.add(seqnum, Math.min(upTo, seqnum) as SeqNum)) {
      this.waiting.push({ seqnum, tag });
    }
  }

  /** The last seqnum of a guest's stream that is hidden from reads as of `at`; 0 when none is. */
  upTo(tag: Tag, at: SeqNum): SeqNum {
    const all = this.all.upTo(at);
    const own = this.byTag.get(tag)?.upTo(at) ?? NO_SEQNUM;
    return Math.max(own, all) as SeqNum;
  }

  /** The seqnum of a stream's last record as of `at`, which no settled trim is later than; also when that is let go of. */
  lastOf(tag: Tag, stream: Stream, at: SeqNum): SeqNum {
    const kept = stream.atOrBefore(at);
    return kept === NO_SEQNUM ? (this.byTag.get(tag)?.last ?? NO_SEQNUM) : kept;
  }

  /** Whether a collection at this watermark would let go of something. */
  isDue(watermark: SeqNum): boolean {
    const first = this.waiting[0];
    return this.sweepFrom < this.sweepTo || (first !== undefined && first.seqnum <= watermark);
  }

  /** Lets go of what trims at or below `floor` hide (T2), as far as LET_GO_MAX allows. */
  settle(floor: SeqNum, streams: ReadonlyMap<Tag, Stream>, drop: (seqnum: SeqNum) => void): void {
    let left = LET_GO_MAX;
    let settled = 0;
    for (const { seqnum, tag } of this.waiting) {
      if (seqnum > floor || left <= 0) {
        break;
      }
      if (tag === null) {
        this.all.settle(floor);
        this.sweepFrom = 0;
        this.sweepTo = this.tags.length;
      } else {
        this.#point(tag).settle(floor);
        left -= 1 + this.#letGo(tag, streams.get(tag), left, drop);
      }
      settled += left > 0 ? 1 : 0;
    }
    this.waiting.splice(0, settled);
    while (left > 0 && this.sweepFrom < this.sweepTo) {
      const tag = this.tags[this.sweepFrom] as Tag;
      left -= 1 + this.#letGo(tag, streams.get(tag), left, drop);
      this.sweepFrom += left > 0 ? 1 : 0;
    }
  }

  /** Returns how many records it has let go of. */
  #letGo(tag: Tag, stream: Stream | undefined, limit: number, drop: (seqnum: SeqNum) => void): number {
    const upTo = Math.max(this.all.settled, this.byTag.get(tag)?.settled ?? NO_SEQNUM) as SeqNum;
    const count = stream === undefined ? 0 : Math.min(stream.countUpTo(upTo), limit);
    if (stream !== undefined && count > 0) {
      this.#point(tag).last = stream.at(stream.base + count - 1);
      stream.collectFirst(count, drop);
    }
    return count;
  }

  #point(tag: Tag): TrimPoint {
    let point = this.byTag.get(tag);
    if (point === undefined) {
      point = new TrimPoint();
      this.byTag.set(tag, point);
    }
    return point;
  }
}
