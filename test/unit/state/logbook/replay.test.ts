import fc from "fast-check";
import { expect, test } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { RecordStore } from "../../../../state/logbook/record-store.ts";
import { ShardIndex } from "../../../../state/logbook/shard-index.ts";
import { actionArbitrary, BOOKS, dump, heldByKind, IndexLife } from "../../../support/index-life.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { MemoryBlobs } from "../../../support/memory-blobs.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { at } from "../../../support/open-shard.ts";

test("F3, F4, F19: replay of the log gives the index that was there when it was written, collections included", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(actionArbitrary, { maxLength: 120, size: "max" }), async (actions) => {
      const journal = new MemoryJournal();
      const index = new ShardIndex(new RecordStore(journal, 1 << 20), 0);
      const blobs = new MemoryBlobs();
      const life = new IndexLife(index, journal, new ManualTime(), blobs);
      for (const action of actions) {
        await life.act(action);
      }
      await life.whenDurable();

      const replayed = new ShardIndex(new RecordStore(journal, 0), 0);
      for (const book of BOOKS) {
        index.book(book);
        replayed.book(book);
      }
      for (const frame of journal.frames()) {
        replayed.replay(frame);
      }
      expect(dump(replayed)).toEqual(dump(index));
      for (const one of [index, replayed]) {
        expect(Object.values(RecordKind).map((kind) => one.store.live(kind))).toEqual(heldByKind(one));
      }
      for (const name of blobs.blobs.keys()) {
        expect(replayed.blobs.has(name)).toBe(index.blobs.has(name));
      }
      expect(replayed.blobs.takeDead()).toEqual(index.blobs.takeDead());
    }),
    { numRuns: 300 },
  );
});

test("15 bytes per record are given back when all streams of a chunk's records have let go of them", () => {
  const store = new RecordStore(new MemoryJournal(), 0);
  for (let seqnum = 1; seqnum <= 10_000; seqnum++) {
    store.add(at(seqnum), RecordKind.write, seqnum, 10, 2);
  }
  expect(store.drop(at(1))).toBe(false);
  expect(store.drop(at(1))).toBe(true);
  expect(store.isHeld(at(1))).toBe(false);
  for (let seqnum = 2; seqnum < 4_096; seqnum++) {
    store.drop(at(seqnum));
    store.drop(at(seqnum));
  }
  expect(() => store.kindOf(at(1))).toThrow("collected");
  expect(store.kindOf(at(4_096))).toBe(RecordKind.write);
});

test("a record that outlives those beside it is still found", () => {
  const journal = new MemoryJournal();
  const store = new RecordStore(journal, 0);
  for (let seqnum = 1; seqnum <= 10_000; seqnum++) {
    store.add(at(seqnum), seqnum % 2 === 0 ? RecordKind.write : RecordKind.delete, seqnum, 10, 1);
  }
  const outlives = (seqnum: number) => seqnum % 1_001 === 0 || seqnum > 9_990;
  for (let seqnum = 1; seqnum <= 10_000; seqnum++) {
    if (!outlives(seqnum)) {
      store.drop(at(seqnum));
    }
  }
  for (let seqnum = 1; seqnum <= 10_000; seqnum++) {
    expect(store.isHeld(at(seqnum))).toBe(outlives(seqnum));
    if (outlives(seqnum)) {
      expect(store.kindOf(at(seqnum))).toBe(seqnum % 2 === 0 ? RecordKind.write : RecordKind.delete);
    }
  }
  const places: number[][] = [];
  store.visitHeld(5_000, (...place) => places.push(place));
  expect(places.slice(0, 2)).toEqual([
    [5_005, 5_005, 10],
    [6_006, 6_006, 10],
  ]);
});
