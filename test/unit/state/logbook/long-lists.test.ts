import { describe, expect, test } from "vitest";
import { MAX_SEQNUM, type SeqNum } from "../../../../state/ids.ts";
import { type NewRecord, RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { objectTag } from "../../../../state/tags.ts";
import { BOOK, bytes, openTestShard, type TestShard } from "../../../support/open-shard.ts";

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
  await opened.shard.book(BOOK).append({ records });
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
