import { describe, expect, test, vi } from "vitest";
import { listSegments, readFrames } from "../../../../state/journal/recovery.ts";
import { FRAME_HEADER_BYTES, findFrameAfter, frameBytes, SEGMENT_HEADER_BYTES } from "../../../../state/journal/segment.ts";
import { appendDurably, openOn, payloadsOf, SMALL_SEGMENT_BYTES } from "../../../support/file-journal.ts";
import { MemoryDisk } from "../../../support/memory-disk.ts";

const FIRST = "0000000000.seg";
const text = (value: string): Buffer => Buffer.from(value, "latin1");

/** A journal with these payloads whose process was killed, before an empty frame followed the last one. */
async function killedAfter(payloads: readonly string[]): Promise<{ disk: MemoryDisk; addresses: number[] }> {
  const disk = new MemoryDisk();
  const journal = await openOn(disk);
  const addresses: number[] = [];
  for (const payload of payloads) {
    addresses.push(await appendDurably(journal, text(payload)));
  }
  const image = disk.kill();
  await journal.close();
  return { disk: image, addresses };
}

async function closedAfter(payloads: readonly string[]): Promise<{ disk: MemoryDisk; addresses: number[] }> {
  const disk = new MemoryDisk();
  const journal = await openOn(disk);
  const addresses: number[] = [];
  for (const payload of payloads) {
    addresses.push(await appendDurably(journal, text(payload)));
  }
  await journal.close();
  return { disk, addresses };
}

/** What a reopening finds; the reopened journal is closed again. */
async function reopen(disk: MemoryDisk): Promise<{ payloads: string[]; epoch: number; id: string }> {
  const journal = await openOn(disk);
  const found = { payloads: payloadsOf(journal), epoch: journal.epoch, id: journal.id };
  await journal.close();
  return found;
}

async function damageOf(disk: MemoryDisk): Promise<string> {
  const failure = await reopen(disk).then(
    () => undefined,
    (error: Error & { code?: string }) => error,
  );
  expect(failure?.code).toBe("JOURNAL_DAMAGED");
  return failure?.message ?? "";
}

describe("a reopened journal", () => {
  test("returns all frames in order, at the addresses that append gave, and has the same id", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    const addresses = [await appendDurably(journal, text("one")), await appendDurably(journal, text("two"))];
    await journal.close();
    const again = await openOn(disk);
    expect(Array.from(again.frames(), ({ address, payload }) => [address, Buffer.from(payload).toString()])).toEqual([
      [addresses[0], "one"],
      [addresses[1], "two"],
    ]);
    expect(again.id).toBe(journal.id);
    expect(Buffer.from(again.read((addresses[1] ?? 0) + 1, 2)).toString()).toBe("wo");
    await again.close();
  });

  test("goes on after the frames of earlier openings, through several segments", async () => {
    const disk = new MemoryDisk();
    const expected: string[] = [];
    for (let opening = 0; opening < 4; opening += 1) {
      const journal = await openOn(disk);
      expect(payloadsOf(journal)).toEqual(expected);
      for (let count = 0; count < 7; count += 1) {
        const payload = `${opening}/${count}/`.padEnd(100 + 211 * count, "x");
        expect(journal.hasRoom([payload.length], false)).toBe(true);
        const address = await appendDurably(journal, text(payload));
        expect(Buffer.from(journal.read(address, payload.length)).toString()).toBe(payload);
        expected.push(payload);
      }
      await journal.close();
    }
    expect((await reopen(disk)).payloads).toEqual(expected);
    expect(disk.list().length).toBeGreaterThanOrEqual(5);
  });

  test("F1: has a higher epoch than every earlier opening, also one that wrote nothing or was cut off at once", async () => {
    const disk = new MemoryDisk();
    const first = await openOn(disk);
    const cutOff = disk.powerCut();
    expect(first.epoch).toBe(1);
    const second = await openOn(cutOff);
    expect(second.epoch).toBe(2);
    const killed = cutOff.kill();
    expect((await reopen(killed)).epoch).toBe(3);
    expect((await reopen(killed)).epoch).toBe(4);
    await first.close();
    await second.close();
  });

  test("keeps segments of another size than new ones have", async () => {
    const { disk } = await closedAfter(["small"]);
    const journal = await openOn(disk, { segmentBytes: 16_384 });
    expect(payloadsOf(journal)).toEqual(["small"]);
    await appendDurably(journal, text("a".repeat(3000)));
    await appendDurably(journal, text("b".repeat(3000)));
    await appendDurably(journal, text("c".repeat(3000)));
    await journal.close();
    expect((await reopen(disk)).payloads.map((payload) => payload[0])).toEqual(["s", "a", "b", "c"]);
  });

  test("removes a segment that a crash left half made", async () => {
    const { disk } = await closedAfter(["kept"]);
    disk.create("0000000007.seg.tmp").write(0, text("half"));
    expect((await reopen(disk)).payloads).toEqual(["kept"]);
    expect(disk.list()).not.toContain("0000000007.seg.tmp");
  });
});

