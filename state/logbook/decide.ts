/** Decides whether a request may be ordered (F10, F11, F14, F31). The only place: replay asserts what was decided here (F19). */
import { MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { isGuestTag } from "../tags.ts";
import type { BookState } from "./book-state.ts";
import { endsInstance, RecordKind } from "./kinds.ts";
import type { AppendResult, Condition, LogRecord, NewRecord } from "./logbook.ts";

export type Refusal = Exclude<AppendResult, { kind: "appended" }>;

type Read = (seqnum: SeqNum) => LogRecord;

/** Why a request must not be ordered now; undefined when it may. Conditions come first and in their order, so the own step is reported first. */
export function refusal(
  book: BookState,
  records: readonly NewRecord[],
  when: readonly Condition[],
  tail: SeqNum,
  read: Read,
): Refusal | undefined {
  for (const condition of when) {
    const refused = "newest" in condition ? changed(book, condition, tail, read) : failed(book, condition, tail, read);
    if (refused !== undefined) {
      return refused;
    }
  }
  for (const { kind, initialCursor, tags } of records) {
    if (initialCursor !== undefined && initialCursor < book.floor) {
      return { kind: "stale", floor: book.floor };
    }
    for (const tag of tags) {
      const stream = book.streams.get(tag);
      if (stream?.closed) {
        return { kind: "closed", tag, done: existing(book, tag, stream.last, read), tail };
      }
      // What an attempt read after the PIN, at the cursor before it, may be collected: it reloads and goes on from RESUME (F25).
      if (book.awaitingResume.size > 0 && book.awaitingResume.has(tag) && kind !== RecordKind.resume && !endsInstance(kind)) {
        return { kind: "badPosition", tag, length: stream?.length ?? 0, tail };
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
  read: Read,
): Refusal | undefined {
  const { seqnum } = book.newest(tag);
  return seqnum === newest ? undefined : { kind: "conflict", tag, existing: existing(book, tag, seqnum, read), tail };
}

function failed(
  book: BookState,
  condition: Exclude<Condition, { newest: SeqNum }>,
  tail: SeqNum,
  read: Read,
): Refusal | undefined {
  const { tag } = condition;
  const stream = book.streams.get(tag);
  if (stream?.closed) {
    return { kind: "closed", tag, done: existing(book, tag, stream.last, read), tail };
  }
  if ("last" in condition) {
    const last = stream === undefined ? NO_SEQNUM : book.trims.lastOf(tag, stream, MAX_SEQNUM);
    return last === condition.last
      ? undefined
      : { kind: "conflict", tag, existing: existing(book, tag, stream?.last ?? NO_SEQNUM, read), tail };
  }
  const length = stream === undefined ? 0 : stream.length;
  if (length < condition.length) {
    return { kind: "badPosition", tag, length, tail };
  }
  if (length > condition.length) {
    return { kind: "conflict", tag, existing: existing(book, tag, stream?.at(condition.length) ?? NO_SEQNUM, read), tail };
  }
  return undefined;
}

/** The record that stood in the way; null when it was collected or trimmed, whether or not its bytes are still there. */
function existing(book: BookState, tag: Tag, seqnum: SeqNum, read: Read): LogRecord | null {
  const isGone = seqnum === NO_SEQNUM || (isGuestTag(tag) && seqnum <= book.trims.upTo(tag, MAX_SEQNUM));
  return isGone ? null : read(seqnum);
}
