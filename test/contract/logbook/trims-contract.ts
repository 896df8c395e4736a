/** What is left of a stream that was trimmed or closed. */
import { expect, test } from "vitest";
import { MAX_SEQNUM, NO_SEQNUM, type SeqNum } from "../../../state/ids.ts";
import { type LogBook, type NewRecord, RecordKind, trimRecord, WAIT_MAX_MS } from "../../../state/logbook/index.ts";
import { guestTag } from "../../../state/tags.ts";
import { ALICE, BOB, bytes, next, type OpenLogBook, seqnumOf, texts, walk, write, x } from "./harness.ts";

export function describeTrims(on: OpenLogBook): void {
  test("[13] below a trim a read is TRIMMED and never none, and other tags of the records stay", async () => {
    const book = on.shard.book(ALICE);
    const [feed, other] = [guestTag("feed"), guestTag("other")];
    const seqnums: SeqNum[] = [];
    for (const text of ["1", "2", "3", "4"]) {
      seqnums.push(seqnumOf(await book.append({ records: [write(text, feed, other, x)] })));
    }
    const [first = NO_SEQNUM, second = NO_SEQNUM, third = NO_SEQNUM, last = NO_SEQNUM] = seqnums;
    const before = await book.tail();
    await book.append({ records: [trimRecord({ tag: feed, upTo: second })] });
    const trimmed = { code: "TRIMMED" };
    for (const isCollected of [false, true]) {
      if (isCollected) {
        await on.harness.collect();
      }
      await expect(book.readPrev(feed, first)).rejects.toMatchObject(trimmed);
      await expect(book.readPrev(feed, second)).rejects.toMatchObject(trimmed);
      await expect(book.readNext(feed, NO_SEQNUM)).rejects.toMatchObject(trimmed);
      await expect(book.awaitNext(feed, second, 1_000)).rejects.toMatchObject(trimmed);
      await expect(book.readStream(feed, 1)).rejects.toMatchObject(trimmed);
      expect(await walk(book, feed, next(second))).toEqual(["3", "4"]);
      expect((await book.readPrev(feed, third)).record?.seqnum).toBe(third);
      expect(texts((await book.readStream(feed, 2)).records)).toEqual(["3", "4"]);
      expect(await book.tailOf(feed)).toMatchObject({ length: 4, last, goneUpTo: second });
      for (const tag of [other, x]) {
        expect(texts((await book.readStream(tag, 0)).records)).toEqual(["1", "2", "3", "4"]);
      }
      // As of the time before, nothing is gone until nobody can read there any more.
      if (!isCollected) {
        expect(await walk(book, feed, NO_SEQNUM, before)).toEqual(["1", "2", "3", "4"]);
      }
    }
  });

  test("[13] a trim of the book touches the streams of guests only, and later records stay", async () => {
    const book = on.shard.book(ALICE);
    const [feed, empty] = [guestTag("feed"), guestTag("empty")];
    const first = seqnumOf(await book.append({ records: [write("1", feed, x)] }));
    await on.shard.book(BOB).append({ records: [write("bob", feed)] });
    await book.append({ records: [trimRecord({ tag: null, upTo: MAX_SEQNUM })] });
    for (const isCollected of [false, true]) {
      if (isCollected) {
        await on.harness.collect();
      }
      await expect(book.readPrev(feed, MAX_SEQNUM)).rejects.toMatchObject({ code: "TRIMMED" });
      expect(texts((await book.readStream(x, 0)).records)).toEqual(["1"]);
      expect(texts((await on.shard.book(BOB).readStream(feed, 0)).records)).toEqual(["bob"]);
      // Below the trim point, although this stream never had a record; above it there is none.
      await expect(book.readPrev(empty, first)).rejects.toMatchObject({ code: "TRIMMED" });
      expect((await book.readPrev(empty, MAX_SEQNUM)).record).toBeNull();
    }
    const later = seqnumOf(await book.append({ records: [write("2", feed)], when: [{ tag: feed, last: first }] }));
    expect(await walk(book, feed, later)).toEqual(["2"]);
    await expect(book.append({ records: [trimRecord({ tag: x, upTo: first })] })).rejects.toMatchObject({ code: "BAD_TAG" });
  });

  test("[13] F14: a stream that was trimmed as a whole keeps length and last seqnum, over collection and restart", async () => {
    const book = on.shard.book(ALICE);
    const feed = guestTag("feed");
    await book.append({ records: [write("1", feed)] });
    const last = seqnumOf(await book.append({ records: [write("2", feed)] }));
    await book.append({ records: [trimRecord({ tag: feed, upTo: last })] });
    const check = async (one: LogBook) => {
      const refused = { kind: "conflict", tag: feed, existing: null };
      const records = [write("late", feed)];
      expect(await one.append({ records, when: [{ tag: feed, length: 0 }] })).toMatchObject(refused);
      expect(await one.append({ records, when: [{ tag: feed, length: 1 }] })).toMatchObject(refused);
      expect(await one.append({ records, when: [{ tag: feed, last: NO_SEQNUM }] })).toMatchObject(refused);
      expect(await one.tailOf(feed)).toMatchObject({ length: 2, last, goneUpTo: last });
      expect((await one.append({ records, when: [{ tag: feed, length: 3 }] })).kind).toBe("badPosition");
    };
    await check(book);
    await on.harness.collect();
    await check(book);
    const reopened = (await on.harness.restart()).book(ALICE);
    await check(reopened);
    const when = [
      { tag: feed, last },
      { tag: feed, length: 2 },
    ];
    expect((await reopened.append({ records: [write("3", feed)], when })).kind).toBe("appended");
  });

  test("[13] a trim and reads at the same time: what is read is a record, or TRIMMED", async () => {
    const book = on.shard.book(ALICE);
    const feed = guestTag("feed");
    const seqnums: SeqNum[] = [];
    for (let i = 0; i < 40; i++) {
      seqnums.push(seqnumOf(await book.append({ records: [write(`${i}`, feed)] })));
    }
    const reads: Promise<void>[] = [];
    for (const [i, upTo] of seqnums.entries()) {
      const read = async () => {
        const answer = await book.readNext(feed, upTo).catch((error: unknown) => error);
        const seqnum = (answer as { record?: { seqnum: SeqNum } }).record?.seqnum;
        expect(seqnum === undefined ? answer : seqnum).toEqual(
          seqnum === undefined ? expect.objectContaining({ code: "TRIMMED" }) : upTo,
        );
      };
      reads.push(read());
      void book.append({ records: [trimRecord({ tag: feed, upTo })] });
      reads.push(read());
      if (i % 10 === 5) {
        reads.push(on.harness.collect());
      }
    }
    await Promise.all(reads);
  });

  test("[13] a waiting read below a new trim is TRIMMED", async () => {
    const book = on.shard.book(ALICE);
    const feed = guestTag("feed");
    const tail = seqnumOf(await book.append({ records: [write("1", feed)] }));
    const waiting = [feed, guestTag("none")].map((tag) => book.awaitNext(tag, next(tail), 1_000));
    const ends = Promise.all(waiting.map((one) => expect(one).rejects.toMatchObject({ code: "TRIMMED" })));
    await book.tail();
    await book.append({ records: [write("other", x)] });
    await book.append({ records: [trimRecord({ tag: null, upTo: next(tail) })] });
    await ends;
  });

  test("[52] a closed stream refuses appends with the record that closed it, ends waits, and stays closed when it is trimmed", async () => {
    const book = on.shard.book(ALICE);
    const feed = guestTag("feed");
    await book.append({ records: [write("1", feed)] });
    const waiting = book.awaitNext(feed, MAX_SEQNUM, 1_000);
    await book.tail();
    const closing: NewRecord = { kind: RecordKind.close, tags: [feed, x], data: bytes("end") };
    const seqnum = seqnumOf(await book.append({ records: [closing] }));
    const waited = await Promise.race([waiting, book.tail().then(() => "waits")]);
    expect(waited).toMatchObject({ record: null, tail: seqnum });
    const late = { records: [write("late", feed)], when: [{ tag: feed, length: 1 }] };
    const refused = { kind: "closed", tag: feed, done: { seqnum, data: bytes("end") } };
    expect(await book.append(late)).toMatchObject(refused);
    expect(await book.append({ records: [write("late", x)] })).toMatchObject({ ...refused, tag: x });
    expect(await book.tailOf(feed)).toMatchObject({ length: 2, last: seqnum, closed: true });
    expect(await book.tailOf(feed, (seqnum - 1) as SeqNum)).toMatchObject({ length: 1, closed: false });
    expect((await book.awaitNext(feed, next(seqnum), WAIT_MAX_MS)).record).toBeNull();
    await book.append({ records: [trimRecord({ tag: feed, upTo: seqnum })] });
    await on.harness.collect();
    for (const open of [async () => book, async () => (await on.harness.restart()).book(ALICE)]) {
      const one = await open();
      expect(await one.append(late)).toMatchObject({ ...refused, done: null });
      expect(await one.tailOf(feed)).toMatchObject({ length: 2, last: seqnum, closed: true });
    }
  });
}
