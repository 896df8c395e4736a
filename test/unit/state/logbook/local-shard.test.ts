import { expect, test } from "vitest";
import { InvariantBroken } from "../../../../state/errors.ts";
import { type LogBookId, MAX_SEQNUM, NO_SEQNUM, type SeqNum } from "../../../../state/ids.ts";
import { encodeEpoch } from "../../../../state/logbook/epoch.ts";
import { type Condition, type NewRecord, RecordKind } from "../../../../state/logbook/index.ts";
import { Frame } from "../../../../state/logbook/record-codec.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { at, BOOK, bytes, none, openTestShard, tagOf } from "../../../support/open-shard.ts";

const x = tagOf("t/x");
const own = tagOf("i/1");
const write = (...tags: (typeof x)[]): NewRecord => ({ kind: RecordKind.write, tags, data: none });

test("F1: nothing is served before the EPOCH record of the opening is durable", async () => {
  const journal = new MemoryJournal({ manual: true });
  let isOpen = false;
  const opening = openTestShard({ journal }).then((opened) => {
    isOpen = true;
    return opened;
  });
  await new Promise(setImmediate);
  expect(isOpen).toBe(false);
  expect(journal.flush()).toBe(true);
  const { shard } = await opening;
  expect(shard.epoch).toBe(1);
  expect(await shard.book(BOOK).tail()).toBe(1);
});

test("F1: a seqnum beyond the tail is of an epoch that is over, and never becomes durable", async () => {
  const opened = await openTestShard();
  opened.journal.automatic = false;
  const lost = await opened.shard.book(BOOK).append({ records: [write(x), write(x), write(x)] });
  const { shard } = await opened.crash();
  expect(lost.kind).toBe("appended");
  await expect(shard.whenDurable(at(4))).rejects.toMatchObject({ code: "EPOCH_CHANGED" });
  expect((await shard.book(BOOK).readStream(x, 0)).length).toBe(0);
});

test("F20: an append that waits for room, or for a blob to be looked up, is not ordered once its session is over", async () => {
  const { shard, journal, blobs } = await openTestShard({ options: { undurableMaxBytes: 1 } });
  const ref = await blobs.put(bytes("value"));
  const { promise: looked, resolve: look } = Promise.withResolvers<number>();
  blobs.known = () => undefined;
  blobs.size = () => looked;
  journal.automatic = false;
  const session = shard.openSession();
  const naming = session.book(BOOK).append({ records: [{ ...write(x), blobs: [ref] }] });
  await shard.book(BOOK).append({ records: [write(own)] });
  const waiting = session.book(BOOK).append({ records: [write(x)] });
  await session.close();
  look(ref.sizeBytes);
  const refused = Promise.allSettled([naming, waiting]);
  for (let i = 0; i < 5; i++) {
    await new Promise(setImmediate);
    journal.flush();
  }
  for (const outcome of await refused) {
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "OWNER_UNAVAILABLE" } });
  }
  expect((await shard.book(BOOK).readStream(x, 0)).length).toBe(0);
});

test("F19: replay asserts every condition and decides none", async () => {
  const replay = (when: readonly Condition[], record: NewRecord = write(x)) => {
    const frame = new Frame(at(1), 256);
    frame.add("", { kind: RecordKind.epoch, tags: [], data: encodeEpoch({ epoch: 1, previousEnd: NO_SEQNUM }) }, 1);
    frame.add(BOOK, write(x), 1);
    frame.add(BOOK, record, 1, when);
    return openTestShard({ journal: new MemoryJournal({ epoch: 2, frames: [{ address: 0, payload: frame.payload() }] }) });
  };
  await replay([
    { tag: x, length: 1 },
    { tag: x, last: at(2) },
  ]);
  for (const when of [[{ tag: x, length: 0 }], [{ tag: x, length: 2 }], [{ tag: x, last: at(1) }], [{ tag: own, last: at(2) }]]) {
    await expect(replay(when)).rejects.toThrow(InvariantBroken);
  }
});

