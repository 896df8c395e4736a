/**
 * Cuts a collection into pieces. What is in a piece is the owner's choice and is told by its record, so that every fold collects the
 * same whatever the order of its sets (B2).
 */
import type { InstanceId, SeqNum, Tag } from "../ids.ts";
import { holdTag, LOCK_TAG_PREFIX, NAMES_TAG } from "../tags.ts";
import type { BookState } from "./book-state.ts";
import type { Piece } from "./collection.ts";
import type { Stream } from "./stream.ts";

/** Names of each sort in a piece, and records that they let go of together: less than a millisecond of work. */
export const PIECE_NAMES = 100;
export const PIECE_RECORDS = 500;
/** Entries that are looked at for one piece. */
const LOOKS_MAX = 1_000;

export class Sweep {
  readonly #book: BookState;
  readonly #watermark: SeqNum;
  readonly #doneBeforeMs: number;
  /** Instances that have ended too lately. */
  left = 0;
  readonly #objects: Iterator<Tag>;
  readonly #cells: Iterator<string>;
  readonly #locks: Iterator<Tag>;
  readonly #instances: Iterator<InstanceId>;
  #last: Piece | null = null;
  #looks = 0;

  /** @param doneBeforeMs  instances that have ended since are left to the next one */
  constructor(book: BookState, watermark: SeqNum, doneBeforeMs: number) {
    this.#book = book;
    this.#watermark = watermark;
    this.#doneBeforeMs = doneBeforeMs;
    this.#objects = book.superseded.values();
    this.#cells = book.cells.ending.values();
    this.#locks = book.locks.streams.values();
    this.#instances = book.instances.ended.keys();
    book.instances.joined = [];
  }

  end(): void {
    this.#book.instances.joined = null;
  }

  /** Changes of names are let go of by every piece, whatever it names. */
  get hasNames(): boolean {
    return this.#hasMore(NAMES_TAG);
  }

  /** The next piece, which may name nothing; null when all was looked at. What it names may have changed when it is ordered. */
  next(): Piece | null {
    const last = this.#last;
    this.#looks = 0;
    // What was beyond PIECE_RECORDS comes first.
    const objects = (last?.objects ?? []).filter((tag) => this.#hasMore(tag));
    const locks = (last?.locks ?? []).filter((tag) => this.#hasMore(tag) || this.#hasMore(holdOf(tag)));
    const { ended, joined } = this.#book.instances;
    const instances = (last?.instances ?? []).filter((id) => ended.has(id));
    instances.push(...(joined ?? []).splice(0, PIECE_NAMES).filter((id) => this.#isDone(id)));
    const piece: Piece = {
      isFirst: last === null,
      most: PIECE_RECORDS,
      objects: this.#take(objects, this.#objects, (tag) => this.#isObjectDue(tag)),
      cells: this.#take([], this.#cells, (key) => this.#isCellDue(key)),
      locks: this.#take(locks, this.#locks, (tag) => this.#isLockDue(tag)),
      instances: this.#take(instances, this.#instances, (id) => this.#isDone(id)),
    };
    this.#last = piece;
    const isOver = this.#looks === 0 && isEmpty(piece) && !piece.isFirst && !joined?.length && !this.hasNames;
    return isOver ? null : piece;
  }

  /** Adds to `names` what is due of the next entries. */
  #take<T extends string>(names: T[], entries: Iterator<T>, isDue: (name: T) => boolean): readonly T[] {
    while (names.length < PIECE_NAMES && this.#looks < LOOKS_MAX) {
      const next = entries.next();
      if (next.done === true) {
        break;
      }
      this.#looks += 1;
      if (isDue(next.value)) {
        names.push(next.value);
      }
    }
    return names;
  }

  #isObjectDue(tag: Tag): boolean {
    const stream = this.#book.streams.get(tag);
    return stream === undefined || this.#hasMore(tag) || (stream.kept === 1 && stream.last <= this.#watermark);
  }

  #isCellDue(key: string): boolean {
    const { cells } = this.#book;
    const cell = cells.get(key);
    return cell === undefined || cells.isPrunable(cell) || (cell.earlier === undefined && cell.entry <= this.#watermark);
  }

  #isLockDue(tag: Tag): boolean {
    const { streams, locks } = this.#book;
    const both = [streams.get(tag), streams.get(holdOf(tag))];
    const isPassed = (stream: Stream | undefined) => stream === undefined || stream.first <= this.#watermark;
    return this.#hasMore(tag) || this.#hasMore(holdOf(tag)) || (!locks.held.has(tag) && both.some(isPassed));
  }

  #isDone(id: InstanceId): boolean {
    const instance = this.#book.instances.ended.get(id);
    if (instance === undefined || instance.done >= this.#watermark) {
      return false;
    }
    const isLeft = instance.doneMs > this.#doneBeforeMs;
    this.left += isLeft ? 1 : 0;
    return !isLeft;
  }

  /** Whether a stream has records before its last one at or below the watermark. */
  #hasMore(tag: Tag): boolean {
    const stream = this.#book.streams.get(tag);
    return stream !== undefined && stream.countUpTo(this.#watermark) > 1;
  }
}

export function isEmpty({ objects, cells, locks, instances }: Piece): boolean {
  return objects.length + cells.length + locks.length + instances.length === 0;
}

function holdOf(lock: Tag): Tag {
  return holdTag(lock.slice(LOCK_TAG_PREFIX.length));
}
