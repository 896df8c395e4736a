import { expect, test } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { BOOK, none, openTestShard, tagOf } from "../../../support/open-shard.ts";

const x = tagOf("t/x");
const small = { records: [{ kind: RecordKind.write, tags: [x], data: none }] };
const large = { records: [{ kind: RecordKind.write, tags: [x], data: new Uint8Array(40 * 1024) }] };

async function openManual(options = {}) {
  const opened = await openTestShard({ options });
  opened.journal.automatic = false;
  return { ...opened, book: opened.shard.book(BOOK) };
}

test("H12: a frame goes to the disk when something waits for it", async () => {
  const { shard, book, journal } = await openManual();
  await book.append(small);
  expect(journal.idle).toBe(true);
  const landed = shard.whenDurable(await book.tail());
  expect(journal.idle).toBe(false);
  journal.flush();
  await landed;
  expect(journal.idle).toBe(true);
});

test("H12: a frame that nobody waits for goes when it holds 64 KiB", async () => {
  const { book, journal } = await openManual();
  await book.append(large);
  expect(journal.idle).toBe(true);
  await book.append(large);
  expect(journal.idle).toBe(false);
});

test("H12: a frame that nobody waits for goes when its oldest record is 2 ms old", async () => {
  const { book, journal, time } = await openManual();
  await book.append(small);
  time.advance(1);
  await book.append(small);
  expect(journal.idle).toBe(true);
  time.advance(1);
  expect(journal.idle).toBe(false);
  // The next frame has its own age, and does not go because the one before has landed.
  await book.append(small);
  journal.flush();
  expect(journal.idle).toBe(true);
  time.advance(1);
  expect(journal.idle).toBe(true);
});

test("J3: while a frame is in flight the next one gathers, and goes as a whole afterwards", async () => {
  const { shard, book, journal } = await openManual();
  const before = [...journal.frames()].length;
  const order: number[] = [];
  const waits: Promise<unknown>[] = [];
  for (let i = 0; i < 6; i++) {
    await book.append(small);
    // Asked for out of order.
    const seqnum = (await book.tail()) as number;
    waits.unshift(shard.whenDurable(await book.tail()).then(() => order.push(seqnum)));
  }
  journal.flush();
  await Promise.resolve();
  expect([...journal.frames()].length).toBe(before + 1);
  journal.flush();
  await Promise.all(waits);
  expect([...journal.frames()].length).toBe(before + 2);
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(journal.idle).toBe(true);
});

test("a frame never holds more than 4,095 records or 1 MiB", async () => {
  const { shard, book, journal } = await openManual();
  const first = book.append(small);
  await first;
  void shard.whenDurable(await book.tail());
  for (let i = 0; i < 5_000; i++) {
    await book.append(small);
  }
  for (let i = 0; i < 60; i++) {
    await book.append(large);
  }
  const tail = await book.tail();
  const landed = shard.whenDurable(tail);
  while (journal.flush());
  await landed;
  for (const { payload } of journal.frames()) {
    expect(payload.byteLength).toBeLessThanOrEqual(1024 * 1024);
    expect(Buffer.from(payload).readUInt16LE(8)).toBeLessThanOrEqual(4_095);
  }
  const next = await openTestShard({ journal: journal.crash() });
  expect((await next.shard.book(BOOK).readStream(x, 0)).length).toBe(5_061);
});

test("F34: above the limit of undurable bytes appends wait, and are ordered as they came, as far as there is room", async () => {
  const { book, journal } = await openManual({ undurableMaxBytes: 100 * 1024 });
  for (let i = 0; i < 3; i++) {
    await book.append(large);
  }
  const tail = await book.tail();
  const answered: number[] = [];
  const late = Array.from({ length: 8 }, (_, i) => {
    const data = new Uint8Array(40 * 1024).fill(i);
    return book.append({ records: [{ kind: RecordKind.write, tags: [tagOf("t/late")], data }] }).then(() => answered.push(i));
  });
  await new Promise(setImmediate);
  expect(await book.tail()).toBe(tail);
  while (journal.flush()) {
    await new Promise(setImmediate);
    const durable = [...journal.frames()].reduce((count, { payload }) => count + Buffer.from(payload).readUInt16LE(8), 0);
    // Three records of 40 KiB are above the limit, and no fourth one is let in.
    expect((await book.tail()) - durable).toBeLessThanOrEqual(3);
  }
  await Promise.all(late);
  expect(answered).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect((await book.readStream(tagOf("t/late"), 0)).records.map((one) => one.data[0])).toEqual(answered);
});

test("appends that wait for room are refused when the owner stops, and nothing of them is ordered", async () => {
  const { shard, book, journal, crash } = await openManual({ undurableMaxBytes: 1 });
  await book.append(small);
  const waiting = book.append(small);
  journal.automatic = true;
  const closed = shard.close();
  await expect(waiting).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
  journal.flush();
  await closed;
  const next = await crash();
  expect((await next.shard.book(BOOK).readStream(x, 0)).length).toBe(1);
});

test("F34: on a full disk nothing is ordered but the records with which the host gets on", async () => {
  const { book, journal } = await openManual();
  const own = tagOf("i/1");
  await book.append({ records: [{ kind: RecordKind.init, tags: [own], data: none }] });
  const tail = await book.tail();
  journal.roomBytes = 4_000;
  journal.reserveBytes = 4_000;
  await expect(book.append(small)).rejects.toMatchObject({ code: "DISK_FULL" });
  expect(await book.tail()).toBe(tail);
  expect((await book.append({ records: [{ kind: RecordKind.done, tags: [own], data: none }] })).kind).toBe("appended");
});

test("records are read again from the journal when they are not in memory any more", async () => {
  const { shard, journal } = await openTestShard({ options: { recentMaxBytes: 0 } });
  const book = shard.book(BOOK);
  // Larger than what is kept decoded.
  await book.append({ records: [{ kind: RecordKind.write, tags: [x], data: new Uint8Array(10_000).fill(7) }] });
  const undurable = (await book.readStream(x, 0)).records;
  expect(journal.reads).toBe(0);
  await shard.whenDurable(await book.tail());
  expect((await book.readStream(x, 0)).records).toEqual(undurable);
  expect(journal.reads).toBe(1);
});
