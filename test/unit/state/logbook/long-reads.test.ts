import { describe, expect, test } from "vitest";
import { type InstanceId, MAX_SEQNUM, type SeqNum } from "../../../../state/ids.ts";
import { type NewRecord, RecordKind, type StreamRead } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { objectTag, stepTag } from "../../../../state/tags.ts";
import { appendAll, BOOK, bytes, openTestShard, type TestShard, tagOf } from "../../../support/open-shard.ts";

const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue({ kind: "inline", bytes: bytes("v") }));
const OBJECTS = 3_000;
const nameOf = (i: number): string => `k${String(i).padStart(6, "0")}`;
const settled = () => new Promise((resolve) => setImmediate(resolve));

type Write = (kind: RecordKind, key: string) => NewRecord;
const version: Write = (kind, key) => ({ kind, tags: [objectTag(key)], data });
const cell: Write = (kind, key) => ({ kind, tags: [], cell: { key, version: null }, data });

async function openWith(write: Write): Promise<TestShard> {
  const opened = await openTestShard({ options: { garbageMin: 1 } });
  const records = Array.from({ length: OBJECTS }, (_, i) => write(RecordKind.write, nameOf(i)));
  await appendAll(opened, records);
  return opened;
}

/** Lists, and after the first slice lets `meanwhile` happen. */
async function listed({ shard, time }: TestShard, cursor: SeqNum, meanwhile: () => Promise<unknown>): Promise<string[]> {
  let isOver = false;
  const listing = shard.book(BOOK).listObjects("", "", cursor, OBJECTS);
  const answer = listing.finally(() => {
    isOver = true;
  });
  // Judged where it is awaited.
  answer.catch(() => {});
  await settled();
  expect(isOver).toBe(false);
  await meanwhile();
  while (!isOver) {
    time.advance(0);
    await settled();
  }
  return (await answer).objects.map(({ key }) => key);
}

describe("H27: a long list lets others have their turn, and is of one position", () => {
  const all = Array.from({ length: OBJECTS }, (_, i) => nameOf(i));

  test.for([["now", MAX_SEQNUM] as const, ["at a cursor", undefined] as const])("%s", async ([, max]) => {
    const opened = await openWith(version);
    const book = opened.shard.book(BOOK);
    const cursor = max ?? (await book.tail());
    const keys = await listed(opened, cursor, () =>
      book.append({
        records: [version(RecordKind.delete, nameOf(OBJECTS - 1)), version(RecordKind.write, nameOf(OBJECTS))],
      }),
    );
    expect(keys).toEqual(all);
  });

  test("also when what it shows is collected meanwhile", async () => {
    const opened = await openWith(version);
    const book = opened.shard.book(BOOK);
    const removeLast = async () => {
      await book.append({ records: [version(RecordKind.delete, nameOf(OBJECTS - 1))] });
      await opened.shard.collect();
    };
    expect(await listed(opened, MAX_SEQNUM, removeLast)).toEqual(all.slice(0, -1));
  });

  test("a cursor that falls below the floor meanwhile is TRIMMED", async () => {
    const opened = await openWith(version);
    const book = opened.shard.book(BOOK);
    const removeLast = async () => {
      await book.append({ records: [version(RecordKind.delete, nameOf(OBJECTS - 1))] });
      await opened.shard.collect();
    };
    await expect(listed(opened, await book.tail(), removeLast)).rejects.toMatchObject({ code: "TRIMMED" });
  });

  test("of cells, which have no past, it begins anew when one has changed", async () => {
    const opened = await openWith(cell);
    const book = opened.shard.book(BOOK);
    const change = () =>
      book.append({ records: [cell(RecordKind.delete, nameOf(0)), cell(RecordKind.delete, nameOf(OBJECTS - 1))] });
    expect(await listed(opened, MAX_SEQNUM, change)).toEqual(all.slice(1, -1));
  });

  test("names with nothing to show are slices too", async () => {
    const opened = await openWith(version);
    const book = opened.shard.book(BOOK);
    const before = 1 as SeqNum;
    expect(await listed(opened, before, () => book.tail())).toEqual([]);
  });
});