describe("a torn last frame", () => {
  test("is dropped wherever it was cut, and the frames before it are there", async () => {
    const { disk, addresses } = await killedAfter(["before", "the last one"]);
    const start = (addresses[1] ?? 0) - FRAME_HEADER_BYTES;
    const sizeBytes = frameBytes("the last one".length);
    const whole = disk.bytes(FIRST).subarray(start, start + sizeBytes);
    const lastByte = FRAME_HEADER_BYTES + "the last one".length;
    for (let cut = 0; cut < lastByte; cut += 1) {
      const torn = disk.kill();
      torn.damage(FIRST, start + cut, Buffer.alloc(sizeBytes - cut));
      const { payloads } = await reopen(torn);
      expect(payloads, `cut at ${cut}`).toEqual(["before"]);
      expect(torn.bytes(FIRST).includes(whole.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + 4)), `cut at ${cut}`).toBe(false);
    }
  });

  test("is dropped also when only its end reached the disk, and leaves only zeros, flushed", async () => {
    const { disk, addresses } = await killedAfter(["before", "torn".repeat(500)]);
    disk.damage(FIRST, (addresses[1] ?? 0) - FRAME_HEADER_BYTES, Buffer.alloc(1000));
    const journal = await openOn(disk);
    const image = disk.powerCut();
    expect(image.bytes(FIRST).includes(text("torn"))).toBe(false);
    await journal.close();
    expect((await reopen(image)).payloads).toEqual(["before"]);
  });

  test("may be the first of a segment", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    await appendDurably(journal, text("z".repeat(4000)));
    await appendDurably(journal, text("a".repeat(4000)));
    await appendDurably(journal, text("b".repeat(600)));
    const image = disk.kill();
    await journal.close();
    image.damage("0000000001.seg", SEGMENT_HEADER_BYTES, Buffer.alloc(512));
    const again = await openOn(image);
    expect(payloadsOf(again).map((payload) => payload[0])).toEqual(["z", "a"]);
    await appendDurably(again, text("c".repeat(600)));
    await again.close();
    expect((await reopen(image)).payloads.map((payload) => payload[0])).toEqual(["z", "a", "c"]);
  });
});

