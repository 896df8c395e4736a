/**
 * Finds records of streams as of a position of the log.
 *
 * What is gone from a stream is a prefix of it, and a read that would need it is TRIMMED, never "none": of a guest's stream what
 * trims hide (F36); of any other what a collection may have let go of, which below the floor is unknown.
 */
import { NeapError } from "../errors.ts";
import { NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { isGuestTag } from "../tags.ts";
import type { BookState } from "./book-state.ts";
import type { Stream } from "./stream.ts";

/** The last record at or before `max`; 0 when there has been none. @throws TRIMMED */
export function lastUpTo(book: BookState, tag: Tag, max: SeqNum, at: SeqNum): SeqNum {
  const stream = book.streams.get(tag);
  const found = stream === undefined ? NO_SEQNUM : stream.atOrBefore(max < at ? max : at);
  const gone = goneUpTo(book, tag, stream, at);
  if (found > gone) {
    return found;
  }
  if ((gone !== NO_SEQNUM && max <= gone) || found !== NO_SEQNUM || (stream !== undefined && stream.base > 0)) {
    throw trimmed(book, tag, `up to ${max}`, gone);
  }
  return NO_SEQNUM;
}

/** The first record at or after `min`; 0 when there is none. @throws TRIMMED */
export function firstFrom(book: BookState, tag: Tag, min: SeqNum, at: SeqNum): SeqNum {
  const stream = book.streams.get(tag);
  const gone = goneUpTo(book, tag, stream, at);
  if (gone !== NO_SEQNUM && min <= gone) {
    throw trimmed(book, tag, `from ${min}`, gone);
  }
  const found = stream === undefined ? NO_SEQNUM : stream.atOrAfter(min);
  return found <= at ? found : NO_SEQNUM;
}

/** The position of the first record that reads as of now find. */
export function firstPosition(book: BookState, tag: Tag, stream: Stream, at: SeqNum): number {
  return isGuestTag(tag) ? stream.base + stream.countUpTo(book.trims.upTo(tag, at)) : stream.base;
}

/** The last seqnum at or below which records of the stream are, or may be, gone; 0 when none are. */
export function goneUpTo(book: BookState, tag: Tag, stream: Stream | undefined, at: SeqNum): SeqNum {
  if (isGuestTag(tag)) {
    return book.trims.upTo(tag, at);
  }
  const first = stream === undefined ? Number.POSITIVE_INFINITY : stream.first;
  // Below the floor a stream that is not there, or begins later, may have been collected as a whole.
  const known = stream !== undefined && stream.base > 0 ? first : Math.min(book.floor, first);
  return Math.max(known - 1, NO_SEQNUM) as SeqNum;
}

function trimmed(book: BookState, tag: Tag, what: string, gone: SeqNum): NeapError {
  return new NeapError("TRIMMED", `records of ${tag} ${what} are gone or may be: up to ${gone}; the floor is ${book.floor}`);
}
