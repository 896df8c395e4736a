import { describe, expect, test, vi } from "vitest";
import type { Journal } from "../../../../state/journal/index.ts";
import { appendDurably, Deferred, ManualClock, openOn, payloadsOf, SMALL_SEGMENT_BYTES } from "../../../support/file-journal.ts";
import { MemoryDisk } from "../../../support/memory-disk.ts";
import { prng } from "../../../support/prng.ts";

const payload = Buffer.alloc(600, "x");
const LARGEST_BYTES = (SMALL_SEGMENT_BYTES - 64) / 2 - 48;

/** Appends while there is room; returns how many frames went in. */
async function fill(journal: Journal, reserved: boolean): Promise<number> {
  let count = 0;
  while (journal.hasRoom([payload.length], reserved)) {
    await appendDurably(journal, payload);
    count += 1;
  }
  return count;
}

describe("F34: a full disk", () => {
  test.each([true, false])("refuses before ordering and tears nothing (free bytes known: %s)", async (knowsFreeBytes) => {
    const disk = new MemoryDisk();
    disk.capacityBytes = 4.5 * SMALL_SEGMENT_BYTES;
    disk.knowsFreeBytes = knowsFreeBytes;
    const journal = await openOn(disk);
    const count = await fill(journal, false);
    expect(count).toBeGreaterThan(2 * 12);
    const image = disk.powerCut();
    expect(disk.list().filter((name) => name.endsWith(".tmp"))).toEqual([]);
    await journal.close();
    const again = await openOn(image);
    expect(payloadsOf(again).length).toBe(count);
    expect(again.hasRoom([payload.length], false)).toBe(false);
    expect(again.hasRoom([payload.length], true)).toBe(true);
    await again.close();
  });

  test("leaves one segment and one maximal frame to the host's own records", async () => {
    const disk = new MemoryDisk();
    disk.capacityBytes = 3 * SMALL_SEGMENT_BYTES;
    const journal = await openOn(disk);
    await fill(journal, false);
    expect(journal.hasRoom([LARGEST_BYTES], true)).toBe(true);
    await appendDurably(journal, Buffer.alloc(LARGEST_BYTES, "m"));
    expect(await fill(journal, true)).toBeGreaterThanOrEqual(12);
    expect(journal.hasRoom([payload.length], true)).toBe(false);
    const before = disk.list().length;
    await journal.close();
    expect(disk.list().length).toBe(before);
  });

  test("is not filled up with a part of a segment when the room is known to be too small", async () => {
    const disk = new MemoryDisk();
    disk.capacityBytes = 3.5 * SMALL_SEGMENT_BYTES;
    const journal = await openOn(disk);
    const create = vi.spyOn(disk, "create");
    await fill(journal, false);
    expect(create).toHaveBeenCalledOnce();
    await journal.close();
  });

  test("is tried again when room is asked for, and the host recovers when space comes back", async () => {
    const disk = new MemoryDisk();
    const clock = new ManualClock();
    disk.capacityBytes = 3 * SMALL_SEGMENT_BYTES;
    const journal = await openOn(disk, { clock });
    await fill(journal, false);
    disk.capacityBytes = 5 * SMALL_SEGMENT_BYTES;
    expect(journal.hasRoom([payload.length], false)).toBe(false);
    clock.ms += 100;
    expect(journal.hasRoom([payload.length], false)).toBe(true);
    expect(await fill(journal, false)).toBeGreaterThanOrEqual(2 * 12);
    await journal.close();
  });

  test("is tried at once when more room is asked for, and says whether it had some", async () => {
    const disk = new MemoryDisk();
    disk.capacityBytes = 3 * SMALL_SEGMENT_BYTES;
    const journal = await openOn(disk, { clock: new ManualClock() });
    await fill(journal, false);
    expect(await journal.makeRoom()).toBe(false);
    disk.capacityBytes = 5 * SMALL_SEGMENT_BYTES;
    expect(journal.hasRoom([payload.length], false)).toBe(false);
    expect(await journal.makeRoom()).toBe(true);
    expect(journal.hasRoom([payload.length], false)).toBe(true);
    await journal.close();
    expect(await journal.makeRoom()).toBe(false);
  });

  test("that fails while room is made is no full disk: the journal fails, and whoever waits for room hears that there is none", async () => {
    const disk = new MemoryDisk();
    const deferred = new Deferred();
    const onFailure = vi.fn();
    const journal = await openOn(disk, { defer: deferred.defer, onFailure });
    const tried = journal.makeRoom();
    disk.nextFlush = "refused";
    deferred.run();
    expect(onFailure).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: "EIO" }));
    expect(await tried).toBe(false);
  });

  test("that has no room for a new journal is DISK_FULL, and the folder is free again", async () => {
    const disk = new MemoryDisk();
    disk.capacityBytes = SMALL_SEGMENT_BYTES - 1;
    await expect(openOn(disk)).rejects.toMatchObject({ code: "DISK_FULL" });
    disk.capacityBytes = 2 * SMALL_SEGMENT_BYTES;
    await (await openOn(disk)).close();
  });
});

test("room that was promised is there after an empty frame came in between, up to the last frame", async () => {
  vi.useFakeTimers();
  try {
    for (let sizeBytes = 8; sizeBytes <= 160; sizeBytes += 8) {
      const disk = new MemoryDisk();
      disk.capacityBytes = 2 * SMALL_SEGMENT_BYTES;
      const journal = await openOn(disk);
      let count = 0;
      while (journal.hasRoom([sizeBytes], true)) {
        await vi.advanceTimersByTimeAsync(10);
        await appendDurably(journal, Buffer.alloc(sizeBytes, "s"));
        count += 1;
      }
      await journal.close();
      expect(count).toBeGreaterThan(70);
      disk.capacityBytes *= 2;
      expect(payloadsOf(await openOn(disk)).length).toBe(count);
    }
  } finally {
    vi.useRealTimers();
  }
});

test("room that was promised to several frames is there for each of them, whether empty ones come in between or not", async () => {
  vi.useFakeTimers();
  try {
    const random = prng(3);
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    let count = 0;
    for (let round = 0; round < 100; round += 1) {
      const sizes = Array.from({ length: 1 + random.below(12) }, () => 1 + random.below(LARGEST_BYTES));
      while (!journal.hasRoom(sizes, false)) {
        expect(await journal.makeRoom()).toBe(true);
      }
      disk.capacityBytes = 0;
      for (const sizeBytes of sizes) {
        await appendDurably(journal, Buffer.alloc(sizeBytes, "s"));
        await vi.advanceTimersByTimeAsync(10 * random.below(2));
      }
      expect(journal.hasRoom([LARGEST_BYTES, SMALL_SEGMENT_BYTES / 4], true)).toBe(true);
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      count += sizes.length;
    }
    await journal.close();
    expect(payloadsOf(await openOn(disk)).length).toBe(count);
  } finally {
    vi.useRealTimers();
  }
});

test("a payload above the largest never has room, the largest has", async () => {
  const journal = await openOn(new MemoryDisk());
  expect(journal.hasRoom([LARGEST_BYTES + 1], true)).toBe(false);
  expect(journal.hasRoom([LARGEST_BYTES], true)).toBe(true);
  await appendDurably(journal, Buffer.alloc(LARGEST_BYTES));
  await journal.close();
});
