import { expect, test } from "vitest";
import { type InstanceId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../../../state/ids.ts";
import { type LogBook, type NewRecord, RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { NAMES_TAG, objectTag, stepTag } from "../../../../state/tags.ts";
import { at, BOOK, bytes, none, openTestShard, type TestShard } from "../../../support/open-shard.ts";

const write = (...tags: Tag[]): NewRecord => ({
  kind: RecordKind.write,
  tags,
  data: encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue({ kind: "inline", bytes: bytes("v") })),
});
const remove = (...tags: Tag[]): NewRecord => ({ kind: RecordKind.delete, tags, data: none });
const x = objectTag("x");
const y = objectTag("y");

async function open(): Promise<{ test: TestShard; book: LogBook; append(...records: NewRecord[]): Promise<SeqNum> }> {
  const test = await openTestShard({ options: { garbageMin: 1 } });
  const book = test.shard.book(BOOK);
  const append = async (...records: NewRecord[]) => {
    const result = await book.append({ records });
    return result.kind === "appended" ? result.seqnum : NO_SEQNUM;
  };
  return { test, book, append };
}

const named = async (book: LogBook): Promise<SeqNum[]> =>
  (await book.readStream(NAMES_TAG, 0)).records.map(({ seqnum }) => seqnum);

test("F14, F19: every create and delete of an object says so in the record, and no other write does", async () => {
  const { book, append } = await open();
  const created = await append(write(x));
  await append(write(x));
  const deleted = await append(remove(x));
  await append(remove(x));
  await append(remove(y));
  const again = await append(write(x));
  await append({ kind: RecordKind.sleep, tags: ["i/1" as Tag], data: none });
  expect(await named(book)).toEqual([created, deleted, again]);
});

test("F14: a request that changes names says so, whatever it does in which order", async () => {
  const { book, append } = await open();
  const first = await append(write(x), remove(x));
  expect(await named(book)).toEqual([first - 1]);
  await append(write(y));
  const second = await append(remove(y), write(y));
  expect((await named(book)).at(-1)).toBe(second - 1);
});

test("F14: an append on the condition that no name has changed fails once one has, not when a value has", async () => {
  const { book, append } = await open();
  const last = await append(write(x));
  await append(write(x));
  const when = [{ tag: NAMES_TAG, last }];
  expect((await book.append({ records: [write(x)], when })).kind).toBe("appended");
  await append(write(y));
  expect(await book.append({ records: [write(x)], when })).toMatchObject({ kind: "conflict", tag: NAMES_TAG });
});

test("F19: replay finds the same, and decides no condition on names anew", async () => {
  const { test, book, append } = await open();
  const last = await append(write(x));
  await book.append({ records: [write(x, y)], when: [{ tag: NAMES_TAG, last }] });
  await append(remove(y));
  const before = await named(book);
  await test.shard.whenDurable(await book.tail());
  const { shard } = await test.crash();
  expect(await named(shard.book(BOOK))).toEqual(before);
});

test("[54] the names below the floor are collected, and nobody who began above it takes them for unchanged", async () => {
  const { test, book, append } = await open();
  for (let i = 0; i < 100; i++) {
    await append(write(objectTag(`n-${i}`)));
  }
  await append(write(x));
  await append(write(x));
  const reader = stepTag("i" as InstanceId);
  await append({ kind: RecordKind.init, tags: [reader], data: none, initialCursor: at((await book.tail()) - 1) });
  await append(write(y));
  await append(write(y));
  await test.shard.collect();
  expect((await book.readStream(NAMES_TAG, 100)).records).toHaveLength(2);
  await expect(book.readStream(NAMES_TAG, 99)).rejects.toMatchObject({ code: "TRIMMED" });
  await append({ kind: RecordKind.done, tags: [reader], data: none });
  await append(write(y));
  await test.shard.collect();
  expect((await book.readPrev(NAMES_TAG, MAX_SEQNUM)).record).toBeNull();
  const cursor = await book.tail();
  await append(write(objectTag("z")));
  expect((await book.readPrev(NAMES_TAG, cursor)).record).toBeNull();
  expect((await book.append({ records: [write(x)], when: [{ tag: NAMES_TAG, last: NO_SEQNUM }] })).kind).toBe("conflict");
});
