import { describe, expect, test } from "vitest";
import { JOURNAL_BEGIN, type Journal, type JournalPosition } from "../../../../state/journal/index.ts";
import { SPARE_FILES } from "../../../../state/journal/release.ts";
import { decodeSegmentHeader, findFrameAfter, SEGMENT_HEADER_BYTES } from "../../../../state/journal/segment.ts";
import { appendDurably, ManualClock, openOn, SMALL_SEGMENT_BYTES } from "../../../support/file-journal.ts";
import { MemoryDisk } from "../../../support/memory-disk.ts";
import { prng } from "../../../support/prng.ts";

const payload = (number: number): Buffer => Buffer.from(`${number} `.padEnd(2_000 + (number % 7) * 150, "x"));
const numbersAfter = (journal: Journal, from: JournalPosition): number[] =>
  Array.from(journal.frames(from), (frame) => Number.parseInt(Buffer.from(frame.payload).toString(), 10));
const filesOf = (disk: MemoryDisk): string[] =>
  disk
    .list()
    .filter((name) => name.includes(".seg"))
    .toSorted();
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Appends frames `from` to `to`; returns the position after the last. */
async function append(journal: Journal, from: number, to: number): Promise<JournalPosition> {
  for (const number of range(from, to)) {
    expect(journal.hasRoom([payload(number).length], false)).toBe(true);
    await appendDurably(journal, payload(number));
  }
  return journal.durable;
}

describe("a journal that releases its first segments", () => {
  test("goes on without them, and hands out the frames after any position that is left", async () => {
    const disk = new MemoryDisk();
    let journal = await openOn(disk);
    const middle = await append(journal, 1, 10);
    await append(journal, 11, 20);
    journal.release(middle.address);
    expect(journal.start).toBeGreaterThan(SMALL_SEGMENT_BYTES);
    expect(journal.start).toBeLessThanOrEqual(middle.address);
    expect(Array.from(journal.frames(middle, journal.durable), ({ payload: one }) => one.length)).toEqual(
      range(11, 20).map((number) => payload(number).length),
    );
    await journal.close();
    journal = await openOn(disk);
    expect(numbersAfter(journal, middle)).toEqual(range(11, 20));
    const end = await append(journal, 21, 30);
    await journal.close();
    journal = await openOn(disk);
    expect([numbersAfter(journal, middle), numbersAfter(journal, end)]).toEqual([range(11, 30), []]);
    for (const frame of journal.frames(middle)) {
      expect(Buffer.from(journal.read(frame.address, 5))).toEqual(Buffer.from(frame.payload.subarray(0, 5)));
    }
    await journal.close();
  });

  test("refuses to begin where a released frame is needed, or beyond its end: with file and position", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    const early = await append(journal, 1, 2);
    const middle = await append(journal, 3, 12);
    journal.release(middle.address);
    await journal.close();
    const again = await openOn(disk);
    const gone = `${String(again.start / SMALL_SEGMENT_BYTES - 1).padStart(10, "0")}.seg`;
    expect(() => numbersAfter(again, JOURNAL_BEGIN)).toThrow(
      `${gone} at offset 0: the file is missing and still needed: there is no`,
    );
    expect(() => numbersAfter(again, early)).toThrow(
      `${gone} at offset 0: the file is missing and still needed: the checkpoint ends`,
    );
    expect(() => numbersAfter(again, { ...middle, frame: 99 })).toThrow(
      "the checkpoint holds frames up to 99, the journal ends with",
    );
    expect(() => numbersAfter(again, { ...middle, frame: middle.frame - 1 })).toThrow(/frame \d+ of \d+ is bad/);
    await again.close();
  });

  test("never releases the segment that is written, and only what is durable", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    const end = await append(journal, 1, 3);
    journal.release(end.address);
    expect(journal.start).toBe(0);
    expect(() => journal.release(end.address + 1)).toThrow("only what is durable");
    await journal.close();
  });

  test("F33: makes new segments of old files, with zeros over what they held, and deletes what it cannot use", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    let written = 0;
    const salts = new Set<number>();
    let files = 0;
    for (let round = 0; round < 40; round++) {
      const end = await append(journal, written + 1, written + 6);
      written += 6;
      journal.release(end.address);
      files = Math.max(files, filesOf(disk).length);
      for (const name of filesOf(disk).filter((one) => one.endsWith(".seg"))) {
        const content = disk.bytes(name);
        const segment = decodeSegmentHeader(content);
        if (segment !== undefined && segment.base >= end.address) {
          salts.add(segment.seed);
          expect(content.subarray(SEGMENT_HEADER_BYTES).equals(Buffer.alloc(SMALL_SEGMENT_BYTES - SEGMENT_HEADER_BYTES))).toBe(
            true,
          );
          expect(findFrameAfter(content, segment, SEGMENT_HEADER_BYTES)).toBeUndefined();
        }
      }
    }
    expect(salts.size).toBeGreaterThan(40);
    // The current one, those that lie ready, and spares.
    expect(files).toBeLessThanOrEqual(2 + 2 + 2 * SPARE_FILES);
    await journal.close();
  });

  test("F34: finds room on a full disk in what it has released", async () => {
    const disk = new MemoryDisk();
    const clock = new ManualClock();
    const journal = await openOn(disk, { clock });
    await append(journal, 1, 12);
    disk.capacityBytes = 0;
    let last = 12;
    while (journal.hasRoom([payload(1).length], false)) {
      last += 1;
      await appendDurably(journal, payload(last));
    }
    const end = journal.durable;
    journal.release(end.address);
    clock.ms += 1_000;
    await append(journal, last + 1, last + 4);
    await journal.close();
    const again = await openOn(disk);
    expect(numbersAfter(again, end)).toEqual(range(last + 1, last + 4));
    await again.close();
  });
});

test("J5, F12, F33: a crash at any flush of releasing and reusing leaves all acknowledged frames that are still needed", async () => {
  const random = prng(11);
  const disk = new MemoryDisk();
  const journal = await openOn(disk);
  let acknowledged = 0;
  let kept = JOURNAL_BEGIN;
  let keptNumber = 0;
  const images: { disk: MemoryDisk; what: string; acknowledged: number; kept: JournalPosition; keptNumber: number }[] = [];
  disk.onFlush = () => {
    const state = { acknowledged, kept, keptNumber };
    images.push({ disk: disk.kill(), what: `kill ${images.length}`, ...state });
    images.push({ disk: disk.powerCut(), what: `cut ${images.length}`, ...state });
    images.push({ disk: disk.powerCut(() => random.below(2) === 0), what: `half ${images.length}`, ...state });
  };
  for (let number = 1; number <= 40; number++) {
    await append(journal, number, number);
    acknowledged = number;
    if (number % 5 === 0) {
      kept = journal.durable;
      keptNumber = number;
      journal.release(kept.address);
    }
  }
  disk.onFlush = () => {};
  await journal.close();
  expect(images.length).toBeGreaterThan(150);
  for (const image of images) {
    let again = await openOn(image.disk);
    const found = numbersAfter(again, image.kept);
    expect(found.slice(0, image.acknowledged - image.keptNumber), image.what).toEqual(
      range(image.keptNumber + 1, image.acknowledged),
    );
    expect(found.length, image.what).toBeLessThanOrEqual(image.acknowledged - image.keptNumber + 1);
    const next = image.keptNumber + found.length + 1;
    again.release(image.kept.address);
    await append(again, next, next + 8);
    await again.close();
    again = await openOn(image.disk);
    expect(numbersAfter(again, image.kept), image.what).toEqual(range(image.keptNumber + 1, next + 8));
    await again.close();
  }
});
