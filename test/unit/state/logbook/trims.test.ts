import { describe, expect, test } from "vitest";
import { MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../../../state/ids.ts";
import { BookState } from "../../../../state/logbook/book-state.ts";
import { encodeCollection } from "../../../../state/logbook/collection.ts";
import { type NewRecord, RecordKind, trimRecord } from "../../../../state/logbook/index.ts";
import { firstFrom, lastUpTo } from "../../../../state/logbook/stream-reads.ts";
import { LET_GO_MAX } from "../../../../state/logbook/trims.ts";
import { guestTag } from "../../../../state/tags.ts";
import { MemoryBlobs } from "../../../support/memory-blobs.ts";
import { at, BOOK, bytes, none, openTestShard } from "../../../support/open-shard.ts";

/** The index of one LogBook, and which records it has let go of. */
class Fold {
  readonly dropped: SeqNum[] = [];
  readonly book = new BookState(BOOK, {
    kindOf: () => RecordKind.append,
    drop: (seqnum) => this.dropped.push(seqnum),
    hold() {},
  });
  tail = NO_SEQNUM;

  apply(record: NewRecord): SeqNum {
    this.tail = at(this.tail + 1);
    this.book.apply(this.tail, record, 0, undefined);
    return this.tail;
  }

  append(...tags: Tag[]): SeqNum {
    return this.apply({ kind: RecordKind.append, tags, data: none });
  }

  /** How many collections it takes until nothing is due. */
  collect(watermark = this.tail): number {
    let count = 0;
    for (; this.book.trims.isDue(watermark); count++) {
      this.apply({ kind: RecordKind.gc, tags: [], data: encodeCollection({ watermark, retainSinceMs: 0 }) });
    }
    return count;
  }
}

const feed = guestTag("feed");

describe("what a trim hides is let go of", () => {
  test("F4: only when the floor has passed the trim's own record", () => {
    const fold = new Fold();
    const first = fold.append(feed);
    const before = fold.append(guestTag("other"));
    fold.apply(trimRecord({ tag: feed, upTo: first }));
    expect(fold.collect(before)).toBe(0);
    fold.apply({ kind: RecordKind.gc, tags: [], data: encodeCollection({ watermark: before, retainSinceMs: 0 }) });
    expect(fold.dropped).toEqual([]);
    expect(firstFrom(fold.book, feed, NO_SEQNUM, before)).toBe(first);
    expect(() => firstFrom(fold.book, feed, NO_SEQNUM, MAX_SEQNUM)).toThrow("are gone");
    expect(fold.collect()).toBe(1);
    expect(fold.dropped).toEqual([first]);
  });

  test("piece by piece, of one long stream", () => {
    const fold = new Fold();
    const count = 3 * LET_GO_MAX + 10;
    const seqnums = Array.from({ length: count }, () => fold.append(feed));
    const upTo = at(count - 1);
    fold.apply(trimRecord({ tag: feed, upTo }));
    const gc = { kind: RecordKind.gc, tags: [], data: encodeCollection({ watermark: fold.tail, retainSinceMs: 0 }) };
    fold.apply(gc);
    expect(fold.dropped).toHaveLength(LET_GO_MAX);
    expect(() => lastUpTo(fold.book, feed, upTo, MAX_SEQNUM)).toThrow("are gone");
    expect(lastUpTo(fold.book, feed, MAX_SEQNUM, MAX_SEQNUM)).toBe(at(count));
    expect(fold.collect(fold.tail)).toBe(3);
    expect(fold.dropped).toEqual(seqnums.slice(0, -1));
    expect(fold.book.streams.get(feed)).toMatchObject({ base: count - 1, last: count });
  });

  test("piece by piece, of many streams, those that begin meanwhile untouched", () => {
    const fold = new Fold();
    const count = 2 * LET_GO_MAX;
    const tags = Array.from({ length: count }, (_, i) => guestTag(`${i}`));
    const seqnums = tags.map((tag) => fold.append(tag));
    const trim = fold.apply(trimRecord({ tag: null, upTo: MAX_SEQNUM }));
    fold.apply({ kind: RecordKind.gc, tags: [], data: encodeCollection({ watermark: trim, retainSinceMs: 0 }) });
    expect(fold.dropped.length).toBeLessThan(LET_GO_MAX);
    const later = fold.append(feed, tags[0] ?? feed);
    expect(fold.collect(trim)).toBeGreaterThan(2);
    expect(fold.dropped).toEqual(seqnums);
    expect(firstFrom(fold.book, feed, later, MAX_SEQNUM)).toBe(later);
    for (const [i, tag] of tags.entries()) {
      const stream = fold.book.streams.get(tag);
      expect(stream === undefined ? 0 : fold.book.trims.lastOf(tag, stream, trim)).toBe(seqnums[i]);
    }
  });

  test("a trim that hides no more than those before leaves nothing behind", () => {
    const fold = new Fold();
    const last = fold.append(feed);
    for (let i = 0; i < 100; i++) {
      fold.apply(trimRecord({ tag: feed, upTo: last }));
    }
    expect(fold.book.trims.waiting).toHaveLength(1);
    fold.collect();
    expect(fold.book.trims.waiting).toEqual([]);
    expect(fold.book.trims.byTag.get(feed)?.pending).toEqual([]);
  });
});

test("F4: a blob of a trimmed record is deleted once the collection that lets go of it is durable, not before", async () => {
  const blobs = new MemoryBlobs();
  const { shard, journal, crash } = await openTestShard({ blobs });
  const book = shard.book(BOOK);
  const blob = await blobs.put(bytes("large"));
  const result = await book.append({ records: [{ kind: RecordKind.append, tags: [feed], data: none, blobs: [blob] }] });
  const upTo = result.kind === "appended" ? result.seqnum : NO_SEQNUM;
  await book.append({ records: [trimRecord({ tag: feed, upTo })] });
  journal.automatic = false;
  const collecting = shard.collect();
  journal.flush();
  await Promise.resolve();
  expect(blobs.blobs.has(blob.name)).toBe(true);
  const crashed = await crash();
  await expect(crashed.shard.book(BOOK).readPrev(feed, upTo)).rejects.toMatchObject({ code: "TRIMMED" });
  expect(blobs.blobs.has(blob.name)).toBe(true);
  await crashed.shard.collect();
  expect(blobs.blobs.has(blob.name)).toBe(false);
  journal.automatic = true;
  while (journal.flush());
  await collecting;
});

test("[12] aux data in memory is bounded, and goes with its record", async () => {
  const { shard } = await openTestShard({ options: { auxMaxBytes: 500 } });
  const book = shard.book(BOOK);
  for (let i = 0; i < 5; i++) {
    const result = await book.append({ records: [{ kind: RecordKind.append, tags: [feed], data: none }] });
    await book.setAux(feed, result.kind === "appended" ? result.seqnum : NO_SEQNUM, Uint8Array.of(i));
  }
  const { records } = await book.readStream(feed, 0);
  const kept = await Promise.all(records.map(async ({ seqnum }) => (await book.readPrev(feed, seqnum)).aux?.[0]));
  expect(kept).toEqual([undefined, undefined, undefined, 3, 4]);
});
