import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type InstanceId, type LogBookId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../state/ids.ts";
import { type AppendResult, type NewRecord, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { encodeLock } from "../../state/logbook/lock-record.ts";
import { encodeStep, NO_FINGERPRINT } from "../../state/logbook/step-record.ts";
import { encodeObjectValue } from "../../state/objects/object-record.ts";
import { callIdTag, holdTag, lockTag, objectTag, stepTag } from "../../state/tags.ts";

/** What the suite needs from an implementation. */
export interface LogBookHarness {
  readonly shard: Shard;
  /** Ends the owner as a crash does and begins its next epoch: records that nobody waited for may be lost. */
  restart(): Promise<Shard>;
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
      expect(objects).toEqual([{ key: "b", sizeBytes: 2, seqnum: expect.any(Number) }]);
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
