/** What Halfmoon-write guarantees, shown with whole calls. */
import { describe, expect, it } from "vitest";
import { gate } from "../../../support/gate.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import type { Script } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

describe("Halfmoon-write", () => {
  const put: Script = async (guest) => {
    guest.put("x", guest.input);
    return 0;
  };

  it("F2: two calls that only write, one after the other, leave the second one's value", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    await host.define("put", put);
    await host.call({ functionName: "put", input: "1" });
    await host.call({ functionName: "put", input: "2" });
    expect(await host.object("x")).toBe("2");
  });

  it("F2: a call that wrote x and crashed before y is run again, as its INIT is in the log", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    let runs = 0;
    const stop = gate();
    await host.define("f", async (guest) => {
      runs += 1;
      guest.put("x", "1");
      if (runs === 1) {
        await settled();
        stop.open();
        await new Promise(() => {});
      }
      guest.put("y", "1");
      return 0;
    });
    void host.call({ functionName: "f" }).catch(() => {});
    await stop.opened;
    await host.test.shard.whenDurable(await host.book.tail());
    const next = await host.crash();
    expect([await next.object("x"), await next.object("y")]).toEqual(["1", null]);
    next.invocations.startRecovery(5);
    await expect.poll(() => next.object("y"), { timeout: 10_000 }).toBe("1");
  });

  it("F3: what was answered is there after a crash, as a log-free write is an entry of the journal", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    await host.define("put", put);
    host.test.journal.automatic = false;
    let answered = false;
    const call = host.call({ functionName: "put", input: "1" }).then(() => {
      answered = true;
    });
    await settled();
    // The answer waits for the entry (F8).
    expect([answered, await host.object("x")]).toEqual([false, "1"]);
    expect(await (await host.crash()).object("x")).toBeNull();
    while (!answered) {
      host.test.journal.flush();
      await settled();
    }
    await call;
    expect(await (await host.crash()).object("x")).toBe("1");
  });

  it("F3: a cell whose entry was lost does not stand above later writers", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    await host.define("put", put);
    await host.test.shard.whenDurable(await host.book.tail());
    host.test.journal.automatic = false;
    void host.call({ functionName: "put", input: "lost" }).catch(() => {});
    await settled();
    const next = await host.crash();
    next.test.journal.automatic = true;
    await next.call({ functionName: "put", input: "1" });
    expect(await next.object("x")).toBe("1");
  });

  it("F8: a reader's answer waits for the entry that it has read", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    await host.define("put", put);
    await host.define("get", async (guest) => {
      guest.output(`${await guest.get("x")}`);
      return 0;
    });
    host.test.journal.automatic = false;
    void host.call({ functionName: "put", input: "1" }).catch(() => {});
    await settled();
    let told: string | undefined;
    void host.told({ functionName: "get" }).then((answer) => {
      told = answer;
    });
    await settled();
    expect(told).toBeUndefined();
    while (told === undefined) {
      host.test.journal.flush();
      await settled();
    }
    expect(told).toBe("0 1");
  });

  it("[31] of consecutive writes to one object the last one stays, also after a crash between them", async () => {
    for (const crashAfter of [0, 1, 2, 3]) {
      const host = await ScriptedHost.openIn("halfmoon-write");
      let runs = 0;
      const stop = gate();
      await host.define("f", async (guest) => {
        runs += 1;
        for (const [i, text] of ["1", "2", "3"].entries()) {
          if (runs === 1 && i === crashAfter) {
            await settled();
            stop.open();
            await new Promise(() => {});
          }
          guest.put("x", text);
        }
        await settled();
        stop.open();
        return 0;
      });
      void host.call({ functionName: "f", key: "k" }).catch(() => {});
      await stop.opened;
      await host.test.shard.whenDurable(await host.book.tail());
      const next = await host.crash();
      next.invocations.startRecovery(5);
      expect(await next.told({ functionName: "f", key: "k" })).toBe("0 ");
      expect(await next.object("x")).toBe("3");
    }
  });

  it("[32] a write that is made again changes nothing, also after others wrote", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    let runs = 0;
    await host.define("other", put);
    await host.define("f", async (guest) => {
      runs += 1;
      guest.put("x", "mine");
      await settled();
      if (runs === 1) {
        await host.call({ functionName: "other", input: "theirs" });
        guest.kill("workerLost");
        await new Promise(() => {});
      }
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 ");
    expect([runs, await host.object("x")]).toEqual([2, "theirs"]);
  });

  it("[33] a write of an older cursor that comes late is dropped, and its call succeeds", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    const late = gate();
    await host.define("late", async (guest) => {
      await guest.get("something");
      await late.opened;
      guest.put("x", "late");
      return 0;
    });
    await host.define("put", put);
    const call = host.told({ functionName: "late" });
    await settled();
    await host.call({ functionName: "put", input: "newer" });
    late.open();
    expect([await call, await host.object("x")]).toEqual(["0 ", "newer"]);
  });

  it("[34] a caller's write after its child's stays; before the join both have versions of their own", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    await host.define("child", async (guest) => {
      guest.put("y", "child's");
      guest.put("x", "child's");
      return 0;
    });
    await host.define("caller", async (guest) => {
      const child = guest.callStart("child", "");
      // The cursor of both is the Invoke record. The caller has made more writes under it, and yet the child's are the newer ones.
      guest.put("z", "caller's");
      guest.put("y", "caller's");
      await guest.callAwait(child);
      guest.put("x", "caller's");
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 ");
    expect([await host.object("x"), await host.object("y")]).toEqual(["caller's", "child's"]);
  });

  it("[35] a delete stays a delete when a copy of an earlier writer wakes up", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    let runs = 0;
    const zombie = gate();
    await host.define("f", async (guest) => {
      runs += 1;
      if (runs === 1) {
        await guest.get("something");
        guest.kill("workerLost");
        await zombie.opened;
      } else {
        await guest.get("something");
      }
      guest.put("x", "late");
      return 0;
    });
    await host.define("delete", async (guest) => {
      guest.delete("x");
      return 0;
    });
    await host.call({ functionName: "f" });
    await host.call({ functionName: "delete" });
    zombie.open();
    await settled();
    expect(await host.object("x")).toBeNull();
  });

  it("[35] F3: a delete keeps its version while an older writer may come, whatever is collected", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write", { test: await openTestShard({ options: { garbageMin: 1 } }) });
    const late = gate();
    await host.define("late", async (guest) => {
      await guest.get("something");
      await late.opened;
      guest.put("x", "late");
      return 0;
    });
    await host.define("delete", async (guest) => {
      guest.delete("x");
      return 0;
    });
    const call = host.told({ functionName: "late" });
    await settled();
    await host.call({ functionName: "delete" });
    await host.test.shard.collect();
    late.open();
    expect([await call, await host.object("x")]).toEqual(["0 ", null]);
  });

  it("[36] writes under one cursor may be seen in another order; a read between them gives the second a newer cursor", async () => {
    for (const [withStep, expected] of [
      [false, "old-x G's-y"],
      [true, "old-x F's-y"],
    ] as const) {
      const host = await ScriptedHost.openIn("halfmoon-write");
      await host.put("x", "old-x");
      const [begun, go] = [gate(), gate()];
      await host.define("F", async (guest) => {
        await guest.get("nothing");
        begun.open();
        await go.opened;
        guest.put("x", "F's-x");
        if (withStep) {
          await guest.get("nothing");
        }
        guest.put("y", "F's-y");
        return 0;
      });
      await host.define("G", async (guest) => {
        guest.put("y", "G's-y");
        return 0;
      });
      await host.define("H", async (guest) => {
        guest.output(`${await guest.get("x")} ${await guest.get("y")}`);
        return 0;
      });
      const slow = host.call({ functionName: "F" });
      await begun.opened;
      await host.call({ functionName: "G" });
      expect(await host.told({ functionName: "H" })).toBe("0 old-x G's-y");
      go.open();
      await slow;
      expect(`old-x ${await host.object("y")}`).toBe(expected);
    }
  });

  it("[18] a copy that wakes up after the end of its instance writes nothing any more, also when the cells are collected", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    let runs = 0;
    const zombie = gate();
    await host.define("f", async (guest) => {
      runs += 1;
      guest.put("x", "1");
      await settled();
      if (runs === 1) {
        guest.kill("workerLost");
        await zombie.opened;
        guest.put("x", "zombie's");
        return 0;
      }
      guest.delete("x");
      return 0;
    });
    await host.call({ functionName: "f" });
    for (let i = 0; i < 3; i += 1) {
      await host.test.shard.whenDurable(await host.book.tail());
      await host.test.shard.collect();
    }
    zombie.open();
    await settled();
    expect(await host.object("x")).toBeNull();
  });

  it("[51] a logged read keeps its value for the replay, also when the object was replaced and its bytes are collected", async () => {
    const test = await openTestShard({ options: { garbageMin: 1 } });
    const host = await ScriptedHost.openIn("halfmoon-write", { test });
    await host.define("large", async (guest) => {
      await guest.stage(Buffer.from(guest.input.repeat(10_000)));
      await guest.putStaged("x");
      return 0;
    });
    await host.call({ functionName: "large", input: "old" });
    let runs = 0;
    await host.define("f", async (guest) => {
      runs += 1;
      guest.output(await guest.slice("x", 0, 3));
      if (runs === 1) {
        for (const input of ["new", "end"]) {
          await host.call({ functionName: "large", input });
          await host.test.shard.collect();
        }
        guest.kill("workerLost");
        await new Promise(() => {});
      }
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 old");
    expect([runs, test.blobs.blobs.size]).toEqual([2, 4]);
  });

  it("[54] cells keep one entry each, and deleted ones go when no older writer can be left", async () => {
    const test = await openTestShard({ options: { garbageMin: 1 } });
    const host = await ScriptedHost.openIn("halfmoon-write", { test });
    await host.define("f", async (guest) => {
      for (let i = 0; i < 10; i += 1) {
        guest.put("x", `${i}`);
        guest.put(`temporary-${guest.input}-${i}`, "1");
        guest.delete(`temporary-${guest.input}-${i}`);
      }
      return 0;
    });
    for (let i = 0; i < 5; i += 1) {
      await host.call({ functionName: "f", input: `${i}` });
      await host.test.shard.collect();
    }
    await host.define("g", async (guest) => {
      guest.output(`${await guest.list("")}`);
      return 0;
    });
    expect(await host.told({ functionName: "g" })).toBe("0 x");
    for (const key of ["temporary-0-0", "temporary-4-9"]) {
      expect(await host.book.readCell(key, await host.book.tail())).toMatchObject({ record: null, home: "none" });
    }
  });
});
