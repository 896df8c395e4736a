import { describe, expect, it } from "vitest";
import { InvariantBroken } from "../../../../state/errors.ts";
import { MAX_SEQNUM } from "../../../../state/ids.ts";
import { decodeObjectValue } from "../../../../state/objects/index.ts";
import { objectTag } from "../../../../state/tags.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, tell } from "../../../support/scripted-host.ts";

describe("a shortage of the host", () => {
  it("F34: a call whose first step finds the disk full has failed: nothing was ordered", async () => {
    const journal = new MemoryJournal();
    const host = await ScriptedHost.open({ test: await openTestShard({ journal }) });
    await host.define("write", async (guest) => {
      guest.put("x", "1");
      return 0;
    });
    await host.test.shard.whenDurable(await host.book.tail());
    journal.roomBytes = 0;
    const answer = await host.call({ functionName: "write" });
    expect(tell(answer)).toBe("failed: DISK_FULL");
    expect(await host.steps(answer.instance)).toEqual([]);
  });

  it("F24: a later step that finds the disk full is tried again until there is room; the guest does not see it", async () => {
    const journal = new MemoryJournal();
    const host = await ScriptedHost.open({ test: await openTestShard({ journal }) });
    await host.define("write", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      journal.roomBytes = host.pool.started < 6 ? 0 : Number.POSITIVE_INFINITY;
      guest.put("x", "2");
      return 3;
    });
    expect(await host.told({ functionName: "write" })).toBe("3 ");
    expect(host.pool.started).toBe(6);
    expect(await host.versions("x")).toEqual(["1", "2"]);
  });

  it("F7: a replay that computes another value stores it under a new name, and only that one is committed", async () => {
    const journal = new MemoryJournal();
    const test = await openTestShard({ journal });
    // Its next attempt begins when the test says so.
    const host = await ScriptedHost.open({ test, timers: test.time });
    const read: (string | null)[] = [];
    await host.define("copy", async (guest) => {
      const text = (await guest.get("y")) ?? "";
      read.push(text);
      journal.roomBytes = text === "old" ? 0 : Number.POSITIVE_INFINITY;
      guest.put("x", text.repeat(5000));
      return 0;
    });
    await host.put("y", "old");
    const before = new Set(host.test.blobs.blobs.keys());
    const asked = host.told({ functionName: "copy", key: "k" });
    while (journal.roomBytes > 0) {
      await settled();
    }
    await settled();
    journal.roomBytes = Number.POSITIVE_INFINITY;
    await host.put("y", "new");
    test.time.advance(1_000);
    expect(await asked).toBe("0 ");
    expect(read).toEqual(["old", "new"]);
    const stored = [...host.test.blobs.blobs].filter(([name]) => !before.has(name));
    expect(stored.map(([, bytes]) => Buffer.from(bytes).toString().slice(0, 3))).toEqual(["new"]);
    const { record } = await host.book.readPrev(objectTag("x"), MAX_SEQNUM);
    const value = record === null ? null : decodeObjectValue(record);
    expect(value?.kind === "blob" && value.ref.name).toBe(stored[0]?.[0]);
  });

  it("an error that nobody expected fails the call only, and parks it when something is logged", async () => {
    const host = await ScriptedHost.open();
    await host.define("stage", async (guest) => {
      if (guest.input !== "") {
        guest.put("x", guest.input);
      }
      await guest.stage(Buffer.from("large"));
      return 0;
    });
    host.test.blobs.create = () => Promise.reject(Object.assign(new Error("no space left"), { code: "ENOSPC" }));
    expect(await host.told({ functionName: "stage" })).toBe("failed: INTERNAL");
    expect(await host.told({ functionName: "stage", input: "1" })).toMatch(/^parked: 3 attempts were ended by the host/);
    expect(await host.versions("x")).toEqual(["1"]);
  });

  it("a broken invariant is not taken for a failure of the call: it reaches the process", async () => {
    const host = await ScriptedHost.open();
    await host.define("hello", async () => 0);
    const broken = new InvariantBroken("for the test");
    host.source.current = () => {
      throw broken;
    };
    await expect(host.call({ functionName: "hello" })).rejects.toBe(broken);
  });
});
