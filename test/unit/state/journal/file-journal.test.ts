import { describe, expect, test, vi } from "vitest";
import type { FaultPoint } from "../../../../state/ports.ts";
import { appendDurably, Deferred, openOn, payloadsOf } from "../../../support/file-journal.ts";
import { MemoryDisk } from "../../../support/memory-disk.ts";

const text = (value: string): Buffer => Buffer.from(value, "latin1");

describe("a frame", () => {
  test("is reported durable once, after its flush, and until then the journal is not idle", async () => {
    const disk = new MemoryDisk();
    const deferred = new Deferred();
    const journal = await openOn(disk, { defer: deferred.defer });
    const durable = vi.fn();
    journal.onDurable = durable;
    journal.append(text("one"));
    expect(journal.idle).toBe(false);
    expect(() => journal.append(text("two"))).toThrow("idle");
    expect(durable).not.toHaveBeenCalled();
    deferred.run();
    expect(durable).toHaveBeenCalledOnce();
    expect(journal.idle).toBe(true);
    const again = await openOn(disk.powerCut());
    expect(payloadsOf(again)).toEqual(["one"]);
  });

  test("may be appended from onDurable, and its payload changed after append", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    const payload = text("0");
    await new Promise<void>((resolve) => {
      journal.onDurable = () => {
        if (payload.toString() === "9") {
          resolve();
        } else {
          payload[0] = (payload[0] ?? 0) + 1;
          journal.append(payload);
        }
      };
      journal.append(payload);
    });
    await journal.close();
    expect(payloadsOf(await openOn(disk)).join("")).toBe("0123456789");
  });

  test("that comes while an empty frame is written follows it", async () => {
    vi.useFakeTimers();
    try {
      const disk = new MemoryDisk();
      const deferred = new Deferred();
      const journal = await openOn(disk, { defer: deferred.defer });
      const durable = vi.fn();
      journal.onDurable = durable;
      journal.append(text("before"));
      deferred.run();
      vi.advanceTimersByTime(10);
      expect(journal.idle).toBe(true);
      const payload = text("after");
      const address = journal.append(payload);
      payload.fill(0);
      expect(journal.idle).toBe(false);
      expect(durable).toHaveBeenCalledOnce();
      deferred.run();
      expect(durable).toHaveBeenCalledTimes(2);
      expect(Buffer.from(journal.read(address, 5)).toString()).toBe("after");
      expect(payloadsOf(await openOn(disk.powerCut()))).toEqual(["before", "after"]);
    } finally {
      vi.useRealTimers();
    }
  });

  test("passes the fault points around its flush", async () => {
    const points: FaultPoint[] = [];
    const disk = new MemoryDisk();
    const images = new Map<FaultPoint, MemoryDisk>();
    const at = (point: FaultPoint): void => {
      points.push(point);
      images.set(point, disk.powerCut());
    };
    const journal = await openOn(disk, { faults: { at } });
    await appendDurably(journal, text("one"));
    expect(points).toEqual(["flush:before", "flush:after"]);
    expect(payloadsOf(await openOn(images.get("flush:before") ?? disk))).toEqual([]);
    expect(payloadsOf(await openOn(images.get("flush:after") ?? disk))).toEqual(["one"]);
    await journal.close();
  });
});

describe("close", () => {
  test("waits for the frame in flight and gives the folder back", async () => {
    const disk = new MemoryDisk();
    const journal = await openOn(disk);
    const durable = vi.fn();
    journal.onDurable = durable;
    journal.append(text("last"));
    await expect(openOn(disk)).rejects.toMatchObject({ code: "JOURNAL_LOCKED" });
    await Promise.all([journal.close(), journal.close()]);
    expect(durable).toHaveBeenCalledOnce();
    expect(payloadsOf(await openOn(disk))).toEqual(["last"]);
  });
});

describe("J4: after a failed flush", () => {
  test("the journal fails once, reports nothing durable, takes no frame, and can be closed", async () => {
    const disk = new MemoryDisk();
    const onFailure = vi.fn();
    const durable = vi.fn();
    const journal = await openOn(disk, { onFailure });
    journal.onDurable = durable;
    disk.nextFlush = "refused";
    journal.append(text("one"));
    const closed = journal.close();
    await closed;
    expect(onFailure).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: "EIO" }));
    expect(durable).not.toHaveBeenCalled();
    expect(journal.idle).toBe(false);
    expect(() => journal.append(text("two"))).toThrow("idle");
  });

  test("of a new segment the frame in flight is not reported either", async () => {
    const disk = new MemoryDisk();
    const deferred = new Deferred();
    const onFailure = vi.fn();
    const durable = vi.fn();
    const journal = await openOn(disk, { onFailure, defer: deferred.defer });
    journal.onDurable = durable;
    disk.nextFlush = "lost";
    journal.hasRoom([1], false);
    journal.append(text("one"));
    deferred.run();
    expect(onFailure).toHaveBeenCalledOnce();
    expect(durable).not.toHaveBeenCalled();
  });
});
