/** Reads as of a cursor, waiting reads, lists and aux data. */
import { expect, test } from "vitest";
import { MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../../state/ids.ts";
import { AUX_MAX_BYTES, type NewRecord, RecordKind, trimRecord } from "../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../state/logbook/step-record.ts";
import { WAITS_MAX } from "../../../state/logbook/waits.ts";
import { encodeObjectValue } from "../../../state/objects/object-record.ts";
import { guestTag, objectTag } from "../../../state/tags.ts";
import { ALICE, BOB, bytes, next, type OpenLogBook, seqnumOf, texts, walk, write, x, y } from "./harness.ts";

export function describeReads(on: OpenLogBook): void {
  test("[6] readPrev at a cursor gives the same answer whatever is appended later", async () => {
    const book = on.shard.book(ALICE);
    const cursors = [await book.tail()];
    for (const text of ["1", "2", "3"]) {
      cursors.push(seqnumOf(await book.append({ records: [write(text, x)] })));
    }
    const answers = await Promise.all(cursors.map(async (cursor) => (await book.readPrev(x, cursor)).record));
    expect(answers.map((record) => (record === null ? null : texts([record])[0]))).toEqual([null, "1", "2", "3"]);
    await book.append({ records: [write("4", x)] });
    expect(await Promise.all(cursors.map(async (cursor) => (await book.readPrev(x, cursor)).record))).toEqual(answers);
  });

  test("[6] readNext with one above the last seqnum goes through a stream without gaps, also as of an earlier position", async () => {
    const book = on.shard.book(ALICE);
    const seqnums: SeqNum[] = [];
    for (const text of ["1", "2", "3", "4"]) {
      seqnums.push(seqnumOf(await book.append({ records: [write(text, x)] })));
      await book.append({ records: [write("between", y)] });
    }
    expect(await walk(book, x, NO_SEQNUM)).toEqual(["1", "2", "3", "4"]);
    const [, second = NO_SEQNUM, third = NO_SEQNUM] = seqnums;
    expect(texts([(await book.readNext(x, second)).record ?? { data: bytes("none") }])).toEqual(["2"]);
    expect(await walk(book, x, next(second))).toEqual(["3", "4"]);
    expect(await walk(book, x, NO_SEQNUM, third)).toEqual(["1", "2", "3"]);
    expect((await book.readNext(x, next(third), third)).record).toBeNull();
    expect((await book.readPrev(x, MAX_SEQNUM, second)).record?.seqnum).toBe(second);
    expect((await book.readNext(x, MAX_SEQNUM)).record).toBeNull();
    expect((await book.readNext("t/none" as Tag, NO_SEQNUM)).record).toBeNull();
  });

  test("a stream's tail is its length and last seqnum, also as of an earlier position", async () => {
    const book = on.shard.book(ALICE);
    const first = seqnumOf(await book.append({ records: [write("1", x)] }));
    const second = seqnumOf(await book.append({ records: [write("2", x)] }));
    const none = { length: 0, last: NO_SEQNUM, goneUpTo: NO_SEQNUM, closed: false };
    expect(await book.tailOf(x)).toMatchObject({ ...none, length: 2, last: second });
    expect(await book.tailOf(x, first)).toMatchObject({ ...none, length: 1, last: first });
    expect(await book.tailOf(y)).toMatchObject({ ...none, tail: second });
  });

  test("[8] a waiting read answers when its record is applied, at once when it is there", async () => {
    const book = on.shard.book(ALICE);
    const first = seqnumOf(await book.append({ records: [write("1", x)] }));
    expect((await book.awaitNext(x, first, 1_000)).record?.seqnum).toBe(first);
    const answers = Array.from({ length: 3 }, () => book.awaitNext(x, next(first), 1_000));
    const later = book.awaitNext(x, (first + 3) as SeqNum, 1_000);
    // Requests are served in their order: the waits have begun.
    await book.tail();
    await book.append({ records: [write("other", y)] });
    const second = seqnumOf(await book.append({ records: [write("2", x)] }));
    for (const { record, tail } of await Promise.all(answers)) {
      expect(record?.seqnum).toBe(second);
      expect(tail).toBe(second);
    }
    const third = seqnumOf(await book.append({ records: [write("3", x)] }));
    expect((await later).record?.seqnum).toBe(third);
  });

  test("[8] a waiting read of a silent log is over with its time, and holds nothing up meanwhile", async () => {
    const book = on.shard.book(ALICE);
    const answer = book.awaitNext(x, NO_SEQNUM, 50);
    let isOver = false;
    void answer.then(() => {
      isOver = true;
    });
    await book.tail();
    const tail = seqnumOf(await book.append({ records: [write("1", y)] }));
    expect(isOver).toBe(false);
    on.harness.advance(50);
    expect(await answer).toMatchObject({ record: null, tail });
    expect(await book.awaitNext(x, NO_SEQNUM, 0)).toMatchObject({ record: null, tail });
  });

  test("[8] a waiting read ends when its caller gives up, and its place is free again", async () => {
    const book = on.shard.book(ALICE);
    const controller = new AbortController();
    const waits = Array.from({ length: WAITS_MAX }, () => book.awaitNext(x, NO_SEQNUM, 1_000, controller.signal));
    const ends = Promise.allSettled(waits);
    await book.tail();
    await expect(book.awaitNext(x, NO_SEQNUM, 1_000)).rejects.toMatchObject({ code: "TOO_MANY_WAITS" });
    controller.abort(new Error("given up"));
    expect(new Set((await ends).map((end) => end.status === "rejected" && end.reason.message))).toEqual(new Set(["given up"]));
    await expect(book.awaitNext(x, NO_SEQNUM, 1_000, controller.signal)).rejects.toThrow("given up");
    const waiting = book.awaitNext(x, NO_SEQNUM, 1_000);
    await book.tail();
    await book.append({ records: [write("1", x)] });
    expect((await waiting).record).not.toBeNull();
  });

  test("[8] [10] a waiting read rejects when its session ends", async () => {
    const book = on.shard.book(ALICE);
    const over = expect(book.awaitNext(x, NO_SEQNUM, 1_000)).rejects.toMatchObject({
      code: expect.stringMatching(/^(EPOCH_CHANGED|OWNER_UNAVAILABLE)$/),
    });
    await book.tail();
    await on.harness.restart();
    await over;
  });

  test("[12] aux data comes with reads of its record, and dropping it changes no result", async () => {
    const book = on.shard.book(ALICE);
    const first = seqnumOf(await book.append({ records: [write("1", x, y)] }));
    const plain = await book.readPrev(x, MAX_SEQNUM);
    await book.setAux(x, first, bytes("sum 1"));
    expect(await book.readPrev(x, MAX_SEQNUM)).toEqual({ ...plain, aux: bytes("sum 1") });
    expect((await book.readNext(y, NO_SEQNUM)).aux).toEqual(bytes("sum 1"));
    // Nothing is kept beside what is no record of this LogBook's stream.
    await book.setAux(y, next(first), bytes("nothing"));
    await on.shard.book(BOB).setAux(x, first, bytes("bob's"));
    expect((await book.readPrev(x, MAX_SEQNUM)).aux).toEqual(bytes("sum 1"));
    const tooLarge = book.setAux(x, first, new Uint8Array(AUX_MAX_BYTES + 1));
    await expect(tooLarge).rejects.toMatchObject({ code: "AUX_TOO_LARGE", message: expect.stringContaining("65536") });
    await on.shard.whenDurable(first);
    const reopened = (await on.harness.restart()).book(ALICE);
    const { tail: _, ...read } = await reopened.readPrev(x, MAX_SEQNUM);
    expect(read).toEqual({ record: plain.record, modes: plain.modes });
  });

  test("[12] the aux data used least lately goes first, and that of a collected record with it", async () => {
    const book = on.shard.book(ALICE);
    const feed = guestTag("feed");
    const seqnums: SeqNum[] = [];
    for (let i = 0; i < 300; i++) {
      const seqnum = seqnumOf(await book.append({ records: [write(`${i}`, feed)] }));
      await book.setAux(feed, seqnum, new Uint8Array(AUX_MAX_BYTES).fill(i));
      await book.readNext(feed, seqnums[0] ?? seqnum);
      seqnums.push(seqnum);
    }
    const [first = NO_SEQNUM, second = NO_SEQNUM] = seqnums;
    expect((await book.readNext(feed, first)).aux?.byteLength).toBe(AUX_MAX_BYTES);
    expect((await book.readNext(feed, second)).aux).toBeUndefined();
    await book.append({ records: [trimRecord({ tag: feed, upTo: first })] });
    await expect(book.readNext(feed, first)).rejects.toMatchObject({ code: "TRIMMED" });
  });

  test("listObjects shows what existed at the cursor, in the order of the keys' UTF-8 bytes", async () => {
    const book = on.shard.book(ALICE);
    const put = (key: string, value: string): NewRecord => ({
      kind: RecordKind.write,
      tags: [objectTag(key)],
      data: encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue({ kind: "inline", bytes: bytes(value) })),
    });
    const keys = ["b", "a/2", "a/1", "a", "a/\u{1f600}", "a/\uffee"];
    for (const key of keys) {
      await book.append({ records: [put(key, `${key}!`)] });
    }
    const cursor = await book.tail();
    await book.append({ records: [{ kind: RecordKind.delete, tags: [objectTag("a/1")], data: bytes("") }] });
    await book.append({ records: [put("a/3", "3")] });
    const list = async (prefix: string, after: string, when: SeqNum, limit = 100) =>
      (await book.listObjects(prefix, after, when, limit)).objects.map((one) => one.key);
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await list("", "", cursor)).toEqual(sorted);
    expect(await list("a/", "", cursor)).toEqual(sorted.filter((key) => key.startsWith("a/")));
    expect(await list("", "a/2", cursor, 2)).toEqual(["a/\uffee", "a/\u{1f600}"]);
    expect(await list("a/", "", MAX_SEQNUM, 2)).toEqual(["a/2", "a/3"]);
    const { objects } = await book.listObjects("b", "", MAX_SEQNUM, 1);
    expect(objects).toEqual([{ key: "b", sizeBytes: 2, seqnum: expect.any(Number), home: "versions" }]);
  });
}