describe("damage", () => {
  test("of any bit of a frame before the last one is found, with file and offset", async () => {
    const { disk, addresses } = await killedAfter(["first", "middle", "last"]);
    const start = (addresses[1] ?? 0) - FRAME_HEADER_BYTES;
    for (let bit = 0; bit < frameBytes("middle".length) * 8; bit += 1) {
      const damaged = disk.kill();
      damaged.flipBit(FIRST, start + (bit >> 3), bit & 7);
      const before = damaged.bytes(FIRST);
      expect(await damageOf(damaged)).toContain(`memory/${FIRST} at offset ${start}:`);
      expect(damaged.bytes(FIRST).equals(before)).toBe(true);
    }
  });

  test("F33: of the last acknowledged frame is found after a clean close", async () => {
    const { disk, addresses } = await closedAfter(["first", "last"]);
    const start = (addresses[1] ?? 0) - FRAME_HEADER_BYTES;
    for (let bit = 0; bit < frameBytes("last".length) * 8; bit += 1) {
      const damaged = disk.kill();
      damaged.flipBit(FIRST, start + (bit >> 3), bit & 7);
      expect(await damageOf(damaged)).toContain(`at offset ${start}:`);
    }
  });

  test("F33: of the last acknowledged frame is found when the host was idle for 10 ms before the crash", async () => {
    vi.useFakeTimers();
    try {
      const disk = new MemoryDisk();
      const journal = await openOn(disk);
      const address = await appendDurably(journal, text("last"));
      await vi.advanceTimersByTimeAsync(9);
      const busy = disk.powerCut();
      await vi.advanceTimersByTimeAsync(1);
      const idle = disk.powerCut();
      busy.flipBit(FIRST, address, 0);
      idle.flipBit(FIRST, address, 0);
      expect((await reopen(busy)).payloads).toEqual([]);
      expect(await damageOf(idle)).toContain(`at offset ${address - FRAME_HEADER_BYTES}:`);
      await journal.close();
    } finally {
      vi.useRealTimers();
    }
  });

  test("of a frame in an older segment is found when the frames are read", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    const address = await appendDurably(journal, text("a".repeat(3000)));
    await appendDurably(journal, text("b".repeat(3000)));
    await appendDurably(journal, text("c".repeat(3000)));
    await journal.close();
    disk.flipBit(FIRST, address + 17, 3);
    const again = await openOn(disk);
    expect(() => payloadsOf(again)).toThrow(`${FIRST} at offset ${address - FRAME_HEADER_BYTES}:`);
    await again.close();
  });

  test("of the first frame of an older segment is found in that segment", async () => {
    const { disk } = await closedAfter(["a", "b", "c", "d", "e"].map((letter) => letter.repeat(3900)));
    disk.flipBit("0000000001.seg", SEGMENT_HEADER_BYTES + 100, 0);
    const again = await openOn(disk);
    expect(() => payloadsOf(again)).toThrow(`0000000001.seg at offset ${SEGMENT_HEADER_BYTES}:`);
    await again.close();
  });

  test("that leaves nothing after a frame is found by the number of the last frame", async () => {
    const { disk } = await closedAfter(["only"]);
    expect(() => Array.from(readFrames(disk, listSegments(disk), { frame: 4, address: SMALL_SEGMENT_BYTES }))).toThrow(
      "frame 4 of 4 is missing",
    );
  });

  test("that wiped the last frame of an older segment is found", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    await appendDurably(journal, text("a".repeat(3000)));
    const address = await appendDurably(journal, text("b".repeat(4000)));
    await appendDurably(journal, text("c".repeat(3000)));
    await journal.close();
    disk.damage(FIRST, address - FRAME_HEADER_BYTES, Buffer.alloc(SMALL_SEGMENT_BYTES - address + FRAME_HEADER_BYTES));
    const again = await openOn(disk);
    expect(() => payloadsOf(again)).toThrow(/frame 3 of 5 is/);
    await again.close();
  });

  test("of two places at the end is not taken for one torn frame", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    await appendDurably(journal, text("z".repeat(4000)));
    const address = await appendDurably(journal, text("a".repeat(4000)));
    await appendDurably(journal, text("b".repeat(600)));
    const image = disk.kill();
    await journal.close();
    image.flipBit(FIRST, address, 0);
    image.flipBit("0000000001.seg", SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES, 0);
    expect(await damageOf(image)).toContain(`${FIRST} at offset ${address - FRAME_HEADER_BYTES}:`);
  });

  test("of a segment header, a missing, shortened or foreign segment is found", async () => {
    const { disk } = await closedAfter(["a".repeat(3000), "b".repeat(3000), "c".repeat(3000)]);
    const header = disk.kill();
    header.flipBit(FIRST, 21, 5);
    expect(await damageOf(header)).toContain(`${FIRST} at offset 0:`);

    const missing = disk.kill();
    missing.remove(FIRST);
    expect(await damageOf(missing)).toContain(`${FIRST} at offset 0: the file is missing`);

    const shortened = disk.kill();
    const bytes = shortened.bytes(FIRST);
    shortened.create(FIRST).write(0, bytes.subarray(0, 4000));
    expect(await damageOf(shortened)).toContain(`${FIRST} at offset 4000:`);

    const foreign = disk.kill();
    const other = await closedAfter(["x"]);
    foreign.damage("0000000001.seg", 0, other.disk.bytes("0000000001.seg"));
    expect(await damageOf(foreign)).toContain("0000000001.seg at offset 0:");
  });
});

