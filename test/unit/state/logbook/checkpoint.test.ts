import fc from "fast-check";
import { expect, test } from "vitest";
import { openIndex, takeCheckpoint } from "../../../../state/logbook/checkpoint/saved-index.ts";
import { inlineCheckpoints, RecordKind } from "../../../../state/logbook/index.ts";
import { noFaults } from "../../../../state/ports.ts";
import { actionArbitrary, BOOKS, dump, heldByKind, IndexLife } from "../../../support/index-life.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { MemoryBlobs } from "../../../support/memory-blobs.ts";
import { MemoryCheckpoints } from "../../../support/memory-checkpoints.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { at, BOOK, bytes, none, openTestShard, tagOf } from "../../../support/open-shard.ts";

const ROOM = { recentMaxBytes: 1 << 20, auxMaxBytes: 0 };
const NO_ROOM = { recentMaxBytes: 0, auxMaxBytes: 0 };

const stepArbitrary = fc.oneof(
  { arbitrary: actionArbitrary, weight: 12 },
  { arbitrary: fc.record({ kind: fc.constantFrom("checkpoint" as const, "reopen" as const) }), weight: 2 },
);

test("F19: an index from a checkpoint and the frames after it is the one that a replay of all frames gives", {
  timeout: 240_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(stepArbitrary, { maxLength: 120, size: "max" }), async (steps) => {
      let journal = new MemoryJournal();
      const time = new ManualTime();
      const blobs = new MemoryBlobs();
      const store = new MemoryCheckpoints();
      let life = new IndexLife(openIndex(journal, store, ROOM).index, journal, time, blobs);
      const compare = () => {
        const opened = openIndex(journal, store, NO_ROOM).index;
        const replayed = openIndex(journal.whole(), undefined, NO_ROOM).index;
        for (const book of BOOKS) {
          opened.book(book);
          replayed.book(book);
        }
        expect(dump(opened)).toEqual(dump(replayed));
        expect(Object.values(RecordKind).map((kind) => opened.store.live(kind))).toEqual(heldByKind(opened));
        for (const name of blobs.blobs.keys()) {
          expect(opened.blobs.has(name)).toBe(replayed.blobs.has(name));
        }
        return opened;
      };
      for (const step of steps) {
        if ("book" in step) {
          await life.act(step);
        } else if (step.kind === "checkpoint") {
          await life.whenDurable();
          const { recordsBefore, releasable } = takeCheckpoint(journal, store, journal.durable);
          life.index.store.savedUpTo(recordsBefore);
          journal.release(releasable);
          compare();
          const again = store.copy();
          takeCheckpoint(journal, again, journal.durable);
          expect(again.written).toBe(0);
        } else {
          await life.whenDurable();
          journal = journal.crash();
          life = new IndexLife(compare(), journal, time, blobs);
        }
      }
      await life.whenDurable();
      compare();
    }),
    { numRuns: 100 },
  );
});

test("F19: a value written long ago is read after its segments are gone, also by later owners", async () => {
  let current = await openTestShard({ options: { recentMaxBytes: 0, garbageMin: 1 } });
  const put = async (object: string, value: string) => {
    const book = current.shard.book(BOOK);
    await book.append({ records: [{ kind: RecordKind.write, tags: [tagOf(`o/${object}`)], data: bytes(value) }] });
    await current.shard.whenDurable(await book.tail());
  };
  const get = async (object: string) => {
    const { record } = await current.shard.book(BOOK).readPrev(tagOf(`o/${object}`), at(2 ** 40));
    return record === null ? null : Buffer.from(record.data).toString();
  };
  await put("old", "written once");
  for (let round = 0; round < 5; round++) {
    await put("hot", `${round}`);
    await current.shard.collect();
    await current.shard.checkpoint();
    expect(await get("old")).toBe("written once");
    current = await current.crash();
    expect(await get("old")).toBe("written once");
    expect(await get("hot")).toBe(`${round}`);
  }
  expect(current.journal.start).toBeGreaterThan(100);
  // One old version, the newest of the hot object and perhaps the one before: what was collected is not kept.
  expect(current.checkpoints.records).toBeLessThanOrEqual(3);
});

