import fc from "fast-check";
import { expect, test } from "vitest";
import { appendDurably, Deferred, openOn, payloadsOf } from "../../../support/file-journal.ts";
import { MemoryDisk } from "../../../support/memory-disk.ts";

/** One opening: what it appends, and how it ends. `keep` says which unflushed sectors a power cut leaves. */
const opening = fc.record({
  sizes: fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 8 }),
  end: fc.constantFrom("close", "kill in flight", "power cut in flight", "kill", "power cut"),
  keep: fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }),
  /** Before it, an opening that ends at this flush of its own; beyond its flushes there is none. */
  cutOpening: fc.nat({ max: 12 }),
  cutByKill: fc.boolean(),
});

test("J1, J2, J3, F1: whatever the crashes, all acknowledged frames come back in order, at most the one in flight besides, and epochs grow", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(opening, { minLength: 1, maxLength: 8 }), async (openings) => {
      let disk = new MemoryDisk();
      let acknowledged: string[] = [];
      let inFlight: string | undefined;
      let epoch = 0;
      let count = 0;
      for (const { sizes, end, keep, cutOpening, cutByKill } of openings) {
        let asked = 0;
        const keeps = (): boolean => keep[asked++ % keep.length] ?? false;
        disk = (await cutWhileOpening(disk, cutOpening, cutByKill ? undefined : keeps)) ?? disk;

        const deferred = new Deferred();
        const journal = await openOn(disk, { defer: deferred.defer });
        expect(journal.epoch).toBeGreaterThan(epoch);
        epoch = journal.epoch;
        const found = payloadsOf(journal);
        expect([acknowledged, inFlight === undefined ? acknowledged : [...acknowledged, inFlight]]).toContainEqual(found);
        acknowledged = found;
        inFlight = undefined;

        let crashed: MemoryDisk | undefined;
        for (const [index, sizeBytes] of sizes.entries()) {
          count += 1;
          const payload = `${count}/`.padEnd(sizeBytes + 8, String(count % 10));
          if (!journal.hasRoom([payload.length], false)) {
            // Asking for room has ordered a segment.
            deferred.run();
          }
          expect(journal.hasRoom([payload.length], false)).toBe(true);
          let durable = false;
          journal.onDurable = () => {
            durable = true;
          };
          const address = journal.append(Buffer.from(payload));
          if (index === sizes.length - 1 && end.endsWith("in flight")) {
            inFlight = payload;
            disk.onFlush = () => {
              crashed ??= end === "kill in flight" ? disk.kill() : disk.powerCut(keeps);
            };
          }
          deferred.run();
          expect(durable).toBe(true);
          expect(Buffer.from(journal.read(address, payload.length)).toString()).toBe(payload);
          if (inFlight === undefined) {
            acknowledged.push(payload);
          }
        }
        if (end === "close") {
          deferred.release();
          await journal.close();
        } else {
          disk = crashed ?? (end.startsWith("kill") ? disk.kill() : disk.powerCut(keeps));
        }
      }
    }),
    { numRuns: 100 },
  );
});

/** The disk after an opening ended at one of its flushes, by a power cut or, without `keeps`, by a kill. */
async function cutWhileOpening(disk: MemoryDisk, atFlush: number, keeps?: () => boolean): Promise<MemoryDisk | undefined> {
  const victim = disk.kill();
  let flushes = 0;
  let image: MemoryDisk | undefined;
  victim.onFlush = () => {
    if (flushes === atFlush) {
      image = keeps === undefined ? victim.kill() : victim.powerCut(keeps);
    }
    flushes += 1;
  };
  await openOn(victim);
  return image;
}

test("a crash at any flush of an opening after a torn frame loses no acknowledged frame", async () => {
  const disk = new MemoryDisk();
  const journal = await openOn(disk);
  await appendDurably(journal, Buffer.from("durable"));
  let torn: MemoryDisk | undefined;
  let sector = 0;
  disk.onFlush = () => {
    torn ??= disk.powerCut(() => sector++ % 2 === 1);
  };
  await appendDurably(journal, Buffer.alloc(4000, "t"));
  let cuts = 0;
  for (;;) {
    const image = await cutWhileOpening(torn ?? disk, cuts, () => false);
    if (image === undefined) {
      break;
    }
    expect(payloadsOf(await openOn(image))).toEqual(["durable"]);
    cuts += 1;
  }
  expect(cuts).toBeGreaterThanOrEqual(3);
});

test("F12: a segment whose process was killed before the folder was flushed keeps its name after the next opening", async () => {
  for (let atFlush = 0; ; atFlush += 1) {
    const image = await cutWhileOpening(new MemoryDisk(), atFlush);
    if (image === undefined) {
      break;
    }
    const journal = await openOn(image);
    // No later segment may flush the folder for it.
    image.capacityBytes = 0;
    let count = 0;
    while (journal.hasRoom([2000], true)) {
      await appendDurably(journal, Buffer.alloc(2000, "d"));
      count += 1;
    }
    const dark = image.powerCut();
    dark.capacityBytes = Number.POSITIVE_INFINITY;
    expect(payloadsOf(await openOn(dark)).length, `killed at flush ${atFlush}`).toBe(count);
  }
});
