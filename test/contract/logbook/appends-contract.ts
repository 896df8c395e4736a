/** What an append leaves, and what it refuses. */
import { expect, test } from "vitest";
import { type BlobName, type InstanceId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../../state/ids.ts";
import { type NewRecord, RecordKind, trimRecord, WAIT_MAX_MS } from "../../../state/logbook/index.ts";
import { guestTag, objectTag, stepTag } from "../../../state/tags.ts";
import { ALICE, BOB, bytes, type OpenLogBook, seqnumOf, texts, write, x, y } from "./harness.ts";

export function describeAppends(on: OpenLogBook): void {
  test("[1] a record is in the stream of each of its tags, at its place in the order", async () => {
    const book = on.shard.book(ALICE);
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
    const book = on.shard.book(ALICE);
    await book.append({ records: [write("won", x)], when: [{ tag: x, length: 0 }] });
    const lost = await book.append({ records: [write("lost", y, x), write("lost too", y)], when: [{ tag: x, length: 0 }] });
    expect(lost.kind).toBe("conflict");
    await on.shard.whenDurable(await book.tail());
    for (const open of [async () => book, async () => (await on.harness.restart()).book(ALICE)]) {
      const one = await open();
      expect(texts((await one.readStream(x, 0)).records)).toEqual(["won"]);
      expect(await one.readStream(y, 0)).toMatchObject({ records: [], length: 0, closed: false });
      expect((await one.readPrev(y, MAX_SEQNUM)).record).toBeNull();
    }
  });

  test("[3] of appends that race for a position exactly one wins, and the losers get its record", async () => {
    const book = on.shard.book(ALICE);
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
    const book = on.shard.book(ALICE);
    const gap = await book.append({ records: [write("3", x)], when: [{ tag: x, length: 2 }] });
    expect(gap).toMatchObject({ kind: "badPosition", tag: x, length: 0 });
    expect((await book.append({ records: [write("0", x)], when: [{ tag: x, length: 0 }] })).kind).toBe("appended");
  });

  test("[5] an append repeated after a lost answer is in the log once", async () => {
    const book = on.shard.book(ALICE);
    const request = { records: [write("once", x)], when: [{ tag: x, length: 0 }] };
    const seqnum = seqnumOf(await book.append(request));
    expect(await book.append(request)).toMatchObject({ kind: "conflict", existing: { seqnum } });
    expect((await book.readStream(x, 0)).length).toBe(1);
  });

  test("[7] whoever has appended sees it in every later answer, at a tail that covers it", async () => {
    const book = on.shard.book(ALICE);
    for (let i = 0; i < 20; i++) {
      const seqnum = seqnumOf(await book.append({ records: [write(String(i), x)] }));
      expect(await book.tail()).toBeGreaterThanOrEqual(seqnum);
      const read = await book.readPrev(x, MAX_SEQNUM);
      expect(read.record?.seqnum).toBe(seqnum);
      expect(read.tail).toBeGreaterThanOrEqual(seqnum);
    }
  });

  test("[10] an owner restarted in the middle of appends keeps each request whole or not at all, in order", async () => {
    const book = on.shard.book(ALICE);
    const own = guestTag("own");
    const durable = seqnumOf(await book.append({ records: [write("0", x)] }));
    await on.shard.whenDurable(durable);
    const racing = Array.from({ length: 20 }, (_, i) =>
      book.append({ records: [write(`${i} a`, x), write(`${i} b`, x)], when: [{ tag: own, length: 0 }] }),
    );
    const answers = Promise.allSettled(racing);
    const after = (await on.harness.restart()).book(ALICE);
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
    const book = on.shard.book(ALICE);
    const seqnums: SeqNum[] = [];
    for (let i = 0; i < 50; i++) {
      seqnums.push(seqnumOf(await book.append({ records: [write(String(i), x)] })));
    }
    const last = await book.tail();
    await on.shard.whenDurable(last);
    const before = await book.readStream(x, 0);
    const next = await on.harness.restart();
    expect(next.epoch).toBeGreaterThan(on.shard.epoch);
    const after = await next.book(ALICE).readStream(x, 0);
    expect(after.records).toEqual(before.records);
    expect(after.records.map((record) => record.seqnum)).toEqual(seqnums);
    expect(seqnumOf(await next.book(ALICE).append({ records: [write("new", x)] }))).toBeGreaterThan(last);
  });

  test("F1: a session whose owner was restarted ends, and answers nothing more", async () => {
    const book = on.shard.book(ALICE);
    await book.append({ records: [write("1", x)] });
    await on.harness.restart();
    await on.shard.ended;
    await expect(book.tail()).rejects.toMatchObject({ code: expect.stringMatching(/^(EPOCH_CHANGED|OWNER_UNAVAILABLE)$/) });
    await expect(book.append({ records: [write("2", x)] })).rejects.toMatchObject({
      code: expect.stringMatching(/^(EPOCH_CHANGED|OWNER_UNAVAILABLE)$/),
    });
  });

  test("[11] the same tag in two LogBooks is two streams", async () => {
    await on.shard.book(ALICE).append({ records: [write("alice", x)] });
    expect(await on.shard.book(BOB).readStream(x, 0)).toMatchObject({ records: [], length: 0 });
    const result = await on.shard.book(BOB).append({ records: [write("bob", x)], when: [{ tag: x, length: 0 }] });
    expect(result.kind).toBe("appended");
    expect(texts((await on.shard.book(ALICE).readStream(x, 0)).records)).toEqual(["alice"]);
    expect([...(await on.shard.books())].sort()).toEqual([ALICE, BOB]);
  });

  test("[14] two tags never share a stream, however alike they are", async () => {
    const book = on.shard.book(ALICE);
    const tags = ["t/a", "t/a/", "t/A", "t/é", "t/e\u0301", "t/\u{1f600}", "t/\u{1f601}", "t/ ", "t/\u0000", "a/t"].map(
      (one) => one as Tag,
    );
    for (const tag of tags) {
      await book.append({ records: [write(tag, tag)] });
    }
    await on.shard.whenDurable(await book.tail());
    for (const open of [async () => book, async () => (await on.harness.restart()).book(ALICE)]) {
      const one = await open();
      for (const tag of tags) {
        expect(texts((await one.readStream(tag, 0)).records)).toEqual([tag]);
      }
    }
  });

  test("all records of a request are ordered one after the other", async () => {
    const book = on.shard.book(ALICE);
    const last = seqnumOf(
      await book.append({ records: [write("1", x), write("2", x, y), write("3", x)], when: [{ tag: x, length: 0 }] }),
    );
    const { records } = await book.readStream(x, 0);
    expect(records.map((record) => record.seqnum)).toEqual([last - 2, last - 1, last]);
  });

  test("F14: an object condition names the version that was read, and the own step is reported first", async () => {
    const book = on.shard.book(ALICE);
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
    const book = on.shard.book(ALICE);
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
    await on.shard.whenDurable(NO_SEQNUM);
    const book = on.shard.book(ALICE);
    const seqnum = seqnumOf(await book.append({ records: [write("1", x)] }));
    await on.shard.whenDurable(seqnum);
    const next = await on.harness.restart();
    expect((await next.book(ALICE).readPrev(x, MAX_SEQNUM)).record?.seqnum).toBe(seqnum);
  });

  test("F6: a record that names a blob which the owner does not hold is refused", async () => {
    const book = on.shard.book(ALICE);
    const writer = await on.shard.blobs.create();
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
    expect(Buffer.from(await on.shard.blobs.read(ref.name, 1, 3)).toString()).toBe("arg");
  });

  test("F6: a blob that was given up can be named by no record; one that a record names is given up by nobody", async () => {
    const book = on.shard.book(ALICE);
    const store = async (text: string) => {
      const writer = await on.shard.blobs.create();
      await writer.write(bytes(text));
      return writer.commit();
    };
    const [unused, used] = [await store("unused"), await store("used")];
    await book.append({ records: [{ ...write("1", x), blobs: [used] }] });
    await on.shard.blobs.discard([unused.name, used.name, "1-ffffffffffffffffffffffffffffffff" as BlobName]);
    await expect(book.append({ records: [{ ...write("2", x), blobs: [unused] }] })).rejects.toMatchObject({
      code: "BLOB_MISSING",
    });
    expect(await on.shard.blobs.size(unused.name)).toBeNull();
    expect(Buffer.from(await on.shard.blobs.read(used.name, 0, 4)).toString()).toBe("used");
    expect((await book.append({ records: [{ ...write("2", x), blobs: [used] }] })).kind).toBe("appended");
  });

  test("records that are malformed or too large are refused, and nothing is ordered", async () => {
    const book = on.shard.book(ALICE);
    const tail = await book.tail();
    const refused: [string, readonly NewRecord[], RegExp][] = [
      ["RECORD_TOO_LARGE", [write("x".repeat(1024 * 1024), x)], /10\d{5} bytes, a frame holds at most 1048576/],
      ["RECORD_TOO_LARGE", Array.from({ length: 3 }, () => write("x".repeat(400 * 1024), x)), /1228800 bytes.* at most 1048576/],
      ["BAD_TAG", [write("1", "" as Tag)], /tag is 0 bytes, must be 1 to 1200/],
      ["BAD_TAG", [write("1", "t".repeat(1201) as Tag)], /tag is 1201 bytes, must be 1 to 1200/],
      ["BAD_TAG", [write("1", x), write("2", "t/\ud800" as Tag)], /tag/],
      ["BAD_TAG", [write("1", x, x)], /tag "t\/.*" is twice in tags, may be once/],
      ["BAD_SEQNUM", [{ ...write("1", x), initialCursor: -1 as SeqNum }], /initialCursor is -1, must be .* from 0 to 2\^53 - 1/],
      ["BAD_RECORD", [{ ...write("1", x), kind: RecordKind.gc }], /kind is \d+, which cannot be appended/],
      ["BAD_RECORD", [], /records is empty, must hold at least 1/],
    ];
    for (const [code, records, message] of refused) {
      await expect(book.append({ records })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    }
    expect(await book.tail()).toBe(tail);
    expect((await book.append({ records: [write("x".repeat(1024 * 1024 - 1024), x)] })).kind).toBe("appended");
  });

  test("[15] seqnums, positions and time-outs out of range are refused, and nothing is ordered", async () => {
    const book = on.shard.book(ALICE);
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
        await expect(book.append(request)).rejects.toMatchObject({
          code: "BAD_SEQNUM",
          message: expect.stringMatching(/ is .*, must be .* from 0 to 2\^53 - 1/),
        });
      }
      await expect(book.awaitNext(x, NO_SEQNUM, wrong)).rejects.toMatchObject({
        code: "BAD_TIMEOUT",
      });
      await expect(book.readStream(x, wrong)).rejects.toMatchObject({
        code: "BAD_SEQNUM",
        message: `from is ${wrong}, must be a whole number from 0 to 2^53 - 1`,
      });
      for (const read of [book.readPrev(x, value), book.readNext(x, value), book.tailOf(x, value), book.awaitNext(x, value, 0)]) {
        await expect(read).rejects.toMatchObject({ code: "BAD_SEQNUM" });
      }
    }
    await expect(book.awaitNext(x, NO_SEQNUM, WAIT_MAX_MS + 1)).rejects.toMatchObject({ code: "BAD_TIMEOUT" });
    const malformed = { kind: RecordKind.trim, tags: [], data: bytes("123456789") };
    await expect(book.append({ records: [malformed] })).rejects.toMatchObject({ code: "BAD_RECORD" });
    const when = Array.from({ length: 1_281 }, () => ({ tag: x, length: 0 }));
    await expect(book.append({ records: [record], when })).rejects.toMatchObject({
      code: "BAD_RECORD",
      message: "when holds 1281, must be at most 1280",
    });
    const many = Array.from({ length: 513 }, () => record);
    await expect(book.append({ records: many })).rejects.toMatchObject({
      code: "RECORD_TOO_LARGE",
      message: "records holds 513, must be at most 512",
    });
    const tags = Array.from({ length: 254 }, (_, at) => `x${at}` as Tag);
    await expect(book.append({ records: many.slice(0, 6).map((one) => ({ ...one, tags })) })).rejects.toMatchObject({
      code: "RECORD_TOO_LARGE",
      message: expect.stringContaining("1524"),
    });
    expect(await book.tail()).toBe(tail);
  });
}
