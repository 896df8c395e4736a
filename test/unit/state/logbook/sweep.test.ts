import { describe, expect, test, vi } from "vitest";
import { type InstanceId, MAX_SEQNUM, type Tag } from "../../../../state/ids.ts";
import { type NewRecord, RecordKind } from "../../../../state/logbook/index.ts";
import { RecordStore } from "../../../../state/logbook/record-store.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { PIECE_NAMES, PIECE_RECORDS } from "../../../../state/logbook/sweep.ts";
import { encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { keyTag, NAMES_TAG, objectTag, stepTag } from "../../../../state/tags.ts";
import { appendAll, BOOK, bytes, none, openTestShard, type TestShard } from "../../../support/open-shard.ts";

const OBJECTS = 3 * PIECE_NAMES;
const VERSIONS = 3 * PIECE_RECORDS;
/** Objects, cells, locks, instances, names; and what of each is the last record of its stream. */
const PIECE_DROPS_MAX = 5 * (PIECE_RECORDS + PIECE_NAMES);

const value = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue({ kind: "inline", bytes: bytes("v") }));
const write = (key: string): NewRecord => ({ kind: RecordKind.write, tags: [objectTag(key)], data: value });
const remove = (key: string): NewRecord => ({ kind: RecordKind.delete, tags: [objectTag(key)], data: none });
const step = (id: string) => stepTag(id as InstanceId);
const record = (kind: NewRecord["kind"], ...tags: Tag[]): NewRecord => ({ kind, tags, data: none });
const settled = () => new Promise((resolve) => setImmediate(resolve));

const open = () => openTestShard({ options: { garbageMin: 1, retentionMs: 1_000 } });

async function append(opened: TestShard, records: readonly NewRecord[]): Promise<void> {
  const { shard } = opened;
  await appendAll(opened, records);
  await shard.whenDurable(await shard.book(BOOK).tail());
}

/** Everything that a collection has to let go of at once, in all the sets there are. */
async function fill(opened: TestShard): Promise<void> {
  const many = (count: number, make: (i: number) => NewRecord) => Array.from({ length: count }, (_, i) => make(i));
  await append(
    opened,
    many(OBJECTS, (i) => write(`deleted ${i}`)),
  );
  await append(
    opened,
    many(OBJECTS, (i) => remove(`deleted ${i}`)),
  );
  await append(
    opened,
    many(10 * VERSIONS, (i) => write(`hot ${i % 20}`)),
  );
  await append(
    opened,
    many(OBJECTS, (i) => record(RecordKind.init, step(`root ${i}`))),
  );
  await append(
    opened,
    many(OBJECTS, (i) => record(RecordKind.done, step(`root ${i}`))),
  );
  await append(
    opened,
    many(OBJECTS, (i) => record(RecordKind.init, step(`kept ${i}`), keyTag("f", `${i}`))),
  );
  await append(
    opened,
    many(OBJECTS, (i) => record(RecordKind.done, step(`kept ${i}`))),
  );
  await append(opened, [record(RecordKind.init, step("caller"))]);
  await append(
    opened,
    many(VERSIONS, (i) => record(RecordKind.invoke, step("caller"), step(`child ${i}`))),
  );
  await append(
    opened,
    many(VERSIONS, (i) => record(RecordKind.done, step(`child ${i}`))),
  );
  await append(opened, [record(RecordKind.done, step("caller"))]);
  opened.time.advance(10_000);
  await append(opened, [write("last")]);
}

/** Streams of which something is left. */
async function left({ shard }: TestShard): Promise<string[]> {
  const book = shard.book(BOOK);
  const tags = [
    objectTag("deleted 7"),
    objectTag("hot 7"),
    step("root 7"),
    step("kept 7"),
    step("caller"),
    step("child 7"),
    NAMES_TAG,
  ];
  const found: string[] = [];
  for (const tag of tags) {
    const { record: last } = await book.readPrev(tag, MAX_SEQNUM);
    const { length } = await book.tailOf(tag);
    found.push(`${tag} ${last === null ? "gone" : `${length}`}`);
  }
  return found;
}

describe("H27: a collection is made in pieces", () => {
  test("each lets go of a bounded number of records, and others have their turn between them", async () => {
    const opened = await open();
    await fill(opened);
    const drops: number[] = [0];
    const dropped = vi.spyOn(RecordStore.prototype, "drop").mockImplementation(function (this: RecordStore, seqnum) {
      drops[drops.length - 1] = (drops.at(-1) ?? 0) + 1;
      return original.call(this, seqnum);
    });
    opened.journal.automatic = false;
    let isOver = false;
    const collected = opened.shard.collect().finally(() => {
      isOver = true;
    });
    while (!isOver) {
      await settled();
      drops.push(0);
      opened.journal.flush();
    }
    await collected;
    dropped.mockRestore();
    expect(drops.reduce((sum, one) => sum + one)).toBeGreaterThan(12 * VERSIONS);
    expect(Math.max(...drops)).toBeLessThanOrEqual(PIECE_DROPS_MAX);
  });

  test("all that could go is gone, and a replay from any of its pieces goes on to the same end", async () => {
    const opened = await open();
    await fill(opened);
    const whole = await opened.crash();
    await whole.shard.collect();
    const wanted = await left(whole);
    expect(wanted.filter((one) => one.endsWith("gone"))).toHaveLength(6);
    let cut = await opened.crash();
    for (let pieces = 1; pieces < 4; pieces += 1) {
      cut.journal.automatic = false;
      void cut.shard.collect().catch(() => {});
      for (let flushes = 0; flushes < pieces; flushes += 1) {
        await settled();
        cut.journal.flush();
      }
      cut = await cut.crash();
    }
    await cut.shard.collect();
    await cut.shard.collect();
    expect(await left(cut)).toEqual(wanted);
    expect((await cut.shard.book(BOOK).readPrev(objectTag("hot 7"), MAX_SEQNUM)).record).not.toBeNull();
  });
});

const original = RecordStore.prototype.drop;
