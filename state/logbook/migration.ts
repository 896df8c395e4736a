/**
 * Brings the newest write of each object of a scope that is being switched to where the new mode looks for it.
 *
 * T1. Only the index changes: an entry that is in one place gets its second one. So nothing is copied, and the two places agree on
 *     its seqnum, size and time.
 * T2. A migrated record handles a bounded number of objects, chosen by the log before it, the same at replay.
 */
import type { SeqNum } from "../ids.ts";
import { objectTag } from "../tags.ts";
import type { BookState, IndexedRecords } from "./book-state.ts";
import { ownVersion } from "./cells.ts";
import { scopeOf } from "./modes.ts";
import type { Scope } from "./scopes.ts";
import { Stream } from "./stream.ts";

/** Objects that one record handles at most: no unit of work is long. */
const STEP_MAX = 256;

/** Whether every object of the scope is the same in both of its places. */
export function isMigrated(scope: Scope): boolean {
  return scope.walkedTo === null && scope.unsettled.size === 0;
}

/** @param seqnum  of the migrated record */
export function migrate(book: BookState, name: string, seqnum: SeqNum, records: IndexedRecords): void {
  const scope = book.scopes.get(name);
  if (scope === undefined || scope.to === null) {
    return;
  }
  for (const key of scope.walkedTo === null ? firstOf(scope.unsettled) : walk(book, name, scope)) {
    bringTogether(book, key, seqnum, records);
    scope.unsettled.delete(key);
  }
}

function firstOf(keys: Iterable<string>): string[] {
  const first: string[] = [];
  for (const key of keys) {
    if (first.length === STEP_MAX) {
      break;
    }
    first.push(key);
  }
  return first;
}

/** The next ones of the scope, in the order of their names. */
function walk(book: BookState, name: string, scope: Scope): string[] {
  const found: string[] = [];
  let visited = 0;
  let last: string | null = null;
  book.names.visit(name === "" ? "" : `${name}/`, scope.walkedTo ?? "", (key) => {
    if (visited === STEP_MAX) {
      return false;
    }
    visited++;
    last = key;
    if (scopeOf(key) === name) {
      found.push(key);
    }
    return true;
  });
  scope.walkedTo = visited === STEP_MAX ? last : null;
  return found;
}

function bringTogether(book: BookState, key: string, seqnum: SeqNum, records: IndexedRecords): void {
  const object = objectTag(key);
  const stream = book.streams.get(object);
  const { home } = book.newest(object);
  if (home === "versions" && stream !== undefined) {
    records.hold(stream.last);
    book.putCell(key, ownVersion(stream.last), stream.last, seqnum);
  }
  const cell = book.cells.get(key);
  if (home === "cell" && cell !== undefined) {
    // It is above the stream's last record: its version is, and no entry lies below its version.
    // It is its own version from now on: the writers that a lower one could have come from are done.
    records.hold(cell.entry);
    records.hold(cell.entry);
    book.putCell(key, ownVersion(cell.entry), cell.entry, seqnum);
    const versions = stream ?? new Stream();
    versions.push(cell.entry);
    book.streams.set(object, versions);
    book.superseded.add(object);
  }
}
