import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type BlobName, type InstanceId, type LogBookId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../state/ids.ts";
import {
  type AppendResult,
  AUX_MAX_BYTES,
  type LogBook,
  type LogRecord,
  type NewRecord,
  RecordKind,
  type Shard,
  trimRecord,
  WAIT_MAX_MS,
} from "../../state/logbook/index.ts";
import { encodeLock } from "../../state/logbook/lock-record.ts";
import { encodeStep, NO_FINGERPRINT } from "../../state/logbook/step-record.ts";
import { WAITS_MAX } from "../../state/logbook/waits.ts";
import { decodeObjectValue, encodeObjectValue } from "../../state/objects/object-record.ts";
import { callIdTag, guestTag, holdTag, lockTag, objectTag, stepTag } from "../../state/tags.ts";

/** What the suite needs from an implementation. */
export interface LogBookHarness {
  readonly shard: Shard;
  /** Ends the owner as a crash does and begins its next epoch: records that nobody waited for may be lost. */
  restart(): Promise<Shard>;
  /** Lets go of what nobody can read any more. */
  collect(): Promise<void>;
  /** Lets time pass at the owner. */
  advance(durationMs: number): void;
  stop(): Promise<void>;
}

const ALICE = "alice" as LogBookId;
const BOB = "bob" as LogBookId;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const write = (text: string, ...tags: Tag[]): NewRecord => ({ kind: RecordKind.write, tags, data: bytes(text) });
const texts = (records: readonly { data: Uint8Array }[]): string[] => records.map((one) => Buffer.from(one.data).toString());

function seqnumOf(result: AppendResult): SeqNum {
  expect(result.kind).toBe("appended");
  return result.kind === "appended" ? result.seqnum : NO_SEQNUM;
}

const next = (seqnum: SeqNum): SeqNum => (seqnum + 1) as SeqNum;

/** All records of a stream, one `readNext` after the other. */
async function walk(book: LogBook, tag: Tag, from: SeqNum, at?: SeqNum): Promise<string[]> {
  const found: string[] = [];
  for (let min = from; ; ) {
    const { record } = await book.readNext(tag, min, at);
    if (record === null) {
      return found;
    }
    found.push(...texts([record]));
    min = next(record.seqnum);
  }
}