describe("H27: a long stream is read in slices, between which others have their turn", () => {
  const tag = tagOf("t/long");
  const RECORDS = 1_000;

  /** Reads the stream, and after the first slice lets `meanwhile` happen. */
  async function streamRead({ shard }: TestShard, meanwhile: () => Promise<unknown>): Promise<StreamRead> {
    let isOver = false;
    const reading = shard
      .book(BOOK)
      .readStream(tag, 0)
      .finally(() => {
        isOver = true;
      });
    reading.catch(() => {});
    await settled();
    expect(isOver).toBe(false);
    await meanwhile();
    return reading;
  }

  const append = (opened: TestShard, count: number) =>
    appendAll(
      opened,
      Array.from({ length: count }, () => ({ kind: RecordKind.write, tags: [tag], data })),
    );

  test("and has every record up to its length, also those that came meanwhile", async () => {
    const opened = await openTestShard();
    await append(opened, RECORDS);
    const { records, length } = await streamRead(opened, () => append(opened, 1));
    expect([records.length, length]).toEqual([RECORDS + 1, RECORDS + 1]);
    expect(records.map(({ seqnum }) => seqnum)).toEqual(records.map((_, i) => (records[0]?.seqnum ?? 0) + i));
  });

  test("as far as it was asked for", async () => {
    const opened = await openTestShard();
    await append(opened, RECORDS);
    const { records, length } = await opened.shard.book(BOOK).readStream(tag, 10, 200);
    expect([records.length, length]).toEqual([200, RECORDS]);
  });

  test("and is TRIMMED when what is still to be read is collected meanwhile", async () => {
    const opened = await openTestShard({ options: { garbageMin: 1 } });
    const book = opened.shard.book(BOOK);
    const instance = stepTag("i" as InstanceId);
    const steps = (count: number) => Array.from({ length: count }, () => ({ kind: RecordKind.sync, tags: [instance], data }));
    await appendAll(opened, [{ kind: RecordKind.init, tags: [instance], data }, ...steps(RECORDS)]);
    await book.append({ records: [{ kind: RecordKind.done, tags: [instance], data }] });
    await opened.shard.whenDurable(await book.tail());
    await book.append({ records: [version(RecordKind.write, "later")] });
    await opened.shard.whenDurable(await book.tail());
    const reading = book.readStream(instance, 0);
    reading.catch(() => {});
    await opened.shard.collect();
    await expect(reading).rejects.toMatchObject({ code: "TRIMMED" });
  });
});

describe("H27: many unfinished calls are looked at in slices", () => {
  const CALLS = 5_000;

  async function openWithCalls(): Promise<TestShard> {
    const opened = await openTestShard();
    for (let from = 0; from < CALLS; from += 2_500) {
      const tags = Array.from({ length: 2_500 }, (_, i) => [stepTag(`i${from + i}` as InstanceId)]);
      await appendAll(
        opened,
        tags.map((one) => ({ kind: RecordKind.init, tags: one, data })),
      );
    }
    return opened;
  }

  /** The answer, and how often others had their turn before it. */
  async function inSlices<T>({ time }: TestShard, asked: Promise<T>): Promise<{ answer: T; turns: number }> {
    let isOver = false;
    const ended = asked.finally(() => {
      isOver = true;
    });
    let turns = 0;
    for (await settled(); !isOver; await settled()) {
      time.advance(0);
      turns += 1;
    }
    return { answer: await ended, turns };
  }

  test("the list of them", async () => {
    const opened = await openWithCalls();
    const { answer, turns } = await inSlices(opened, opened.shard.unfinished(BOOK));
    expect([answer.length, turns >= 1]).toEqual([CALLS, true]);
    const [, second] = answer;
    const page = await inSlices(opened, opened.shard.unfinished(BOOK, second?.first, 3));
    expect(page.answer.map(({ instance }) => instance)).toEqual(["i2", "i3", "i4"]);
  });

  test("by the recovery scanner, which claims one and the same once", async () => {
    const opened = await openWithCalls();
    const [one, two] = [opened.shard.openSession(), opened.shard.openSession()];
    expect((await inSlices(opened, one.claim(10))).turns, "all of them run").toBeGreaterThanOrEqual(1);
    await opened.shard.whenDurable(await opened.shard.book(BOOK).tail());
    const again = await opened.crash();
    const sessions = [again.shard.openSession(), again.shard.openSession()];
    const claims = sessions.map((session) => inSlices(again, session.claim(3_000)));
    const claimed = (await Promise.all(claims)).flatMap(({ answer }) => answer.map(({ instance }) => instance));
    expect([claimed.length, new Set(claimed).size]).toEqual([CALLS, CALLS]);
    await Promise.all([one, two].map((session) => session.close()));
  });
});