test("a journal whose frames are not those of a LogBook is refused", async () => {
  const journal = new MemoryJournal({ epoch: 2, frames: [{ address: 5, payload: bytes("something else, long enough") }] });
  await expect(openTestShard({ journal })).rejects.toMatchObject({ code: "JOURNAL_DAMAGED" });
  const gap = new Frame(at(2), 64);
  gap.add(BOOK, write(x), 1);
  const withGap = new MemoryJournal({ epoch: 2, frames: [{ address: 5, payload: gap.payload() }] });
  await expect(openTestShard({ journal: withGap })).rejects.toThrow(InvariantBroken);
});

test("F35: the time of records never goes back, neither with the clock nor across a restart", async () => {
  const opened = await openTestShard();
  const { time } = opened;
  const timeOf = async (book: ReturnType<typeof opened.shard.book>) => {
    const result = await book.append({ records: [write(x)] });
    return result.kind === "appended" ? result.timeMs : 0;
  };
  const first = await timeOf(opened.shard.book(BOOK));
  expect(first).toBe(time.now());
  time.jumpTo(first - 10_000);
  expect(await timeOf(opened.shard.book(BOOK))).toBe(first);
  await opened.shard.whenDurable(await opened.shard.book(BOOK).tail());
  const { shard } = await opened.crash();
  expect(await timeOf(shard.book(BOOK))).toBe(first);
  time.jumpTo(first + 5);
  expect(await timeOf(shard.book(BOOK))).toBe(first + 5);
  expect((await shard.book(BOOK).readStream(x, 0)).records.map((one) => one.timeMs)).toEqual([first, first, first, first + 5]);
});

test("F10: a failed object condition leaves nothing, so CONFLICT can be logged at the same position", async () => {
  const { shard } = await openTestShard();
  const book = shard.book(BOOK);
  const object = tagOf("o/n");
  await book.append({ records: [write(object)] });
  const step = { tag: own, length: 0 };
  expect((await book.append({ records: [write(own, object)], when: [step, { tag: object, last: NO_SEQNUM }] })).kind).toBe(
    "conflict",
  );
  expect((await book.append({ records: [{ kind: RecordKind.conflict, tags: [own], data: none }], when: [step] })).kind).toBe(
    "appended",
  );
});

test("a session that is closed answers nothing more, others go on", async () => {
  const { shard } = await openTestShard();
  const session = shard.openSession();
  const book = session.book(BOOK);
  await session.close();
  await session.ended;
  const gone = { code: "OWNER_UNAVAILABLE" };
  await expect(book.append({ records: [write(x)] })).rejects.toMatchObject(gone);
  await expect(book.readPrev(x, MAX_SEQNUM)).rejects.toMatchObject(gone);
  await expect(session.claim(1)).rejects.toMatchObject(gone);
  expect((await shard.book(BOOK).append({ records: [write(x)] })).kind).toBe("appended");
  expect(shard.current()).toBe(shard);
  await shard.close();
  expect(shard.current()).toBeUndefined();
  await expect(shard.available(0)).rejects.toMatchObject(gone);
});

test("closing writes everything that was ordered", async () => {
  const { shard, journal, time } = await openTestShard();
  await shard.book(BOOK).append({ records: [write(x)] });
  await shard.close();
  const next = await openTestShard({ journal: journal.crash(), time });
  expect((await next.shard.book(BOOK).readStream(x, 0)).length).toBe(1);
});