test("F5, F19: the checkpoint before the last one, with the journal as it is released, still gives all", async () => {
  const { shard, journal, checkpoints } = await openTestShard({ options: { garbageMin: 1 } });
  const book = shard.book(BOOK);
  let before = checkpoints.copy();
  for (let round = 0; round < 6; round++) {
    for (const tag of ["o/hot", "o/hot", `o/${round}`]) {
      await book.append({ records: [{ kind: RecordKind.write, tags: [tagOf(tag)], data: bytes(`${round}`) }] });
    }
    await shard.whenDurable(await book.tail());
    await shard.collect();
    before = checkpoints.copy();
    await shard.checkpoint();
    expect(dump(openIndex(journal, before, NO_ROOM).index)).toEqual(dump(openIndex(journal, checkpoints, NO_ROOM).index));
  }
  expect(journal.start).toBeGreaterThan(before.last()?.releasable ?? Number.POSITIVE_INFINITY);
});

test("F19: only what has changed is written again", async () => {
  const { shard, checkpoints } = await openTestShard();
  const book = shard.book(BOOK);
  const write = (tag: string) => book.append({ records: [{ kind: RecordKind.write, tags: [tagOf(tag)], data: none }] });
  for (let i = 0; i < 2_000; i++) {
    await write(`t/${i}`);
    await write("t/long");
  }
  await shard.whenDurable(await book.tail());
  await shard.checkpoint();
  expect(checkpoints.written).toBeGreaterThan(2_000);
  await write("t/7");
  await write("t/long");
  await shard.whenDurable(await book.tail());
  await shard.checkpoint();
  // The two streams' last entries, the chunk of places, and the bytes of the two records.
  expect(checkpoints.written).toBe(5);
});

test("C1: a checkpoint that is given up on the way changes nothing", async () => {
  const { shard, journal, checkpoints } = await openTestShard();
  const book = shard.book(BOOK);
  for (let i = 0; i < 50; i++) {
    await book.append({ records: [{ kind: RecordKind.write, tags: [tagOf(`t/${i}`)], data: none }] });
    await shard.whenDurable(await book.tail());
  }
  let left = 0;
  const proceed = () => {
    if (left-- === 0) {
      throw new Error("given up");
    }
  };
  for (const after of [0, 10, 49, 51, 60, 100]) {
    left = after;
    expect(() => takeCheckpoint(journal, checkpoints, journal.durable, proceed)).toThrow("given up");
    expect([checkpoints.last(), checkpoints.entries, checkpoints.records]).toEqual([undefined, 0, 0]);
  }
});

test("F19: a checkpoint of another journal, or of a later moment of this one, is refused", async () => {
  const first = await openTestShard();
  await first.shard.book(BOOK).append({ records: [{ kind: RecordKind.write, tags: [tagOf("t/a")], data: none }] });
  await first.shard.whenDurable(at(2));
  await first.shard.checkpoint();
  const checkpoints = first.checkpoints;
  await expect(openTestShard({ journal: new MemoryJournal(), checkpoints })).rejects.toMatchObject({ code: "JOURNAL_DAMAGED" });
  const foreign = new MemoryJournal();
  Object.defineProperty(foreign, "id", { value: "another" });
  await expect(openTestShard({ journal: foreign, checkpoints })).rejects.toThrow(/journal memory.*is another/);
  await first.shard.checkpoint();
  const { journal } = await first.crash();
  await expect(openTestShard({ journal: journal.crash(), checkpoints: new MemoryCheckpoints() })).rejects.toMatchObject({
    code: "JOURNAL_DAMAGED",
  });
});

test("K3: a checkpoint that fails is told, releases nothing, and is tried again when as much again has come", async () => {
  const journal = new MemoryJournal();
  const store = new MemoryCheckpoints();
  const failures: unknown[] = [];
  let works = false;
  const inline = inlineCheckpoints(journal, store, noFaults, (error) => failures.push(error));
  const { shard } = await openTestShard({
    journal,
    runner: { ...inline, take: (to) => (works ? inline.take(to) : Promise.reject(new Error("no room"))) },
    options: { checkpointBytes: 10_000 },
  });
  const book = shard.book(BOOK);
  const write = async () => {
    await book.append({ records: [{ kind: RecordKind.write, tags: [tagOf("t/a")], data: new Uint8Array(1_000) }] });
    await shard.whenDurable(await book.tail());
  };
  for (let i = 0; i < 15; i++) {
    await write();
  }
  expect(failures).toHaveLength(1);
  expect([store.last(), journal.start]).toEqual([undefined, 0]);
  works = true;
  for (let i = 0; i < 30; i++) {
    await write();
  }
  expect(failures).toHaveLength(1);
  expect(store.last()?.position.address).toBeGreaterThan(20_000);
  expect(journal.start).toBeGreaterThan(0);
  await expect(shard.close()).resolves.toBeUndefined();
});
