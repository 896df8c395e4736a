/**
 * The index of a journal: a fold over all its records, the same at replay and while it runs (F19).
 *
 * Owns: the LogBooks' indexes, the applied tail, the owner's monotone time, which blobs are alive; beside the fold, aux data.
 * Does not own: the decision what is ordered (decide), the bytes (record-store).
 *
 * X1. Seqnums are 1, 2, 3 … without a gap.
 * X2. `tail` is stored after the record is applied under all its tags (F39).
 */
import { invariant, NeapError } from "../errors.ts";
import { type LogBookId, NO_SEQNUM, type SeqNum } from "../ids.ts";
import type { JournalFrame } from "../journal/journal.ts";
import { AuxCache } from "./aux-cache.ts";
import { BookState } from "./book-state.ts";
import { refusal } from "./decide.ts";
import { decodeEpoch } from "./epoch.ts";
import type { Holder } from "./instances.ts";
import { RecordKind } from "./kinds.ts";
import { LiveBlobs } from "./live-blobs.ts";
import type { NewRecord } from "./logbook.ts";
import { readFrame, type StoredRecord } from "./record-codec.ts";
import type { RecordStore } from "./record-store.ts";

export class ShardIndex {
  tail: SeqNum = NO_SEQNUM;
  timeMs = 0;
  /** Of the last EPOCH record. */
  epoch = 0;
  readonly books = new Map<LogBookId, BookState>();
  readonly blobs = new LiveBlobs();
  readonly store: RecordStore;
  /** No part of the fold. */
  readonly aux: AuxCache;

  constructor(store: RecordStore, auxMaxBytes: number) {
    this.store = store;
    this.aux = new AuxCache(auxMaxBytes);
  }

  book(id: LogBookId): BookState {
    let book = this.books.get(id);
    if (book === undefined) {
      book = new BookState(id, this);
      this.books.set(id, book);
    }
    return book;
  }

  kindOf(seqnum: SeqNum): RecordKind {
    return this.store.kindOf(seqnum);
  }

  hold(seqnum: SeqNum): void {
    this.store.hold(seqnum);
  }

  drop(seqnum: SeqNum): void {
    if (this.store.drop(seqnum)) {
      this.blobs.drop(seqnum);
      this.aux.drop(seqnum);
    }
  }

  /**
   * Applies the record after `tail`.
   *
   * @param book  null for a record of the shard itself
   * @param address  as for RecordStore.add
   * @param holder  the session that appends; undefined at replay
   */
  apply(
    book: BookState | null,
    record: NewRecord,
    timeMs: number,
    address: number,
    sizeBytes: number,
    holder: Holder | undefined,
  ): void {
    const seqnum = (this.tail + 1) as SeqNum;
    const holders = record.cell === undefined ? record.tags.length : record.tags.length + 1;
    this.store.add(seqnum, record.kind, address, sizeBytes, holders);
    if (record.blobs !== undefined && record.blobs.length > 0 && holders > 0) {
      this.blobs.add(seqnum, record.blobs);
    }
    if (book !== null) {
      book.apply(seqnum, record, timeMs, holder);
    } else if (record.kind === RecordKind.epoch) {
      this.epoch = decodeEpoch(record.data).epoch;
    }
    this.timeMs = timeMs;
    this.tail = seqnum;
  }

  /**
   * Applies the records of a frame of an earlier opening, asserting what was decided then.
   * @throws JOURNAL_DAMAGED when the frame does not hold records
   */
  replay({ address, payload }: JournalFrame): void {
    try {
      readFrame(payload, (record, seqnum, offset) => {
        this.#assertDecided(record, seqnum);
        const book = record.book === "" ? null : this.book(record.book);
        this.apply(book, record, record.timeMs, address + offset, record.sizeBytes, undefined);
      });
    } catch (cause) {
      if (cause instanceof RangeError) {
        throw new NeapError("JOURNAL_DAMAGED", `the frame at ${address} does not hold records: ${cause.message}`, { cause });
      }
      throw cause;
    }
  }

  #assertDecided(record: StoredRecord, seqnum: SeqNum): void {
    invariant(seqnum === this.tail + 1, `record ${seqnum} follows record ${this.tail}`);
    invariant(record.timeMs >= this.timeMs, `record ${seqnum} has time ${record.timeMs}, the one before ${this.timeMs}`);
    if (record.book === "") {
      invariant(record.kind !== RecordKind.epoch || decodeEpoch(record.data).epoch > this.epoch, `epoch at ${seqnum} is not new`);
      return;
    }
    if (record.when.length > 0 || record.initialCursor !== undefined) {
      const refused = refusal(this.book(record.book), [record], record.when, this.tail, (found) => this.store.read(found));
      invariant(refused === undefined, `record ${seqnum} was ordered although it is refused: ${JSON.stringify(refused)}`);
    }
  }
}
