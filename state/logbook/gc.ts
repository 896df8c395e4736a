/**
 * What a GC record collects from the index of its LogBook.
 *
 * G1. Every unfinished instance reads at or above the watermark, or what its PIN records hold (F25). So the newest version of an
 *     object at or below it stays, with all newer ones; older ones cannot be read any more. A delete as the only version left goes
 *     too: absent is absent.
 * G2. A step stream goes when its instance is done, the watermark has passed its DONE, and nobody needs the result. No tombstone is
 *     left: copies of the instance began before its DONE, so `stale` refuses their first step, `badPosition` all others (F20).
 * G3. The result of a keyed call is needed while it is retained, that of a child while the caller's stream is there. Key and call id
 *     go after twice the retention.
 * G4. What trims of guests hide goes when the floor has passed the trim's own record; length and last seqnum of the stream stay.
 * G5. Of the two places of an object the one that is behind goes when the floor has passed it, never alone what hides it.
 */
import type { SeqNum, Tag } from "../ids.ts";
import { attemptTag, holdTag, LOCK_TAG_PREFIX, NAMES_TAG, OBJECT_TAG_PREFIX, objectTag, stepTag } from "../tags.ts";
import type { BookState, IndexedRecords } from "./book-state.ts";
import type { Collection } from "./collection.ts";
import type { Instance } from "./instances.ts";
import { RecordKind } from "./kinds.ts";

type Drop = (seqnum: SeqNum) => void;

/** @param timeMs  the GC record's own time */
export function collect(book: BookState, collection: Collection, timeMs: number, records: IndexedRecords): void {
  const drop = (seqnum: SeqNum) => records.drop(seqnum);
  if (collection.watermark > book.floor) {
    book.floor = collection.watermark;
  }
  book.garbage = 0;
  collectVersions(book, records, drop);
  collectCells(book, records, drop);
  book.trims.settle(book.floor, book.streams, drop);
  collectPassed(book, NAMES_TAG, drop);
  collectLocks(book, drop);
  collectInstances(book, collection, drop);
  collectExpired(book, expiredBefore(collection, timeMs), drop);
}

/** Whether this collection would end the retention of a result, or of the key to one, or let go of what a trim hides. */
export function isDue(book: BookState, collection: Collection, nowMs: number): boolean {
  const retained = book.instances.retained[0];
  const expiring = book.expiring[0];
  return (
    book.trims.isDue(collection.watermark) ||
    (retained !== undefined && isExpired(retained, collection)) ||
    (expiring !== undefined && expiring.doneMs < expiredBefore(collection, nowMs))
  );
}

function isExpired(instance: Instance, collection: Collection): boolean {
  return instance.doneMs < collection.retainSinceMs && isPassed(instance, collection.watermark);
}

/** Every copy of it, also one that has logged nothing, began at a cursor below this floor: it cannot begin again (F20). */
function isPassed(instance: Instance, floor: SeqNum): boolean {
  return instance.done < floor;
}

/** Twice the retention ago: the record's time and `retainSinceMs` are one retention apart. */
function expiredBefore(collection: Collection, timeMs: number): number {
  return collection.retainSinceMs - (timeMs - collection.retainSinceMs);
}

function collectVersions(book: BookState, records: IndexedRecords, drop: Drop): void {
  for (const object of book.superseded) {
    const stream = book.streams.get(object);
    if (stream === undefined) {
      book.superseded.delete(object);
      continue;
    }
    stream.collectBefore(book.floor, drop);
    if (stream.kept > 1) {
      continue;
    }
    const key = object.slice(OBJECT_TAG_PREFIX.length);
    const isBehind = book.newest(object).home === "cell";
    if (records.kindOf(stream.last) !== RecordKind.delete && !isBehind) {
      book.superseded.delete(object);
    } else if (stream.last <= book.floor) {
      book.superseded.delete(object);
      free(book, object, drop);
      if (!isBehind) {
        removeCell(book, key, drop);
        book.names.remove(key);
      }
    }
  }
}

function collectCells(book: BookState, records: IndexedRecords, drop: Drop): void {
  for (const key of book.cells.ending) {
    const cell = book.cells.get(key);
    const object = objectTag(key);
    const { home } = book.newest(object);
    const isDeleted = home === "cell" && cell !== undefined && records.kindOf(cell.entry) === RecordKind.delete;
    if (home !== "versions" && !isDeleted) {
      book.cells.ending.delete(key);
    } else if (cell !== undefined && cell.entry <= book.floor && (home === "versions" || !book.streams.has(object))) {
      removeCell(book, key, drop);
      if (isDeleted) {
        book.names.remove(key);
      }
    }
  }
}

function removeCell(book: BookState, key: string, drop: Drop): void {
  const cell = book.cells.get(key);
  if (cell !== undefined) {
    drop(cell.entry);
    book.cells.remove(key);
  }
}

/**
 * Of a stream that is read at cursors for its last position only. When all of it is below the floor it may go as a whole: whoever
 * began below the floor is done, so nobody takes "none" for what was there.
 */
function collectPassed(book: BookState, tag: Tag, drop: Drop): void {
  const stream = book.streams.get(tag);
  if (stream === undefined) {
    return;
  }
  if (stream.last <= book.floor) {
    free(book, tag, drop);
  } else {
    stream.collectBefore(book.floor, drop);
  }
}

/** Of a held lock the last records stay: conditions name them. */
function collectLocks(book: BookState, drop: Drop): void {
  for (const tag of book.locks.streams) {
    const hold = holdTag(tag.slice(LOCK_TAG_PREFIX.length));
    if (book.locks.held.has(tag)) {
      book.streams.get(tag)?.collectBefore(book.floor, drop);
      book.streams.get(hold)?.collectBefore(book.floor, drop);
    } else {
      collectPassed(book, tag, drop);
      collectPassed(book, hold, drop);
      if (!book.streams.has(tag) && !book.streams.has(hold)) {
        book.locks.streams.delete(tag);
      }
    }
  }
}

function collectInstances(book: BookState, collection: Collection, drop: Drop): void {
  const { instances } = book;
  for (const instance of takeWhile(instances.retained, (one) => isExpired(one, collection))) {
    book.expiring.push({ tags: instance.resultTags, done: instance.done, doneMs: instance.doneMs });
    collectInstance(book, instance, drop);
  }
  // A collected caller's children join the list while it is walked.
  const waiting: Instance[] = [];
  for (let next = instances.ended.pop(); next !== undefined; next = instances.ended.pop()) {
    if (isPassed(next, book.floor)) {
      collectInstance(book, next, drop);
    } else {
      waiting.push(next);
    }
  }
  instances.ended = waiting;
}

function collectInstance(book: BookState, instance: Instance, drop: Drop): void {
  free(book, stepTag(instance.id), drop);
  free(book, attemptTag(instance.id), drop);
  for (const child of instance.children) {
    book.instances.orphan(child);
  }
}

function collectExpired(book: BookState, beforeMs: number, drop: Drop): void {
  for (const { tags } of takeWhile(book.expiring, (one) => one.doneMs < beforeMs)) {
    for (const tag of tags) {
      free(book, tag, drop);
    }
  }
}

/** Removes and returns the first ones that pass. */
function takeWhile<T>(list: T[], passes: (one: T) => boolean): T[] {
  const kept = list.findIndex((one) => !passes(one));
  return list.splice(0, kept < 0 ? list.length : kept);
}

function free(book: BookState, tag: Tag, drop: Drop): void {
  book.streams.get(tag)?.collectAll(drop);
  book.streams.delete(tag);
}
