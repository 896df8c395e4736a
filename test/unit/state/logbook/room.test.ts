import { describe, expect, test } from "vitest";
import { type InstanceId, MAX_SEQNUM, type SeqNum } from "../../../../state/ids.ts";
import { FRAME_MAX_BYTES } from "../../../../state/journal/index.ts";
import { type NewRecord, openLocalShard, RecordKind } from "../../../../state/logbook/index.ts";
import { noFaults } from "../../../../state/ports.ts";
import { stepTag } from "../../../../state/tags.ts";
import { Deferred, ManualClock, openOn } from "../../../support/file-journal.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { MemoryBlobs } from "../../../support/memory-blobs.ts";
import { MemoryDisk } from "../../../support/memory-disk.ts";
import { BOOK, none, openTestShard, tagOf } from "../../../support/open-shard.ts";

const x = tagOf("t/x");
const own = stepTag("1" as InstanceId);
const RESERVE_BYTES = 4_000;
const write = (text: string): NewRecord => ({ kind: RecordKind.write, tags: [x], data: Buffer.from(text) });
const done: NewRecord = { kind: RecordKind.done, tags: [own], data: none };
const diskFull = { code: "DISK_FULL" };
const settled = () => new Promise(setImmediate);

/** A shard whose journal has room for the host's own records only; `tried` says what came of trying to make more. */
async function openFull() {
  const opened = await openTestShard();
  const { shard, journal } = opened;
  const book = shard.book(BOOK);
  await book.append({ records: [{ kind: RecordKind.init, tags: [own], data: none }] });
  await shard.whenDurable(await book.tail());
  journal.reserveBytes = RESERVE_BYTES;
  journal.roomBytes = RESERVE_BYTES;
  const tries: PromiseWithResolvers<boolean>[] = [];
  journal.whenRoomTried = () => {
    const one = Promise.withResolvers<boolean>();
    tries.push(one);
    return one.promise;
  };
  const tried = async (roomBytes: number) => {
    journal.roomBytes += roomBytes;
    tries.at(-1)?.resolve(roomBytes > 0);
    await settled();
  };
  const texts = async () => (await book.readStream(x, 0)).records.map(({ data }) => Buffer.from(data).toString());
  return { ...opened, book, tries, tried, texts };
}

describe("F34: appends for which there is no room yet", () => {
  test("wait while a segment is made, and are ordered as they came", async () => {
    const { book, tries, tried, texts } = await openFull();
    const results = ["a", "b", "c"].map((text) => book.append({ records: [write(text)] }));
    await settled();
    expect(await texts()).toEqual([]);
    expect(tries.length).toBe(1);
    await tried(10_000);
    expect((await Promise.all(results)).map(({ kind }) => kind)).toEqual(["appended", "appended", "appended"]);
    expect(await texts()).toEqual(["a", "b", "c"]);
    expect(tries.length).toBe(1);
  });

  test("are not overtaken by those that would fit", async () => {
    const { book, journal, tried, texts } = await openFull();
    const large = "L".repeat(1_000);
    const first = book.append({ records: [write(large)] });
    journal.roomBytes += 500;
    const second = book.append({ records: [write("small")] });
    await settled();
    expect(await texts()).toEqual([]);
    await tried(10_000);
    await Promise.all([first, second]);
    expect(await texts()).toEqual([large, "small"]);
  });

  test("wait again when the segment that was made is not enough", async () => {
    const { book, tries, tried, texts } = await openFull();
    const results = ["a", "b"].map((text) => book.append({ records: [write(text.repeat(1_000))] }));
    await settled();
    await tried(1_500);
    expect((await texts()).length).toBe(1);
    expect(tries.length).toBe(2);
    await tried(1_500);
    await Promise.all(results);
    expect((await texts()).length).toBe(2);
  });

  test("are refused once the disk was tried and has none; what fits then is ordered, and the next one has it tried again", async () => {
    const { book, journal, tries, tried, texts } = await openFull();
    const refused = [1, 2].map((i) => book.append({ records: [write(`${i}`.repeat(1_000))] }));
    const fits = book.append({ records: [write("small")] });
    await settled();
    journal.roomBytes += 500;
    const outcomes = Promise.allSettled([...refused, fits]);
    await tried(0);
    expect(await outcomes).toMatchObject([{ reason: diskFull }, { reason: diskFull }, { value: { kind: "appended" } }]);
    expect(await texts()).toEqual(["small"]);
    const later = book.append({ records: [write("L".repeat(1_000))] });
    await settled();
    expect(tries.length).toBe(2);
    await tried(10_000);
    expect((await later).kind).toBe("appended");
  });

  test("do not keep the host's own records waiting, not even those that waited for a flush behind them", async () => {
    const { book, journal, tried } = await openFull();
    const waiting = book.append({ records: [write("a")] });
    await settled();
    expect((await book.append({ records: [done] })).kind).toBe("appended");
    const outcome = expect(waiting).rejects.toMatchObject(diskFull);
    await tried(0);
    await outcome;

    const limited = await openTestShard({ options: { undurableMaxBytes: 1 } });
    const other = limited.shard.book(BOOK);
    await other.append({ records: [{ kind: RecordKind.init, tags: [own], data: none }] });
    await limited.shard.whenDurable(await other.tail());
    limited.journal.automatic = false;
    await other.append({ records: [write("in flight")] });
    const behind = other.append({ records: [write("b")] });
    const ownRecord = other.append({ records: [done] });
    limited.journal.reserveBytes = RESERVE_BYTES;
    limited.journal.roomBytes = RESERVE_BYTES;
    limited.journal.whenRoomTried = () => new Promise(() => {});
    limited.journal.flush();
    expect((await ownRecord).kind).toBe("appended");
    limited.journal.automatic = true;
    limited.journal.flush();
    const stopped = expect(behind).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    await limited.shard.close();
    await stopped;
    expect(journal.idle).toBe(true);
  });

  test("that would write a cell wait as well", async () => {
    const { book, tried } = await openFull();
    const version = { seqnum: 1 as SeqNum, role: 0, counter: 0 } as const;
    const written = book.writeCell({
      key: "x",
      version,
      kind: RecordKind.write,
      data: Buffer.alloc(200),
      initialCursor: MAX_SEQNUM,
      writer: own,
    });
    await settled();
    await tried(10_000);
    expect((await written).kind).toBe("written");
  });

  test("Q3: of a session that has ended are not ordered when there is room, and those behind them are", async () => {
    const { shard, book, tried, texts } = await openFull();
    const session = shard.openSession();
    const orphaned = session.book(BOOK).append({ records: [write("orphaned")] });
    const living = book.append({ records: [write("living")] });
    await session.close();
    const outcome = expect(orphaned).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    await tried(10_000);
    await outcome;
    await living;
    expect(await texts()).toEqual(["living"]);
  });

  test("are refused when the owner stops, and nothing of them is ordered, whatever comes of the try", async () => {
    const { shard, book, tried, crash } = await openFull();
    const outcome = expect(book.append({ records: [write("a")] })).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
    await settled();
    await shard.close();
    await outcome;
    await tried(10_000);
    const next = await crash();
    expect((await next.shard.book(BOOK).readStream(x, 0)).length).toBe(0);
  });
});