test("what an instance left unfinished is found again after a restart, with its attempts", async () => {
  const opened = await openTestShard();
  const book = opened.shard.book(BOOK);
  const note = (kind: NewRecord["kind"], id: string): NewRecord => ({ kind, tags: [tagOf(`a/${id}`)], data: none });
  for (const id of ["1", "2", "3"]) {
    await book.append({ records: [{ kind: RecordKind.init, tags: [tagOf(`i/${id}`)], data: none }] });
  }
  await book.append({ records: [note(RecordKind.attempt, "1"), note(RecordKind.attempt, "1"), note(RecordKind.attempt, "2")] });
  await book.append({ records: [note(RecordKind.parked, "2")] });
  await book.append({ records: [note(RecordKind.attempt, "3"), note(RecordKind.parked, "3"), note(RecordKind.resumed, "3")] });
  await opened.shard.whenDurable(await book.tail());
  const { shard } = await opened.crash();
  const found = await shard.unfinished(BOOK);
  // F27
  expect(found.map(({ instance, attempts, parked }) => [instance, attempts, parked])).toEqual([
    ["1", 2, false],
    ["2", 1, true],
    ["3", 0, false],
  ]);
  expect((await shard.claim(1)).map((one) => one.instance)).toEqual(["1"]);
  expect((await shard.claim(5)).map((one) => one.instance)).toEqual(["3"]);
});

test("a session's instances can be claimed by another one when it has ended, and not before", async () => {
  const { shard } = await openTestShard();
  const first = shard.openSession();
  const second = shard.openSession();
  await first.book(BOOK).append({ records: [{ kind: RecordKind.init, tags: [own], data: none }] });
  expect(await second.claim(5)).toEqual([]);
  await first.close();
  expect((await second.claim(5)).map((one) => one.instance)).toEqual(["1"]);
  expect(await shard.claim(5)).toEqual([]);
});

test("a session cannot give back what another one holds", async () => {
  const { shard } = await openTestShard();
  const other = shard.openSession();
  await shard.book(BOOK).append({ records: [{ kind: RecordKind.init, tags: [own], data: none }] });
  const [instance] = await shard.unfinished(BOOK);
  await other.release(BOOK, instance?.instance ?? ("" as never));
  expect(await other.claim(5)).toEqual([]);
});

test("[11] only the LogBooks that have a record are named", async () => {
  const { shard } = await openTestShard();
  expect(await shard.books()).toEqual([]);
  await shard.book("bob" as LogBookId).readPrev(x, MAX_SEQNUM as SeqNum);
  await shard.book("carol" as LogBookId).append({ records: [write(x)] });
  expect(await shard.books()).toEqual(["carol"]);
});

test("a record that was just appended is read as it will be from the log, and holds on to no larger buffer", async () => {
  const opened = await openTestShard();
  const slab = Buffer.alloc(200_000, 7);
  const records = [Buffer.from("small"), slab.subarray(0, 20), Buffer.alloc(20_000, 8)].map((data) => ({ ...write(x), data }));
  for (const record of records) {
    await opened.shard.book(BOOK).append({ records: [record] });
  }
  const { records: appended } = await opened.shard.book(BOOK).readStream(x, 0);
  await opened.shard.whenDurable(await opened.shard.book(BOOK).tail());
  const { records: replayed } = await (await opened.crash()).shard.book(BOOK).readStream(x, 0);
  expect(appended).toEqual(replayed);
  expect(appended.map(({ data }) => Buffer.from(data))).toEqual(records.map(({ data }) => data));
  expect(appended.map(({ data }) => data.constructor)).toEqual([Uint8Array, Uint8Array, Uint8Array]);
  expect(appended[1]?.data.buffer).not.toBe(slab.buffer);
});

test("a record that was just appended is forgotten with its last stream", async () => {
  const { shard } = await openTestShard({ options: { garbageMin: 1 } });
  const book = shard.book(BOOK);
  const object = tagOf("o/x");
  const first = await book.append({ records: [write(object)] });
  await book.append({ records: [write(object)] });
  expect(first.kind === "appended" && (await book.readPrev(object, first.seqnum)).record?.seqnum).toBe(2);
  await shard.collect();
  await expect(book.readPrev(object, at(2))).rejects.toMatchObject({ code: "TRIMMED" });
});
