import { describe, expect, test } from "vitest";
import { type InstanceId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../../../state/ids.ts";
import { type AppendResult, type Mode, type NewRecord, RecordKind } from "../../../../state/logbook/index.ts";
import { encodeLock, encodeUnlock } from "../../../../state/logbook/lock-record.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import type { BlobRef } from "../../../../state/objects/blobs.ts";
import { encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { attemptTag, holdTag, keyTag, LOCK_BREAKS_TAG, lockTag, objectTag, stepTag } from "../../../../state/tags.ts";
import { at, BOOK, bytes, none, openTestShard, type TestShard } from "../../../support/open-shard.ts";

const HOUR_MS = 3_600_000;
const object = objectTag("x");
const id = (name: string) => name as InstanceId;
const step = (name: string) => stepTag(id(name));
const record = (kind: NewRecord["kind"], ...tags: Tag[]): NewRecord => ({ kind, tags, data: none });
const version = (text: string, ...tags: Tag[]): NewRecord => ({
  kind: RecordKind.write,
  tags: [object, ...tags],
  data: encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue({ kind: "inline", bytes: bytes(text) })),
});
const named = (ref: BlobRef): NewRecord => ({ ...version(ref.name), blobs: [ref] });

function seqnumOf(result: AppendResult): SeqNum {
  expect(result.kind).toBe("appended");
  return result.kind === "appended" ? result.seqnum : NO_SEQNUM;
}

/** Collects whenever there is anything, and keeps results for an hour. */
async function open(): Promise<
  TestShard & { append(...records: NewRecord[]): Promise<SeqNum>; book: ReturnType<TestShard["shard"]["book"]> }
> {
  const opened = await openTestShard({ options: { garbageMin: 1, retentionMs: HOUR_MS } });
  const book = opened.shard.book(BOOK);
  return { ...opened, book, append: async (...records) => seqnumOf(await book.append({ records })) };
}

const trimmed = { code: "TRIMMED" };

describe("versions of an object", () => {
  test("the newest one at or below the watermark stays, with every newer one", async () => {
    const { shard, book, append } = await open();
    const v1 = await append(version("1"));
    const v2 = await append(version("2"));
    await append({ ...record(RecordKind.init, step("i")), initialCursor: v2 });
    const v3 = await append(version("3"));
    await shard.collect();
    expect((await book.readPrev(object, v2)).record?.seqnum).toBe(v2);
    expect((await book.readPrev(object, MAX_SEQNUM)).record?.seqnum).toBe(v3);
    // Never "none".
    await expect(book.readPrev(object, v1)).rejects.toMatchObject(trimmed);
    await expect(book.readStream(object, 0)).rejects.toMatchObject(trimmed);
    expect((await book.readStream(object, 1)).length).toBe(3);
    await append(record(RecordKind.done, step("i")));
    // Not another version of this object: what was held is still remembered.
    await append(
      record(RecordKind.write, objectTag("y")),
      record(RecordKind.write, objectTag("z")),
      record(RecordKind.delete, objectTag("z")),
    );
    await shard.collect();
    await expect(book.readPrev(object, v2)).rejects.toMatchObject(trimmed);
  });

  test("[49] F11: what an unfinished instance reads stays, however old it is", async () => {
    const { shard, book, append } = await open();
    const v1 = await append(version("1"));
    const cursor = await book.tail();
    await append({ ...record(RecordKind.init, step("i")), initialCursor: cursor });
    await append(version("2"));
    await shard.collect();
    expect((await book.readPrev(object, cursor)).record?.seqnum).toBe(v1);
    await append(record(RecordKind.done, step("i")));
    await append(version("3"));
    await shard.collect();
    await expect(book.readPrev(object, cursor)).rejects.toMatchObject(trimmed);
  });

  test("a deleted object goes as a whole, and is absent afterwards", async () => {
    const { shard, book, append } = await open();
    const v1 = await append(version("1"));
    const deleted = await append(record(RecordKind.delete, object));
    await shard.collect();
    expect((await book.readPrev(object, MAX_SEQNUM)).record).toBeNull();
    expect(await book.readStream(object, 0)).toMatchObject({ length: 0 });
    await expect(book.readPrev(object, v1)).rejects.toMatchObject(trimmed);
    await expect(book.listObjects("", "", v1, 10)).rejects.toMatchObject(trimmed);
    const again = await book.append({ records: [version("2")], when: [{ tag: object, last: NO_SEQNUM }] });
    expect((await book.readPrev(object, seqnumOf(again))).record?.seqnum).toBe(seqnumOf(again));
    expect((await book.readPrev(object, deleted + 1 < seqnumOf(again) ? at(deleted + 1) : deleted)).record).toBeNull();
    expect((await book.listObjects("", "", MAX_SEQNUM, 10)).objects.map((one) => one.key)).toEqual(["x"]);
  });
});

describe("bytes on the disk", () => {
  test("F4: a blob is deleted when the record that orders it is durable, and not before", async () => {
    const { shard, append, journal, blobs } = await open();
    const old = await blobs.put(bytes("old"));
    const fresh = await blobs.put(bytes("fresh"));
    await append(named(old));
    await shard.whenDurable(await append(named(fresh)));
    journal.automatic = false;
    const collected = shard.collect();
    await new Promise(setImmediate);
    expect(blobs.known(old.name)).toBe(3);
    while (journal.flush());
    await collected;
    expect(blobs.known(old.name)).toBeUndefined();
    expect(blobs.known(fresh.name)).toBe(5);
  });

  test("F6: a blob that a record names again while its collection becomes durable stays", async () => {
    const { shard, append, journal, blobs } = await open();
    const old = await blobs.put(bytes("old"));
    await append(named(old));
    await shard.whenDurable(await append(version("fresh")));
    journal.automatic = false;
    const collected = shard.collect();
    await new Promise(setImmediate);
    await append({ ...record(RecordKind.read, step("1")), blobs: [old] });
    while (journal.flush());
    await collected;
    expect(blobs.known(old.name)).toBe(3);
  });

  test("[50] F4: when the GC record is lost in a crash everything it let go of is there again", async () => {
    const opened = await open();
    const old = await opened.blobs.put(bytes("old"));
    const fresh = await opened.blobs.put(bytes("fresh"));
    const unnamed = await opened.blobs.put(bytes("unnamed"));
    const v1 = await opened.append(named(old));
    await opened.shard.whenDurable(await opened.append(named(fresh)));
    opened.journal.automatic = false;
    void opened.shard.collect();
    await new Promise(setImmediate);
    const { shard, blobs } = await opened.crash();
    expect((await shard.book(BOOK).readPrev(object, v1)).record?.seqnum).toBe(v1);
    expect(Buffer.from(await blobs.read(old.name, 0, 9)).toString()).toBe("old");
    // What no record names was swept.
    expect(blobs.known(unnamed.name)).toBeUndefined();
  });

  test("F8: what is not durable is not collected: a reader that finds nothing need not wait for what it cannot see", async () => {
    const { shard, append, journal } = await open();
    await shard.whenDurable(await append(version("1")));
    journal.automatic = false;
    const deleted = await append({ ...version("2"), kind: RecordKind.delete });
    const collected = shard.collect();
    await new Promise(setImmediate);
    expect((await shard.book(BOOK).readPrev(object, MAX_SEQNUM)).record?.seqnum).toBe(deleted);
    journal.automatic = true;
    journal.flush();
    await collected;
    expect((await shard.book(BOOK).readPrev(object, MAX_SEQNUM)).record).toBeNull();
  });

  test("F6: a blob that two records name lives until the last of them is collected", async () => {
    const { shard, append, blobs } = await open();
    const ref = await blobs.put(bytes("module"));
    await append({ ...record(RecordKind.init, step("i")), blobs: [ref] });
    await append(record(RecordKind.done, step("i")));
    await append({ ...record(RecordKind.init, step("j")), blobs: [ref] });
    await shard.collect();
    expect(blobs.known(ref.name)).toBe(6);
    await append(record(RecordKind.done, step("j")));
    await append(version("1"));
    await append(version("2"));
    await shard.collect();
    expect(blobs.known(ref.name)).toBeUndefined();
  });
});

describe("modes", () => {
  async function switched(test: Awaited<ReturnType<typeof open>>, to: Mode): Promise<void> {
    await test.shard.switchMode(BOOK, "a", to, false);
    await settled(test);
  }

  /** A switch that nobody holds up ends. */
  async function settled(test: Awaited<ReturnType<typeof open>>): Promise<void> {
    for (let looks = 0; looks < 5; looks += 1) {
      await test.shard.whenDurable(await test.book.tail());
      test.time.advance(20);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  test("of a scope that is switched again and again only the last records stay", async () => {
    const opened = await open();
    for (let i = 0; i < 20; i += 1) {
      await switched(opened, i % 2 === 0 ? "boki" : "halfmoon-read");
    }
    await opened.shard.chooseDefault(BOOK, "boki");
    await opened.shard.chooseDefault(BOOK, "unsafe");
    expect(opened.shard.live(RecordKind.mode).records).toBe(42);
    await opened.shard.whenDurable(await opened.book.tail());
    await opened.shard.collect();
    expect(opened.shard.live(RecordKind.mode).records).toBe(2);
    expect(await opened.book.modeAt("a", MAX_SEQNUM)).toMatchObject({ mode: "halfmoon-read", to: null, defaultMode: "unsafe" });
  });

  describe("F37: a transaction that begins while a scope is switched", () => {
    const moved = objectTag("a/x");
    const inCell: NewRecord = { ...version("in a cell"), tags: [], cell: { key: "a/x", version: null } };
    const asVersion: NewRecord = { ...version("a version"), tags: [moved] };

    /** Writes, begins to switch, begins a transaction, ends the switch and writes again: where it was, and the transaction's moment. */
    async function written(first: NewRecord, to: Mode, second: NewRecord) {
      const opened = await open();
      const { shard, book, append } = opened;
      if (to === "halfmoon-read") {
        await switched(opened, "boki");
      }
      const write = await append(first);
      await append({ ...record(RecordKind.init, step("slow")), initialCursor: await book.tail() });
      await shard.switchMode(BOOK, "a", to, false);
      await append({ ...record(RecordKind.init, step("i")), initialCursor: await book.tail() });
      const moment = await append(record(RecordKind.begin, step("i")));
      await append(record(RecordKind.done, step("slow")));
      await settled(opened);
      expect(await book.modeAt("a", MAX_SEQNUM)).toMatchObject({ mode: to, to: null });
      await append(second);
      return { ...opened, write, moment };
    }

    test.each([
      ["versions that a cell has replaced", asVersion, "boki", inCell],
      ["a cell that versions have replaced", inCell, "halfmoon-read", asVersion],
    ] as const)("reads at its moment what was in %s, and only then that is collected", async (_what, first, to, second) => {
      const { shard, book, append, write, moment } = await written(first, to, second);
      const before = shard.live(RecordKind.write).records;
      await shard.collect();
      expect((await book.readCell("a/x", MAX_SEQNUM, moment)).record?.seqnum).toBe(write);
      expect(shard.live(RecordKind.write).records).toBe(before);
      await append(record(RecordKind.done, step("i")));
      await append(version("1"), version("2"));
      await shard.collect();
      expect(shard.live(RecordKind.write).records).toBe(2);
      expect((await book.readCell("a/x", MAX_SEQNUM)).record?.seqnum).toBeGreaterThan(moment);
    });
  });

  test("F18: the one that an unfinished instance began in stays, also when its reads are pinned", async () => {
    const opened = await open();
    const { shard, book, append } = opened;
    await switched(opened, "boki");
    const before = await book.tail();
    await append({ ...record(RecordKind.init, step("i")) });
    await append({ ...record(RecordKind.write, step("i")), initialCursor: before });
    await append({ ...record(RecordKind.pin, attemptTag(id("i"))), data: new Uint8Array(5) });
    await shard.switchMode(BOOK, "a", "halfmoon-read", false);
    await append(version("1"), version("2"));
    await shard.whenDurable(await book.tail());
    await shard.collect();
    // The floor has passed what the instance looks up.
    await expect(book.readPrev(object, before)).rejects.toMatchObject(trimmed);
    expect(await book.modeAt("a", before)).toMatchObject({ mode: "boki", to: null });
    expect(await book.modeAt("a", MAX_SEQNUM)).toMatchObject({ to: "halfmoon-read" });
  });
});

describe("instances", () => {
  test("F11: a first step whose initial cursor lies below the floor is refused as stale", async () => {
    const { shard, book, append } = await open();
    const cursor = await append(version("1"));
    await append(version("2"));
    const before = await book.tail();
    await shard.collect();
    const first = (initialCursor: SeqNum) =>
      book.append({ records: [{ ...record(RecordKind.init, step("i")), initialCursor }], when: [{ tag: step("i"), length: 0 }] });
    expect(await first(cursor)).toEqual({ kind: "stale", floor: before });
    expect((await first(before)).kind).toBe("appended");
  });

  test("F20: a zombie of a collected instance is refused at position 0 as stale and beyond it as badPosition", async () => {
    const { shard, book, append } = await open();
    const cursor = await book.tail();
    const init = { ...record(RecordKind.init, step("i")), initialCursor: cursor };
    await append(init);
    await append(record(RecordKind.write, step("i")));
    await append(record(RecordKind.done, step("i")));
    const zombie = (position: number) =>
      book.append({
        records: [position === 0 ? init : record(RecordKind.write, step("i"))],
        when: [{ tag: step("i"), length: position }],
      });
    expect((await zombie(0)).kind).toBe("closed");
    const done = await book.tail();
    await shard.collect();
    // A copy that had logged nothing may have begun right before DONE.
    expect((await zombie(0)).kind).toBe("closed");
    await append(version("1"), version("2"));
    await shard.collect();
    expect(await book.readStream(step("i"), 0)).toMatchObject({ length: 0, closed: false });
    expect((await zombie(0)).kind).toBe("stale");
    const late = await book.append({ records: [{ ...init, initialCursor: done }], when: [{ tag: step("i"), length: 0 }] });
    expect(late.kind).toBe("stale");
    for (const position of [1, 2, 3]) {
      expect((await zombie(position)).kind).toBe("badPosition");
    }
  });

  test("[53] a child's result stays until its caller's stream is gone", async () => {
    const { shard, book, append } = await open();
    await append(record(RecordKind.init, step("root")));
    await append(record(RecordKind.invoke, step("root"), step("child")));
    await append(record(RecordKind.done, step("child")));
    await append(version("1"), version("2"));
    await shard.collect();
    expect(await book.readStream(step("child"), 0)).toMatchObject({ length: 2, closed: true });
    await append(record(RecordKind.done, step("root")));
    await append(version("3"));
    await shard.collect();
    expect((await book.readStream(step("root"), 0)).length).toBe(0);
    expect((await book.readStream(step("child"), 0)).length).toBe(0);
  });

  test("F16: a child that outlives its caller's stream is finished, and collected then", async () => {
    const { shard, book, append } = await open();
    await append(record(RecordKind.init, step("root")));
    await append(record(RecordKind.invoke, step("root"), step("child")));
    await append(record(RecordKind.done, step("root")));
    await append(version("0"));
    // The child begins later, at a cursor of its own (F28).
    await append({ ...record(RecordKind.write, step("child")), initialCursor: await book.tail() });
    await append(version("1"), version("2"));
    await shard.collect();
    expect((await book.readStream(step("root"), 0)).length).toBe(0);
    expect((await shard.unfinished(BOOK)).map((one) => one.instance)).toEqual(["child"]);
    expect((await book.readStream(step("child"), 0)).records.map((one) => one.kind)).toEqual([
      RecordKind.invoke,
      RecordKind.write,
    ]);
    await append(record(RecordKind.done, step("child")));
    await append(version("3"));
    await shard.collect();
    expect((await book.readStream(step("child"), 0)).length).toBe(0);
  });

  test("a keyed result is kept for the retention, then the key alone for as long again, then nothing", async () => {
    const { shard, book, append, time } = await open();
    const key = keyTag("f", "k");
    const collectAfter = async (durationMs: number) => {
      time.advance(durationMs);
      await shard.collect();
      return [(await book.readStream(step("i"), 0)).length, (await book.readStream(key, 0)).length];
    };
    await append(record(RecordKind.init, step("i"), key));
    await append(record(RecordKind.done, step("i")));
    await append(version("1"), version("2"));
    expect(await collectAfter(HOUR_MS)).toEqual([2, 1]);
    expect(await collectAfter(1)).toEqual([0, 1]);
    // A reader finds the key record and no stream: the result has expired.
    expect((await book.readPrev(key, MAX_SEQNUM)).record?.tags).toEqual([step("i"), key]);
    expect(await collectAfter(HOUR_MS - 1)).toEqual([0, 1]);
    expect(await collectAfter(1)).toEqual([0, 0]);
    expect(
      (await book.append({ records: [record(RecordKind.init, step("j"), key)], when: [{ tag: key, length: 0 }] })).kind,
    ).toBe("appended");
  });

  test("the streams of a lock go when nobody holds it, also what who held it before a break unlocks late", async () => {
    const { shard, book, append } = await open();
    const [lock, hold] = [lockTag("l"), holdTag("l")];
    const owner = { instance: id("i"), inTransaction: false };
    const header = { fingerprint: NO_FINGERPRINT, pins: null };
    const taking = encodeStep(header, encodeLock({ ...owner, root: id("i"), token: NO_SEQNUM, snapshot: null }));
    const lengths = async () => {
      await shard.collect();
      return [(await book.tailOf(lock)).length, (await book.tailOf(hold)).length];
    };
    await append(record(RecordKind.init, step("i")));
    await append({ kind: RecordKind.lock, tags: [step("i"), lock, hold], data: taking });
    expect(await lengths()).toEqual([1, 1]);
    await append(record(RecordKind.lockBroken, lock, hold));
    // Its holder goes on after a long wait, and reads from here on.
    await append(record(RecordKind.resume, step("i")));
    await append(version("1"), version("2"));
    expect(await lengths()).toEqual([0, 0]);
    await append({ kind: RecordKind.unlock, tags: [step("i"), lock], data: encodeStep(header, encodeUnlock(owner)) });
    await append(record(RecordKind.done, step("i")));
    await append(version("3"), version("4"));
    expect(await lengths()).toEqual([0, 0]);
  });

  test("of the locks that were broken the last hundred stay for who looks later, whatever the floor is", async () => {
    const { shard, book, append } = await open();
    for (let i = 0; i < 130; i++) {
      await append(record(RecordKind.lockBroken, lockTag("l"), holdTag("l"), LOCK_BREAKS_TAG));
    }
    await append(version("1"), version("2"));
    await shard.collect();
    await expect(book.readStream(LOCK_BREAKS_TAG, 29)).rejects.toMatchObject({ code: "TRIMMED" });
    expect((await book.readStream(LOCK_BREAKS_TAG, 30)).records).toHaveLength(100);
    await append(version("3"), version("4"));
    await shard.collect();
    expect((await book.readStream(LOCK_BREAKS_TAG, 30)).records).toHaveLength(100);
  });

  test("nothing is collected, and no record is written, while nothing has become collectable", async () => {
    const { shard, book, append } = await open();
    await append(version("1"));
    const tail = await book.tail();
    await shard.collect();
    expect(await book.tail()).toBe(tail);
  });
});
