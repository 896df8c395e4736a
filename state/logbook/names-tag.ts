/**
 * Says of each record whether it changes which objects exist, by a tag of its own: a list depends on the stream of that tag (F14).
 *
 * The owner adds the tag when it orders, as only it knows then whether the object exists; the record in the journal has it, so that
 * replay asserts conditions on lists like all others (F19). A write of an object that exists already costs a look-up and stays as
 * it is.
 */
import { NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { isObjectTag, NAMES_TAG, objectTag } from "../tags.ts";
import type { BookState } from "./book-state.ts";
import { RecordKind } from "./kinds.ts";
import type { NewRecord } from "./logbook.ts";

/** The records as they are journalled. A request is judged by what was before it: if any of its records changes a name, one says so. */
export function withNames(
  book: BookState,
  records: readonly NewRecord[],
  kindOf: (seqnum: SeqNum) => RecordKind,
): readonly NewRecord[] {
  let named: NewRecord[] | undefined;
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as NewRecord;
    if (changesNames(book, record, kindOf)) {
      named ??= [...records];
      named[i] = { ...record, tags: [...record.tags, NAMES_TAG] };
    }
  }
  return named ?? records;
}

function changesNames(book: BookState, { kind, tags, cell }: NewRecord, kindOf: (seqnum: SeqNum) => RecordKind): boolean {
  if (kind !== RecordKind.write && kind !== RecordKind.delete) {
    return false;
  }
  const changes = (object: Tag): boolean => {
    const { seqnum } = book.newest(object);
    const exists = seqnum !== NO_SEQNUM && kindOf(seqnum) === RecordKind.write;
    return exists !== (kind === RecordKind.write);
  };
  if (cell !== undefined && changes(objectTag(cell.key))) {
    return true;
  }
  for (let i = 0; i < tags.length; i++) {
    const tag = tags[i] as Tag;
    if (isObjectTag(tag) && changes(tag)) {
      return true;
    }
  }
  return false;
}