describe("F33: bytes that are no frame of this place", () => {
  test("a payload that holds a copy of a frame is not taken for one when its own frame is torn", async () => {
    const { disk } = await killedAfter(["seed"]);
    const copy = disk.bytes(FIRST).subarray(SEGMENT_HEADER_BYTES, 1024);
    const journal = await openOn(disk);
    const address = await appendDurably(journal, copy);
    const image = disk.kill();
    await journal.close();
    image.damage(FIRST, address - FRAME_HEADER_BYTES, Buffer.alloc(8));
    expect((await reopen(image)).payloads).toEqual(["seed"]);
  });

  test("frames of an earlier use of a segment are not taken for later ones", async () => {
    const earlier = await closedAfter(["old 1", "old 2", "old 3"]);
    const { disk, addresses } = await killedAfter(["new 1"]);
    const end = (addresses[0] ?? 0) - FRAME_HEADER_BYTES + frameBytes(5);
    const stale = earlier.disk.bytes(FIRST).subarray(end);
    disk.damage(FIRST, end, stale);
    expect((await reopen(disk)).payloads).toEqual(["new 1"]);
  });

  test("a frame of another journal has another mark and checksum even where it fits", async () => {
    const one = await closedAfter(["same", "same"]);
    const two = await closedAfter(["same", "same"]);
    const segment = { journalId: "", number: 0, base: 0, sizeBytes: SMALL_SEGMENT_BYTES };
    const bytes = one.disk.bytes(FIRST);
    const mark = two.disk.bytes(FIRST).readUInt32LE(36);
    const seed = two.disk.bytes(FIRST).readUInt32LE(40);
    expect(findFrameAfter(bytes, { ...segment, mark, seed }, 0)).toBeUndefined();
    const own = { ...segment, mark: bytes.readUInt32LE(36), seed: bytes.readUInt32LE(40) };
    expect(findFrameAfter(bytes, own, 0)?.number).toBe(1);
    expect(findFrameAfter(bytes, { ...own, base: 4096 }, 0)).toBeUndefined();
    expect(findFrameAfter(bytes, { ...own, seed: (own.seed ^ 1) >>> 0 }, 0)).toBeUndefined();
  });
});

describe("F12: the recovered tail is flushed again before it counts as durable", () => {
  test.each(["lost", "refused"] as const)("after a flush that failed and was %s", async (how) => {
    // Longer than a sector: what is written after it brings none of its beginning along.
    const cached = "in the page cache".padEnd(2_000, ".");
    const disk = new MemoryDisk();
    let failure: unknown;
    const journal = await openOn(disk, {
      onFailure(error) {
        failure = error;
      },
    });
    await appendDurably(journal, text("durable"));
    disk.nextFlush = how;
    const acknowledged = vi.fn();
    journal.onDurable = acknowledged;
    journal.append(text(cached));
    await Promise.resolve();
    expect(failure).toMatchObject({ code: "EIO" });
    expect(acknowledged).not.toHaveBeenCalled();

    const restarted = disk.kill();
    expect(payloadsOf(await openOn(restarted))).toEqual(["durable", cached]);
    const dark = restarted.powerCut();
    expect((await reopen(dark)).payloads).toEqual(["durable", cached]);
    await journal.close();
  });

  test("a segment and its name in the folder are durable before a frame in it is acknowledged", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    const expected: string[] = [];
    for (let count = 0; count < 12; count += 1) {
      const payload = `${count}`.padEnd(1500, ".");
      expect(journal.hasRoom([payload.length], false)).toBe(true);
      await appendDurably(journal, text(payload));
      expected.push(payload);
      expect((await reopen(disk.powerCut())).payloads).toEqual(expected);
    }
    await journal.close();
  });
});