/** The guarantees of LogBook and Shard that hold wherever the owner is. */
export function describeLogBookContract(name: string, open: () => Promise<LogBookHarness>): void {
  describe(`${name} keeps the LogBook contract`, () => {
    let harness: LogBookHarness;
    let shard: Shard;
    const x = "t/x" as Tag;
    const y = "t/y" as Tag;

    beforeEach(async () => {
      harness = await open();
      shard = harness.shard;
    });
    afterEach(() => harness.stop());

    test("[1] a record is in the stream of each of its tags, at its place in the order", async () => {
      const book = shard.book(ALICE);
      const first = seqnumOf(await book.append({ records: [write("1", x)] }));
      const second = seqnumOf(await book.append({ records: [write("2", x, y)] }));
      const third = seqnumOf(await book.append({ records: [write("3", y)] }));
      expect(first < second && second < third).toBe(true);
      const inX = await book.readStream(x, 0);
      const inY = await book.readStream(y, 0);
      expect(texts(inX.records)).toEqual(["1", "2"]);
      expect(texts(inY.records)).toEqual(["2", "3"]);
      expect(inX.records[1]).toEqual(inY.records[0]);
      expect(inX.records[1]?.tags).toEqual([x, y]);
      expect(inX.length).toBe(2);
      expect(inX.tail).toBeGreaterThanOrEqual(third);
      expect(texts((await book.readStream(x, 1)).records)).toEqual(["2"]);
    });

    test("[2] an append that lost is visible under no tag, also after a restart", async () => {
      const book = shard.book(ALICE);
      await book.append({ records: [write("won", x)], when: [{ tag: x, length: 0 }] });
      const lost = await book.append({ records: [write("lost", y, x), write("lost too", y)], when: [{ tag: x, length: 0 }] });
      expect(lost.kind).toBe("conflict");
      await shard.whenDurable(await book.tail());
      for (const open of [async () => book, async () => (await harness.restart()).book(ALICE)]) {
        const one = await open();
        expect(texts((await one.readStream(x, 0)).records)).toEqual(["won"]);
        expect(await one.readStream(y, 0)).toMatchObject({ records: [], length: 0, closed: false });
        expect((await one.readPrev(y, MAX_SEQNUM)).record).toBeNull();
      }
    });

    test("[3] of appends that race for a position exactly one wins, and the losers get its record", async () => {
      const book = shard.book(ALICE);
      const racers = ["a", "b", "c", "d"];
      const results = await Promise.all(
        racers.map((racer) => book.append({ records: [write(racer, x)], when: [{ tag: x, length: 0 }] })),
      );
      const stream = await book.readStream(x, 0);
      expect(stream.length).toBe(1);
      expect(results.filter((result) => result.kind === "appended")).toHaveLength(1);
      for (const result of results) {
        if (result.kind !== "appended") {
          expect(result).toMatchObject({ kind: "conflict", tag: x, existing: stream.records[0] });
        }
      }
    });

    test("[4] a position beyond the end is refused and leaves it free", async () => {
      const book = shard.book(ALICE);
      const gap = await book.append({ records: [write("3", x)], when: [{ tag: x, length: 2 }] });
      expect(gap).toMatchObject({ kind: "badPosition", tag: x, length: 0 });
      expect((await book.append({ records: [write("0", x)], when: [{ tag: x, length: 0 }] })).kind).toBe("appended");
    });

    test("[5] an append repeated after a lost answer is in the log once", async () => {
      const book = shard.book(ALICE);
      const request = { records: [write("once", x)], when: [{ tag: x, length: 0 }] };
      const seqnum = seqnumOf(await book.append(request));
      expect(await book.append(request)).toMatchObject({ kind: "conflict", existing: { seqnum } });
      expect((await book.readStream(x, 0)).length).toBe(1);
    });

    test("[6] readPrev at a cursor gives the same answer whatever is appended later", async () => {
      const book = shard.book(ALICE);
      const cursors = [await book.tail()];
      for (const text of ["1", "2", "3"]) {
        cursors.push(seqnumOf(await book.append({ records: [write(text, x)] })));
      }
      const answers = await Promise.all(cursors.map(async (cursor) => (await book.readPrev(x, cursor)).record));
      expect(answers.map((record) => (record === null ? null : texts([record])[0]))).toEqual([null, "1", "2", "3"]);
      await book.append({ records: [write("4", x)] });
      expect(await Promise.all(cursors.map(async (cursor) => (await book.readPrev(x, cursor)).record))).toEqual(answers);
    });

    test("[7] whoever has appended sees it in every later answer, at a tail that covers it", async () => {
      const book = shard.book(ALICE);
      for (let i = 0; i < 20; i++) {
        const seqnum = seqnumOf(await book.append({ records: [write(String(i), x)] }));
        expect(await book.tail()).toBeGreaterThanOrEqual(seqnum);
        const read = await book.readPrev(x, MAX_SEQNUM);
        expect(read.record?.seqnum).toBe(seqnum);
        expect(read.tail).toBeGreaterThanOrEqual(seqnum);
      }
    });

    const lockRecord = (instance: string, tag: Tag, root = instance): NewRecord => ({
      kind: RecordKind.lock,
      tags: [stepTag(instance as InstanceId), tag, holdTag("l")],
      data: encodeStep(
        { fingerprint: NO_FINGERPRINT, pins: null },
        encodeLock({ instance: instance as InstanceId, inTransaction: false, root: root as InstanceId, token: NO_SEQNUM }),
      ),
    });
    const initRecord = (instance: string): NewRecord => ({
      kind: RecordKind.init,
      tags: [stepTag(instance as InstanceId)],
      data: bytes(""),
    });

    test("[55] a lock is held from its record until its holder is done, and everybody sees by whom", async () => {
      const book = shard.book(ALICE);
      const tag = lockTag("l");
      expect(await book.lock("l")).toMatchObject({ held: null, last: NO_SEQNUM });
      const token = seqnumOf(await book.append({ records: [initRecord("i"), lockRecord("i", tag, "r")] }));
      const held = { name: "l", holder: "i", root: "r", token, count: 1, parked: false };
      expect(await book.lock("l")).toMatchObject({ held, last: token });
      expect((await book.locks()).locks).toMatchObject([held]);
      expect((await shard.book(BOB).locks()).locks).toEqual([]);
      await book.append({ records: [{ kind: RecordKind.done, tags: [stepTag("i" as InstanceId)], data: bytes("") }] });
      expect(await book.lock("l")).toMatchObject({ held: null, last: token });
      await expect(book.append({ records: [{ ...lockRecord("i2", tag), data: bytes("") }] })).rejects.toMatchObject({
        code: "BAD_RECORD",
      });
      await expect(book.append({ records: [lockRecord("i2", x)] })).rejects.toMatchObject({ code: "BAD_RECORD" });
    });

    test("[55] a turn at a lock comes when it is free, in the order of asking, or when the own root holds it", async () => {
      const book = shard.book(ALICE);
      const tag = lockTag("l");
      const order: string[] = [];
      const wait = async (root: string) => {
        const turn = await book.lockTurn("l", root as InstanceId);
        order.push(root);
        return turn;
      };
      (await wait("a")).end();
      await book.append({ records: [initRecord("a"), lockRecord("a", tag)] });
      const second = wait("b");
      // What is answered at a later request was ordered before it.
      await book.lock("l");
      const third = wait("c");
      await book.lock("l");
      (await wait("a")).end();
      expect(order).toEqual(["a", "a"]);
      await book.append({ records: [{ kind: RecordKind.done, tags: [stepTag("a" as InstanceId)], data: bytes("") }] });
      (await second).end();
      (await third).end();
      expect(order).toEqual(["a", "a", "b", "c"]);
    });

    test("[8] a turn comes when the one before ends, by a record or by itself being given back", async () => {
      const book = shard.book(ALICE);
      const order: string[] = [];
      const first = await book.turn(x);
      const queue = async (name: string) => {
        const turn = await book.turn(x);
        order.push(name);
        return turn;
      };
      const second = queue("second");
      const third = queue("third");
      const elsewhere = await book.turn(y);
      order.push("first ends");
      first.end();
      const { tail } = await second;
      expect(tail).toBeGreaterThanOrEqual(first.tail);
      order.push("second appends");
      const seqnum = seqnumOf(await book.append({ records: [write("1", x)] }));
      expect((await third).tail).toBeGreaterThanOrEqual(seqnum);
      expect(order).toEqual(["first ends", "second", "second appends", "third"]);
      elsewhere.end();
    });

    test("[6] readNext with one above the last seqnum goes through a stream without gaps, also as of an earlier position", async () => {
      const book = shard.book(ALICE);
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
      const book = shard.book(ALICE);
      const first = seqnumOf(await book.append({ records: [write("1", x)] }));
      const second = seqnumOf(await book.append({ records: [write("2", x)] }));
      const none = { length: 0, last: NO_SEQNUM, goneUpTo: NO_SEQNUM, closed: false };
      expect(await book.tailOf(x)).toMatchObject({ ...none, length: 2, last: second });
      expect(await book.tailOf(x, first)).toMatchObject({ ...none, length: 1, last: first });
      expect(await book.tailOf(y)).toMatchObject({ ...none, tail: second });
    });

    test("[8] a waiting read answers when its record is applied, at once when it is there", async () => {
      const book = shard.book(ALICE);
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
      const book = shard.book(ALICE);
      const answer = book.awaitNext(x, NO_SEQNUM, 50);
      let isOver = false;
      void answer.then(() => {
        isOver = true;
      });
      await book.tail();
      const tail = seqnumOf(await book.append({ records: [write("1", y)] }));
      expect(isOver).toBe(false);
      harness.advance(50);
      expect(await answer).toMatchObject({ record: null, tail });
      expect(await book.awaitNext(x, NO_SEQNUM, 0)).toMatchObject({ record: null, tail });
    });

    test("[8] a waiting read ends when its caller gives up, and its place is free again", async () => {
      const book = shard.book(ALICE);
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
      const book = shard.book(ALICE);
      const over = expect(book.awaitNext(x, NO_SEQNUM, 1_000)).rejects.toMatchObject({
        code: expect.stringMatching(/^(EPOCH_CHANGED|OWNER_UNAVAILABLE)$/),
      });
      await book.tail();
      await harness.restart();
      await over;
    });

    test("[10] an owner restarted in the middle of appends keeps each request whole or not at all, in order", async () => {
      const book = shard.book(ALICE);
      const own = guestTag("own");
      const durable = seqnumOf(await book.append({ records: [write("0", x)] }));
      await shard.whenDurable(durable);
      const racing = Array.from({ length: 20 }, (_, i) =>
        book.append({ records: [write(`${i} a`, x), write(`${i} b`, x)], when: [{ tag: own, length: 0 }] }),
      );
      const answers = Promise.allSettled(racing);
      const after = (await harness.restart()).book(ALICE);
      await answers;
      const found = texts((await after.readStream(x, 0)).records);
      const whole = ["0", ...Array.from({ length: (found.length - 1) / 2 }, (_, i) => [`${i} a`, `${i} b`]).flat()];
      expect(found).toEqual(whole);
      const late = await after.append({ records: [write("late", x)], when: [{ tag: x, length: found.length }] });
      expect(late.kind).toBe("appended");
      await expect(book.readPrev(x, MAX_SEQNUM)).rejects.toMatchObject({
        code: expect.stringMatching(/^(EPOCH_CHANGED|OWNER_UNAVAILABLE)$/),
      });
    });

    test("[9] what was durable survives a restart in its order, and its seqnums are not used again", async () => {
      const book = shard.book(ALICE);
      const seqnums: SeqNum[] = [];
      for (let i = 0; i < 50; i++) {
        seqnums.push(seqnumOf(await book.append({ records: [write(String(i), x)] })));
      }
      const last = await book.tail();
      await shard.whenDurable(last);
      const before = await book.readStream(x, 0);
      const next = await harness.restart();
      expect(next.epoch).toBeGreaterThan(shard.epoch);
      const after = await next.book(ALICE).readStream(x, 0);
      expect(after.records).toEqual(before.records);
      expect(after.records.map((record) => record.seqnum)).toEqual(seqnums);
      expect(seqnumOf(await next.book(ALICE).append({ records: [write("new", x)] }))).toBeGreaterThan(last);
    });

    test("F1: a session whose owner was restarted ends, and answers nothing more", async () => {
      const book = shard.book(ALICE);
      await book.append({ records: [write("1", x)] });
      await harness.restart();
      await shard.ended;
      await expect(book.tail()).rejects.toMatchObject({ code: expect.stringMatching(/^(EPOCH_CHANGED|OWNER_UNAVAILABLE)$/) });
      await expect(book.append({ records: [write("2", x)] })).rejects.toMatchObject({
        code: expect.stringMatching(/^(EPOCH_CHANGED|OWNER_UNAVAILABLE)$/),
      });
    });

    test("[11] the same tag in two LogBooks is two streams", async () => {
      await shard.book(ALICE).append({ records: [write("alice", x)] });
      expect(await shard.book(BOB).readStream(x, 0)).toMatchObject({ records: [], length: 0 });
      const result = await shard.book(BOB).append({ records: [write("bob", x)], when: [{ tag: x, length: 0 }] });
      expect(result.kind).toBe("appended");
      expect(texts((await shard.book(ALICE).readStream(x, 0)).records)).toEqual(["alice"]);
      expect([...(await shard.books())].sort()).toEqual([ALICE, BOB]);
    });

    test("[12] aux data comes with reads of its record, and dropping it changes no result", async () => {
      const book = shard.book(ALICE);
      const first = seqnumOf(await book.append({ records: [write("1", x, y)] }));
      const plain = await book.readPrev(x, MAX_SEQNUM);
      await book.setAux(x, first, bytes("sum 1"));
      expect(await book.readPrev(x, MAX_SEQNUM)).toEqual({ ...plain, aux: bytes("sum 1") });
      expect((await book.readNext(y, NO_SEQNUM)).aux).toEqual(bytes("sum 1"));
      // Nothing is kept beside what is no record of this LogBook's stream.
      await book.setAux(y, next(first), bytes("nothing"));
      await shard.book(BOB).setAux(x, first, bytes("bob's"));
      expect((await book.readPrev(x, MAX_SEQNUM)).aux).toEqual(bytes("sum 1"));
      const tooLarge = book.setAux(x, first, new Uint8Array(AUX_MAX_BYTES + 1));
      await expect(tooLarge).rejects.toMatchObject({ code: "AUX_TOO_LARGE", message: expect.stringContaining("65536") });
      await shard.whenDurable(first);
      const reopened = (await harness.restart()).book(ALICE);
      const { tail: _, ...read } = await reopened.readPrev(x, MAX_SEQNUM);
      expect(read).toEqual({ record: plain.record, modes: plain.modes });
    });

    test("[12] the aux data used least lately goes first, and that of a collected record with it", async () => {
      const book = shard.book(ALICE);
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

    test("[13] below a trim a read is TRIMMED and never none, and other tags of the records stay", async () => {
      const book = shard.book(ALICE);
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
          await harness.collect();
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
      const book = shard.book(ALICE);
      const [feed, empty] = [guestTag("feed"), guestTag("empty")];
      const first = seqnumOf(await book.append({ records: [write("1", feed, x)] }));
      await shard.book(BOB).append({ records: [write("bob", feed)] });
      await book.append({ records: [trimRecord({ tag: null, upTo: MAX_SEQNUM })] });
      for (const isCollected of [false, true]) {
        if (isCollected) {
          await harness.collect();
        }
        await expect(book.readPrev(feed, MAX_SEQNUM)).rejects.toMatchObject({ code: "TRIMMED" });
        expect(texts((await book.readStream(x, 0)).records)).toEqual(["1"]);
        expect(texts((await shard.book(BOB).readStream(feed, 0)).records)).toEqual(["bob"]);
        // Below the trim point, although this stream never had a record; above it there is none.
        await expect(book.readPrev(empty, first)).rejects.toMatchObject({ code: "TRIMMED" });
        expect((await book.readPrev(empty, MAX_SEQNUM)).record).toBeNull();
      }
      const later = seqnumOf(await book.append({ records: [write("2", feed)], when: [{ tag: feed, last: first }] }));
      expect(await walk(book, feed, later)).toEqual(["2"]);
      await expect(book.append({ records: [trimRecord({ tag: x, upTo: first })] })).rejects.toMatchObject({ code: "BAD_TAG" });
    });

    test("[13] F14: a stream that was trimmed as a whole keeps length and last seqnum, over collection and restart", async () => {
      const book = shard.book(ALICE);
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
      await harness.collect();
      await check(book);
      const reopened = (await harness.restart()).book(ALICE);
      await check(reopened);
      const when = [
        { tag: feed, last },
        { tag: feed, length: 2 },
      ];
      expect((await reopened.append({ records: [write("3", feed)], when })).kind).toBe("appended");
    });

    test("[13] a trim and reads at the same time: what is read is a record, or TRIMMED", async () => {
      const book = shard.book(ALICE);
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
          reads.push(harness.collect());
        }
      }
      await Promise.all(reads);
    });

    test("[13] a waiting read below a new trim is TRIMMED", async () => {
      const book = shard.book(ALICE);
      const feed = guestTag("feed");
      const tail = seqnumOf(await book.append({ records: [write("1", feed)] }));
      const waiting = [feed, guestTag("none")].map((tag) => book.awaitNext(tag, next(tail), 1_000));
      const ends = Promise.all(waiting.map((one) => expect(one).rejects.toMatchObject({ code: "TRIMMED" })));
      await book.tail();
      await book.append({ records: [write("other", x)] });
      await book.append({ records: [trimRecord({ tag: null, upTo: next(tail) })] });
      await ends;
    });

    test("[52] a closed stream refuses appends with the record that closed it, and stays closed when it is trimmed", async () => {
      const book = shard.book(ALICE);
      const feed = guestTag("feed");
      await book.append({ records: [write("1", feed)] });
      const waiting = book.awaitNext(feed, MAX_SEQNUM, 1_000);
      await book.tail();
      const closing: NewRecord = { kind: RecordKind.close, tags: [feed, x], data: bytes("end") };
      const seqnum = seqnumOf(await book.append({ records: [closing] }));
      harness.advance(1_000);
      expect((await waiting).record).toBeNull();
      const late = { records: [write("late", feed)], when: [{ tag: feed, length: 1 }] };
      const refused = { kind: "closed", tag: feed, done: { seqnum, data: bytes("end") } };
      expect(await book.append(late)).toMatchObject(refused);
      expect(await book.append({ records: [write("late", x)] })).toMatchObject({ ...refused, tag: x });
      expect(await book.tailOf(feed)).toMatchObject({ length: 2, last: seqnum, closed: true });
      expect(await book.tailOf(feed, (seqnum - 1) as SeqNum)).toMatchObject({ length: 1, closed: false });
      expect((await book.awaitNext(feed, next(seqnum), WAIT_MAX_MS)).record).toBeNull();
      await book.append({ records: [trimRecord({ tag: feed, upTo: seqnum })] });
      await harness.collect();
      for (const open of [async () => book, async () => (await harness.restart()).book(ALICE)]) {
        const one = await open();
        expect(await one.append(late)).toMatchObject({ ...refused, done: null });
        expect(await one.tailOf(feed)).toMatchObject({ length: 2, last: seqnum, closed: true });
      }
    });

    test("[14] two tags never share a stream, however alike they are", async () => {
      const book = shard.book(ALICE);
      const tags = ["t/a", "t/a/", "t/A", "t/é", "t/e\u0301", "t/\u{1f600}", "t/\u{1f601}", "t/ ", "t/\u0000", "a/t"].map(
        (one) => one as Tag,
      );
      for (const tag of tags) {
        await book.append({ records: [write(tag, tag)] });
      }
      await shard.whenDurable(await book.tail());
      for (const open of [async () => book, async () => (await harness.restart()).book(ALICE)]) {
        const one = await open();
        for (const tag of tags) {
          expect(texts((await one.readStream(tag, 0)).records)).toEqual([tag]);
        }
      }
    });

    test("all records of a request are ordered one after the other", async () => {
      const book = shard.book(ALICE);
      const last = seqnumOf(
        await book.append({ records: [write("1", x), write("2", x, y), write("3", x)], when: [{ tag: x, length: 0 }] }),
      );
      const { records } = await book.readStream(x, 0);
      expect(records.map((record) => record.seqnum)).toEqual([last - 2, last - 1, last]);
    });

    test("F14: an object condition names the version that was read, and the own step is reported first", async () => {
      const book = shard.book(ALICE);
      const own = stepTag("1" as InstanceId);
      const object = objectTag("n");
      const absent = { tag: object, last: NO_SEQNUM };
      const version = seqnumOf(await book.append({ records: [write("v1", object)], when: [absent] }));
      expect(await book.append({ records: [write("v1", object)], when: [absent] })).toMatchObject({
        kind: "conflict",
        tag: object,
        existing: { seqnum: version },
      });
      const step = {
        records: [write("v2", own, object)],
        when: [
          { tag: own, length: 0 },
          { tag: object, last: version },
        ],
      };
      expect((await book.append(step)).kind).toBe("appended");
      // Both conditions fail now.
      expect(await book.append(step)).toMatchObject({ kind: "conflict", tag: own });
    });

    test("[52] F31: a closed stream refuses every position with its DONE, before any conflict", async () => {
      const book = shard.book(ALICE);
      const own = stepTag("1" as InstanceId);
      await book.append({ records: [{ kind: RecordKind.init, tags: [own], data: bytes("in") }] });
      const done = seqnumOf(
        await book.append({
          records: [{ kind: RecordKind.done, tags: [own], data: bytes("out") }],
          when: [{ tag: own, length: 1 }],
        }),
      );
      for (const length of [0, 1, 2, 3]) {
        expect(await book.append({ records: [write("late", own)], when: [{ tag: own, length }] })).toMatchObject({
          kind: "closed",
          tag: own,
          done: { seqnum: done, data: bytes("out") },
        });
      }
      expect((await book.append({ records: [write("late", x, own)] })).kind).toBe("closed");
      expect(await book.readStream(own, 0)).toMatchObject({ length: 2, closed: true });
    });

    test("F8: whenDurable of nothing resolves at once, of a record when it is on the disk", async () => {
      await shard.whenDurable(NO_SEQNUM);
      const book = shard.book(ALICE);
      const seqnum = seqnumOf(await book.append({ records: [write("1", x)] }));
      await shard.whenDurable(seqnum);
      const next = await harness.restart();
      expect((await next.book(ALICE).readPrev(x, MAX_SEQNUM)).record?.seqnum).toBe(seqnum);
    });

    test("F6: a record that names a blob which the owner does not hold is refused", async () => {
      const book = shard.book(ALICE);
      const writer = await shard.blobs.create();
      await writer.write(bytes("large"));
      const ref = await writer.commit();
      const named = { ...write("1", x), blobs: [ref] };
      expect((await book.append({ records: [named] })).kind).toBe("appended");
      for (const wrong of [
        { ...ref, sizeBytes: 6 },
        { ...ref, name: `9${ref.name}` as typeof ref.name },
      ]) {
        await expect(book.append({ records: [{ ...write("2", x), blobs: [wrong] }] })).rejects.toMatchObject({
          code: "BLOB_MISSING",
        });
      }
      expect((await book.readStream(x, 0)).length).toBe(1);
      expect(Buffer.from(await shard.blobs.read(ref.name, 1, 3)).toString()).toBe("arg");
    });

    test("F6: a blob that was given up can be named by no record; one that a record names is given up by nobody", async () => {
      const book = shard.book(ALICE);
      const store = async (text: string) => {
        const writer = await shard.blobs.create();
        await writer.write(bytes(text));
        return writer.commit();
      };
      const [unused, used] = [await store("unused"), await store("used")];
      await book.append({ records: [{ ...write("1", x), blobs: [used] }] });
      await shard.blobs.discard([unused.name, used.name, "1-ffffffffffffffffffffffffffffffff" as BlobName]);
      await expect(book.append({ records: [{ ...write("2", x), blobs: [unused] }] })).rejects.toMatchObject({
        code: "BLOB_MISSING",
      });
      expect(await shard.blobs.size(unused.name)).toBeNull();
      expect(Buffer.from(await shard.blobs.read(used.name, 0, 4)).toString()).toBe("used");
      expect((await book.append({ records: [{ ...write("2", x), blobs: [used] }] })).kind).toBe("appended");
    });

    test("records that are malformed or too large are refused, and nothing is ordered", async () => {
      const book = shard.book(ALICE);
      const tail = await book.tail();
      const refused: [string, readonly NewRecord[]][] = [
        ["RECORD_TOO_LARGE", [write("x".repeat(1024 * 1024), x)]],
        ["RECORD_TOO_LARGE", Array.from({ length: 3 }, () => write("x".repeat(400 * 1024), x))],
        ["BAD_TAG", [write("1", "" as Tag)]],
        ["BAD_TAG", [write("1", "t".repeat(1201) as Tag)]],
        ["BAD_TAG", [write("1", x), write("2", "t/\ud800" as Tag)]],
        ["BAD_TAG", [write("1", x, x)]],
        ["BAD_SEQNUM", [{ ...write("1", x), initialCursor: -1 as SeqNum }]],
        ["BAD_RECORD", [{ ...write("1", x), kind: RecordKind.gc }]],
        ["BAD_RECORD", []],
      ];
      for (const [code, records] of refused) {
        await expect(book.append({ records })).rejects.toMatchObject({ code });
      }
      expect(await book.tail()).toBe(tail);
      expect((await book.append({ records: [write("x".repeat(1024 * 1024 - 1024), x)] })).kind).toBe("appended");
    });

    test("[15] seqnums, positions and time-outs out of range are refused, and nothing is ordered", async () => {
      const book = shard.book(ALICE);
      const tail = await book.tail();
      const record = write("1", x);
      const feed = guestTag("feed");
      for (const wrong of [-1, 2 ** 53, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        const value = wrong as SeqNum;
        for (const request of [
          { records: [record], when: [{ tag: x, length: wrong }] },
          { records: [record], when: [{ tag: x, last: value }] },
          { records: [trimRecord({ tag: feed, upTo: value })] },
        ]) {
          await expect(book.append(request)).rejects.toMatchObject({ code: expect.stringMatching(/^BAD_(SEQNUM|MESSAGE)$/) });
        }
        await expect(book.awaitNext(x, NO_SEQNUM, wrong)).rejects.toMatchObject({
          code: expect.stringMatching(/^BAD_(TIMEOUT|MESSAGE)$/),
        });
        for (const read of [
          book.readPrev(x, value),
          book.readNext(x, value),
          book.tailOf(x, value),
          book.awaitNext(x, value, 0),
        ]) {
          await expect(read).rejects.toMatchObject({ code: expect.stringMatching(/^BAD_(SEQNUM|MESSAGE)$/) });
        }
      }
      await expect(book.awaitNext(x, NO_SEQNUM, WAIT_MAX_MS + 1)).rejects.toMatchObject({ code: "BAD_TIMEOUT" });
      const malformed = { kind: RecordKind.trim, tags: [], data: bytes("123456789") };
      await expect(book.append({ records: [malformed] })).rejects.toMatchObject({ code: "BAD_RECORD" });
      const when = Array.from({ length: 4_096 }, () => ({ tag: x, length: 0 }));
      await expect(book.append({ records: [record], when })).rejects.toMatchObject({
        code: expect.stringMatching(/^BAD_(RECORD|MESSAGE)$/),
      });
      expect(await book.tail()).toBe(tail);
    });

    test("listObjects shows what existed at the cursor, in the order of the keys' UTF-8 bytes", async () => {
      const book = shard.book(ALICE);
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

    describe("a cell", () => {
      const data = (text: string) =>
        encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue({ kind: "inline", bytes: bytes(text) }));
      const textOf = (record: LogRecord | null): string | null => {
        const value = record === null ? null : decodeObjectValue(record);
        return value?.kind === "inline" ? Buffer.from(value.bytes).toString() : null;
      };
      /** "deleted" deletes. */
      const put = (text: string, seqnum: number, role: 0 | 1 = 0, counter = 0) =>
        shard.book(ALICE).writeCell({
          key: "x",
          version: { seqnum: seqnum as SeqNum, role, counter },
          kind: text === "deleted" ? RecordKind.delete : RecordKind.write,
          data: text === "deleted" ? encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0)) : data(text),
          initialCursor: MAX_SEQNUM,
        });
      const get = async () => textOf((await shard.book(ALICE).readCell("x", MAX_SEQNUM)).record);

      test("[33] F3: has the highest version, whatever comes first; a lower one, or the same again, counts as done", async () => {
        expect(await put("1", 7, 0, 1)).toMatchObject({ kind: "written" });
        const newest = await put("2", 7, 1, 1);
        expect(newest.kind).toBe("written");
        for (const [seqnum, role, counter] of [
          [7, 1, 1],
          [7, 0, 9],
          [6, 1, 9],
        ] as const) {
          // What it depends on is the newer one (F8).
          expect(await put("late", seqnum, role, counter)).toEqual({ ...newest, kind: "superseded" });
        }
        expect(await get()).toBe("2");
        await put("3", 7, 1, 2);
        await put("4", 8);
        expect(await get()).toBe("4");
      });

      test("F3: is a view of entries of the journal: what was durable is there after a crash, with its version", async () => {
        await put("1", 7);
        await shard.whenDurable(await shard.book(ALICE).tail());
        const before = await shard.book(ALICE).readCell("x", MAX_SEQNUM);
        shard = await harness.restart();
        const after = await shard.book(ALICE).readCell("x", MAX_SEQNUM);
        expect([after.record, after.home]).toEqual([before.record, "cell"]);
        expect((await put("late", 6)).kind).toBe("superseded");
        expect((await put("2", 9)).kind).toBe("written");
      });

      test("[35] a delete has a version too: a write from before it changes nothing", async () => {
        await put("1", 7);
        await put("deleted", 9);
        expect((await put("late", 8)).kind).toBe("superseded");
        expect((await shard.book(ALICE).readCell("x", MAX_SEQNUM)).record?.kind).toBe(RecordKind.delete);
        expect((await shard.book(ALICE).listObjects("", "", MAX_SEQNUM, 9)).objects).toEqual([]);
      });

      test("F14(d): a condition names the newest write, and the owner tests it in the tick in which it orders", async () => {
        const book = shard.book(ALICE);
        const object = objectTag("x");
        const update = (text: string, newest: SeqNum) =>
          book.append({
            records: [{ kind: RecordKind.write, tags: [], data: data(text), cell: { key: "x", version: null } }],
            when: [{ tag: object, newest }],
          });
        const first = seqnumOf(await update("1", NO_SEQNUM));
        await put("2", first, 0, 1);
        expect(await update("lost", first)).toMatchObject({ kind: "conflict", tag: object });
        const { record } = await book.readCell("x", MAX_SEQNUM);
        expect(textOf(record)).toBe("2");
        const racers = await Promise.all(["a", "b", "c"].map((racer) => update(racer, record?.seqnum ?? NO_SEQNUM)));
        expect(racers.map(({ kind }) => kind)).toEqual(["appended", "conflict", "conflict"]);
        expect(await get()).toBe("a");
      });

      test("a step and the cell that it changes are ordered together or not at all", async () => {
        const book = shard.book(ALICE);
        const own = stepTag("1" as InstanceId);
        const step = (text: string): NewRecord => ({
          kind: RecordKind.write,
          tags: [own],
          data: data(text),
          cell: { key: "x", version: null },
        });
        const seqnum = seqnumOf(await book.append({ records: [step("1")], when: [{ tag: own, length: 0 }] }));
        expect((await book.append({ records: [step("2")], when: [{ tag: own, length: 0 }] })).kind).toBe("conflict");
        const read = await book.readCell("x", MAX_SEQNUM);
        expect([textOf(read.record), read.record?.seqnum]).toEqual(["1", seqnum]);
      });

      test("PROTOCOL_MISMATCH: an object lives in versions or in a cell, and whoever looks in the other place is told", async () => {
        const book = shard.book(ALICE);
        const before = await book.tail();
        await put("1", 7);
        const mismatch = { code: "PROTOCOL_MISMATCH" };
        await expect(book.readPrev(objectTag("x"), MAX_SEQNUM)).rejects.toMatchObject(mismatch);
        await expect(book.append({ records: [write("2", objectTag("x"))] })).rejects.toMatchObject(mismatch);
        // A reader from before the cell sees what there was: nothing.
        expect((await book.readPrev(objectTag("x"), before)).record).toBeNull();
        await book.append({ records: [write("1", objectTag("y"))] });
        const inCell = { key: "y", version: { seqnum: 9 as SeqNum, role: 0, counter: 0 }, kind: RecordKind.write } as const;
        await expect(book.writeCell({ ...inCell, data: data("2"), initialCursor: MAX_SEQNUM })).rejects.toMatchObject(mismatch);
        expect((await book.readCell("y", MAX_SEQNUM)).home).toBe("versions");
        // A write from outside goes where the object lives.
        for (const key of ["x", "y"]) {
          await book.append({ records: [{ kind: RecordKind.write, tags: [], data: data("outside"), place: key }] });
          expect(textOf((await book.readCell(key, MAX_SEQNUM)).record)).toBe("outside");
        }
        expect((await book.listObjects("", "", MAX_SEQNUM, 9)).objects.map(({ key, home }) => `${key} ${home}`)).toEqual([
          "x cell",
          "y versions",
        ]);
      });

      test("entries that are malformed are refused, and nothing is ordered", async () => {
        const book = shard.book(ALICE);
        const tail = await book.tail();
        const cell = { key: "x", version: null };
        const refused: [string, NewRecord][] = [
          ["BAD_RECORD", { kind: RecordKind.sleep, tags: [], data: data("1"), cell }],
          ["BAD_KEY", { kind: RecordKind.write, tags: [], data: data("1"), cell: { ...cell, key: "" } }],
          ["BAD_RECORD", { kind: RecordKind.mode, tags: [], data: data("1") }],
          ["BAD_RECORD", { kind: RecordKind.migrated, tags: [], data: data("1") }],
          ["BAD_KEY", { kind: RecordKind.write, tags: [], data: data("1"), place: "x\u0000" }],
        ];
        for (const [code, record] of refused) {
          await expect(book.append({ records: [record] })).rejects.toMatchObject({ code });
        }
        await expect(put("1", 7, 0, 2 ** 32)).rejects.toMatchObject({ code: "BAD_RECORD" });
        await expect(put("1", -1)).rejects.toMatchObject({ code: expect.stringMatching(/^BAD_(SEQNUM|MESSAGE)$/) });
        expect(await book.tail()).toBe(tail);
      });
    });

    test("[46] a scope has one switch at a time, whoever asks; the mode is that of the cursor", async () => {
      const book = shard.book(ALICE);
      const before = await book.tail();
      const begin = await shard.switchMode(ALICE, "a", "boki", false);
      await expect(shard.switchMode(ALICE, "a", "unsafe", false)).rejects.toMatchObject({ code: "SWITCH_UNDER_WAY" });
      expect(await book.modeAt("a", before)).toMatchObject({ mode: null, to: null, defaultMode: "halfmoon-read", modes: 0 });
      expect(await book.modeAt("a", begin)).toMatchObject({ mode: null, to: "boki", seqnum: begin, modes: begin });
      expect(await book.modeAt("b", begin)).toMatchObject({ mode: null, to: null, seqnum: 0, modes: begin });
      await shard.chooseDefault(ALICE, "unsafe");
      expect((await book.modeAt("b", MAX_SEQNUM)).defaultMode).toBe("unsafe");
      // Nobody uses the old mode: it ends as soon as time passes.
      const view = (await shard.scopes(ALICE)).find(({ scope }) => scope === "a");
      expect(view?.to ?? view?.mode).toBe("boki");
      expect(view?.waitingFor).toBe(0);
      await expect(book.append({ records: [{ kind: RecordKind.mode, tags: [], data: bytes("x") }] })).rejects.toMatchObject({
        code: "BAD_RECORD",
      });
    });

    test("F16: an unfinished instance is claimed once, and its child only after it", async () => {
      const book = shard.book(ALICE);
      const root = "root" as InstanceId;
      const child = "child" as InstanceId;
      await book.append({ records: [{ kind: RecordKind.init, tags: [stepTag(root), callIdTag(5)], data: bytes("in") }] });
      await book.append({ records: [{ kind: RecordKind.invoke, tags: [stepTag(root), stepTag(child)], data: bytes("call") }] });
      expect(await shard.claim(10)).toEqual([]);
      await shard.release(ALICE, root);
      await shard.release(ALICE, child);
      expect(await shard.claim(10)).toEqual([{ book: ALICE, instance: root, attempts: 0, parked: false }]);
      expect(await shard.claim(10)).toEqual([]);
      await book.append({ records: [{ kind: RecordKind.done, tags: [stepTag(root)], data: bytes("out") }] });
      expect((await shard.claim(10)).map((one) => one.instance)).toEqual([child]);
      expect((await shard.unfinished(ALICE)).map((one) => one.instance)).toEqual([child]);
    });
  });
}