describe("F34: on a journal of files", () => {
  /** @param segmentBytes  of its segments */
  async function openShard(disk: MemoryDisk, segmentBytes: number, defer?: (run: () => void) => void) {
    const journal = await openOn(disk, { segmentBytes, clock: new ManualClock(), ...(defer !== undefined && { defer }) });
    const time = new ManualTime();
    const shard = openLocalShard({
      journal,
      blobs: new MemoryBlobs(),
      objectSizeBytes: () => 0,
      clock: time,
      timers: time,
      faults: noFaults,
    });
    return { journal, shard };
  }

  const textsOf = (count: number, sizeBytes: number) => Array.from({ length: count }, (_, i) => `${i}/`.padEnd(sizeBytes, "x"));

  test.each([
    { segmentBytes: 4 * 1024 * 1024, count: 100, sizeBytes: 64 * 1024 },
    { segmentBytes: 8 * 1024, count: 60, sizeBytes: 1_000 },
  ])("no append is refused while the disk stands still and has room ($count of $sizeBytes bytes)", async (load) => {
    const { segmentBytes, count, sizeBytes } = load;
    const disk = new MemoryDisk();
    const deferred = new Deferred();
    const opening = await openShard(disk, segmentBytes, deferred.defer);
    deferred.run();
    const shard = await opening.shard;
    const book = shard.book(BOOK);
    const texts = textsOf(count, sizeBytes);
    const results = Promise.all(texts.map((text) => book.append({ records: [write(text)] })));
    await settled();
    // From the second on they wait for a flush, or for a segment.
    deferred.release();
    expect((await results).map(({ kind }) => kind)).toEqual(texts.map(() => "appended"));
    await shard.close();
    const again = await openShard(disk, segmentBytes);
    const { records } = await (await again.shard).book(BOOK).readStream(x, 0);
    expect(records.map(({ data }) => Buffer.from(data).toString())).toEqual(texts);
    await (await again.shard).close();
  });

  test("the first append after a full disk has room again is ordered, and not refused for the last try", async () => {
    const disk = new MemoryDisk();
    const segmentBytes = 8 * 1024;
    const shard = await (await openShard(disk, segmentBytes)).shard;
    const book = shard.book(BOOK);
    disk.capacityBytes = 3 * segmentBytes;
    const append = () => book.append({ records: [write("x".repeat(1_000))] });
    await expect(
      (async () => {
        for (;;) {
          await append();
        }
      })(),
    ).rejects.toMatchObject(diskFull);
    await expect(append()).rejects.toMatchObject(diskFull);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    expect((await append()).kind).toBe("appended");
    await shard.close();
  });

  test("a record as large as a frame is ordered, one that is larger is RECORD_TOO_LARGE", async () => {
    const shard = await (await openShard(new MemoryDisk(), 4 * 1024 * 1024)).shard;
    const book = shard.book(BOOK);
    const append = (sizeBytes: number) => book.append({ records: [write("x".repeat(sizeBytes))] });
    await expect(append(FRAME_MAX_BYTES - 10)).rejects.toMatchObject({ code: "RECORD_TOO_LARGE" });
    expect((await append(FRAME_MAX_BYTES - 100)).kind).toBe("appended");
    await shard.close();
  });
});
