/** Decides whether a request may be ordered (F10, F11, F14, F31). The only place: replay asserts what was decided here (F19). */
import { MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { isGuestTag, stepTag } from "../tags.ts";
import type { BookState } from "./book-state.ts";
import { compareVersions } from "./cells.ts";
import { instanceOfAttemptTag } from "./instances.ts";
import { endsInstance, RecordKind } from "./kinds.ts";
import type { AppendResult, Condition, LogRecord, NewRecord } from "./logbook.ts";
import { pinHeadOf } from "./pin-record.ts";

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
  for (const { kind, initialCursor, tags, data } of records) {
    if (initialCursor !== undefined && initialCursor < book.floor) {
      return { kind: "stale", floor: book.floor };
    }
    if (kind === RecordKind.pin) {
      const written = unknownWrite(book, tags[0], data);
      if (written !== undefined) {
        return { kind: "badPosition", tag: written, length: book.streams.get(written)?.length ?? 0, tail };
      }
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

/**
 * Somebody has written without a step where the attempt that made the PIN has not come to: behind the RESUME that would be written
 * again, over what has come between (F25). The step stream of the instance.
 */
function unknownWrite(book: BookState, attempts: Tag | undefined, data: Uint8Array): Tag | undefined {
  const id = instanceOfAttemptTag(attempts);
  const instance = id === undefined ? undefined : book.instances.unfinished.get(id);
  const unlogged = instance === undefined ? undefined : book.unlogged.get(instance.first);
  if (instance === undefined || unlogged === undefined) {
    return undefined;
  }
  const steps = stepTag(instance.id);
  const { written } = pinHeadOf(data);
  const isKnown = written !== null && compareVersions(unlogged.version, written) <= 0;
  return isKnown || book.streams.get(steps)?.length !== unlogged.length ? undefined : steps;
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
