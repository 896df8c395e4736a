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
 * G5. A mode record goes when no unfinished instance looks modes up below the one that follows it. PIN records do not hold modes.
 * G6. Of the two places of an object the one that is behind goes when the floor has passed it, never alone what hides it. What a cell
 *     held before goes when no transaction reads it any more.
 */
import type { InstanceId, SeqNum, Tag } from "../ids.ts";
import {
  attemptTag,
  DEFAULT_MODE_TAG,
  holdTag,
  LOCK_BREAKS_TAG,
  LOCK_TAG_PREFIX,
  MODES_TAG,
  modeTag,
  NAMES_TAG,
  objectKeyOf,
  objectTag,
  stepTag,
} from "../tags.ts";
import type { BookState, IndexedRecords } from "./book-state.ts";
import type { Collection } from "./collection.ts";
import type { Instance } from "./instances.ts";
import { RecordKind } from "./kinds.ts";
import { LOCK_BREAKS_KEPT } from "./lock-record.ts";

type Drop = (seqnum: SeqNum) => void;

/** What one of the sets below may let go of. */
interface Budget {
  readonly drop: Drop;
  /** Records and calls. */
  left: number;
}

/** @param timeMs  the GC record's own time */
export function collect(book: BookState, collection: Collection, timeMs: number, records: IndexedRecords): void {
  const drop = (seqnum: SeqNum) => records.drop(seqnum);
  if (collection.watermark > book.floor) {
    book.floor = collection.watermark;
  }
  const { piece } = collection;
  if (piece === undefined || piece.isFirst) {
    book.garbage = 0;
  }
  const budget = (): Budget => ({ drop, left: piece?.most ?? Number.POSITIVE_INFINITY });
  collectVersions(book, piece?.objects ?? book.superseded, records, budget());
  collectCells(book, piece?.cells ?? book.cells.ending, records, drop);
  book.trims.settle(book.floor, book.streams, drop);
  collectPassed(book, NAMES_TAG, budget());
  collectLocks(book, piece?.locks ?? book.locks.streams, budget());
  collectLockBreaks(book, budget());
  if (piece === undefined || piece.isFirst) {
    collectModes(book, budget());
  }
  collectRetained(book, collection, budget());
  collectInstances(book, piece?.instances ?? book.instances.ended.keys(), budget());
  collectExpired(book, expiredBefore(collection, timeMs), budget());
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

function collectVersions(book: BookState, objects: Iterable<Tag>, records: IndexedRecords, budget: Budget): void {
  const { drop } = budget;
  for (const object of objects) {
    const stream = book.streams.get(object);
    if (stream === undefined) {
      book.superseded.delete(object);
      continue;
    }
    budget.left -= stream.collectBefore(book.floor, drop, budget.left);
    if (stream.kept > 1) {
      continue;
    }
    const key = objectKeyOf(object);
    const isBehind = book.newest(object).home === "cell";
    if (records.kindOf(stream.last) !== RecordKind.delete && !isBehind) {
      book.superseded.delete(object);
    } else if (stream.last <= book.floor) {
      book.superseded.delete(object);
      free(book, object, drop);
      if (!isBehind) {
        book.cells.remove(key, drop);
        book.names.remove(key);
      }
    }
  }
}

function collectCells(book: BookState, keys: Iterable<string>, records: IndexedRecords, drop: Drop): void {
  for (const key of keys) {
    book.cells.prune(key, drop);
    const cell = book.cells.get(key);
    if (cell?.earlier !== undefined) {
      continue;
    }
    const object = objectTag(key);
    const { home } = book.newest(object);
    const isDeleted = home === "cell" && cell !== undefined && records.kindOf(cell.entry) === RecordKind.delete;
    if (home !== "versions" && !isDeleted) {
      book.cells.ending.delete(key);
    } else if (cell !== undefined && cell.entry <= book.floor && (home === "versions" || !book.streams.has(object))) {
      book.cells.remove(key, drop);
      if (isDeleted) {
        book.names.remove(key);
      }
    }
  }
}

/**
 * Of a stream that is read at cursors for its last position only. When all of it is below the floor it may go as a whole: whoever
 * began below the floor is done, so nobody takes "none" for what was there.
 */
function collectPassed(book: BookState, tag: Tag, budget: Budget): void {
  const stream = book.streams.get(tag);
  if (stream === undefined) {
    return;
  }
  budget.left -= stream.collectBefore(book.floor, budget.drop, budget.left);
  if (stream.kept === 1 && stream.last <= book.floor) {
    free(book, tag, budget.drop);
  }
}

/** Of a held lock the last records stay: conditions name them. */
function collectLocks(book: BookState, tags: Iterable<Tag>, budget: Budget): void {
  for (const tag of tags) {
    const hold = holdTag(tag.slice(LOCK_TAG_PREFIX.length));
    if (book.locks.held.has(tag)) {
      for (const one of [tag, hold]) {
        budget.left -= book.streams.get(one)?.collectBefore(book.floor, budget.drop, budget.left) ?? 0;
      }
    } else {
      collectPassed(book, tag, budget);
      collectPassed(book, hold, budget);
      if (!book.streams.has(tag) && !book.streams.has(hold)) {
        book.locks.streams.delete(tag);
      }
    }
  }
}

/** Nobody reads them at a cursor, so they may go whatever the floor is. */
function collectLockBreaks(book: BookState, { drop, left }: Budget): void {
  const breaks = book.streams.get(LOCK_BREAKS_TAG);
  breaks?.collectFirst(Math.min(left, Math.max(0, breaks.kept - LOCK_BREAKS_KEPT)), drop);
}

function collectModes(book: BookState, budget: Budget): void {
  const from = Math.min(book.floor, book.instances.modesAt()) as SeqNum;
  for (const tag of [MODES_TAG, DEFAULT_MODE_TAG, ...Array.from(book.scopes.byName.keys(), modeTag)]) {
    budget.left -= book.streams.get(tag)?.collectBefore(from, budget.drop, budget.left) ?? 0;
  }
}

/** Results that nobody may ask for any more: their streams go as those of other instances do. */
function collectRetained(book: BookState, collection: Collection, { left }: Budget): void {
  const { instances, expiring } = book;
  for (const instance of takeWhile(instances.retained, left, (one) => isExpired(one, collection))) {
    expiring.push({ tags: instance.resultTags, done: instance.done, doneMs: instance.doneMs });
    instances.join(instance);
  }
}

/** A collected caller's children join those that have ended while they are walked. */
function collectInstances(book: BookState, ids: Iterable<InstanceId>, budget: Budget): void {
  const { ended } = book.instances;
  for (const id of ids) {
    const instance = ended.get(id);
    if (instance !== undefined && isPassed(instance, book.floor) && collectInstance(book, instance, budget)) {
      ended.delete(id);
    }
  }
}

/** Returns whether nothing of it is left. */
function collectInstance(book: BookState, instance: Instance, budget: Budget): boolean {
  const steps = book.streams.get(stepTag(instance.id));
  const count = Math.min(budget.left, steps?.kept ?? 0);
  budget.left -= count;
  if (steps !== undefined && count < steps.kept) {
    steps.collectFirst(count, budget.drop);
    return false;
  }
  free(book, stepTag(instance.id), budget.drop);
  free(book, attemptTag(instance.id), budget.drop);
  const children = instance.children.splice(0, budget.left);
  budget.left -= children.length;
  for (const child of children) {
    book.instances.orphan(child);
  }
  return instance.children.length === 0;
}

function collectExpired(book: BookState, beforeMs: number, { drop, left }: Budget): void {
  for (const { tags } of takeWhile(book.expiring, left, (one) => one.doneMs < beforeMs)) {
    for (const tag of tags) {
      free(book, tag, drop);
    }
  }
}

/** Removes and returns the first ones that pass, `most` at most. */
function takeWhile<T>(list: T[], most: number, passes: (one: T) => boolean): T[] {
  let count = 0;
  while (count < Math.min(list.length, most) && passes(list[count] as T)) {
    count += 1;
  }
  return list.splice(0, count);
}

function free(book: BookState, tag: Tag, drop: Drop): void {
  book.streams.get(tag)?.collectAll(drop);
  book.streams.delete(tag);
}
