/** Decides whether a request may be ordered (F10, F11, F14, F31). The only place: replay asserts what was decided here (F19). */
import { NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import type { BookState } from "./book-state.ts";
import type { AppendResult, Condition, LogRecord, NewRecord } from "./logbook.ts";
import type { Stream } from "./stream.ts";

export type Refusal = Exclude<AppendResult, { kind: "appended" }>;

/** Why a request must not be ordered now; undefined when it may. Conditions come first and in their order, so the own step is reported first. */
export function refusal(
  book: BookState,
  records: readonly NewRecord[],
  when: readonly Condition[],
  tail: SeqNum,
  read: (seqnum: SeqNum) => LogRecord,
): Refusal | undefined {
  for (const condition of when) {
    const refused =
      "newest" in condition
        ? changed(book, condition, tail, read)
        : failed(book.streams.get(condition.tag), condition, tail, read);
    if (refused !== undefined) {
      return refused;
    }
  }
  for (const { initialCursor, tags } of records) {
    if (initialCursor !== undefined && initialCursor < book.floor) {
      return { kind: "stale", floor: book.floor };
    }
    for (const tag of tags) {
      const stream = book.streams.get(tag);
      if (stream?.closed) {
        return closed(stream, tag, tail, read);
      }
    }
  }
  return undefined;
}

/** The object's newest write is another one. */
function changed(
  book: BookState,
  { tag, newest }: Extract<Condition, { newest: SeqNum }>,
  tail: SeqNum,
  read: (seqnum: SeqNum) => LogRecord,
): Refusal | undefined {
  const { seqnum } = book.newest(tag);
  return seqnum === newest ? undefined : { kind: "conflict", tag, existing: existing(seqnum, read), tail };
}

function failed(
  stream: Stream | undefined,
  condition: Exclude<Condition, { newest: SeqNum }>,
  tail: SeqNum,
  read: (seqnum: SeqNum) => LogRecord,
): Refusal | undefined {
  const { tag } = condition;
  if (stream?.closed) {
    return closed(stream, tag, tail, read);
  }
  if ("last" in condition) {
    const last = stream === undefined ? NO_SEQNUM : stream.last;
    return last === condition.last ? undefined : { kind: "conflict", tag, existing: existing(last, read), tail };
  }
  const length = stream === undefined ? 0 : stream.length;
  if (length < condition.length) {
    return { kind: "badPosition", tag, length, tail };
  }
  if (length > condition.length) {
    return { kind: "conflict", tag, existing: existing(stream?.at(condition.length) ?? NO_SEQNUM, read), tail };
  }
  return undefined;
}

function closed(stream: Stream, tag: Tag, tail: SeqNum, read: (seqnum: SeqNum) => LogRecord): Refusal {
  return { kind: "closed", tag, done: existing(stream.last, read), tail };
}

function existing(seqnum: SeqNum, read: (seqnum: SeqNum) => LogRecord): LogRecord | null {
  return seqnum === NO_SEQNUM ? null : read(seqnum);
}
