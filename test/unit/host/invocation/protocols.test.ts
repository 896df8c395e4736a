/** What the four protocols guarantee, and what they append, shown with whole calls. */
import { describe, expect, it, test } from "vitest";
import type { StoragePool } from "../../../../host/offload/index.ts";
import { MODES, type Mode, RecordKind } from "../../../../state/logbook/index.ts";
import type { StoredRecord } from "../../../../state/logbook/record-codec.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";
import type { Script } from "../../../support/scripted-pool.ts";

const KIND_NAMES = new Map<number, string>(Object.entries(RecordKind).map(([name, kind]) => [kind, name]));

/** What the calls in `work` have put into streams, and how many entries of cells besides. */
async function appended(host: ScriptedHost, work: () => Promise<unknown>): Promise<{ logged: string[]; entries: number }> {
  const before = (await host.records()).length;
  await work();
  const records = (await host.records()).slice(before).filter(({ book }) => book !== "");
  const name = ({ kind }: StoredRecord) => KIND_NAMES.get(kind) ?? "";
  return {
    logged: records.filter(({ tags }) => tags.length > 0).map(name),
    entries: records.filter(({ tags, cell }) => tags.length === 0 && cell !== undefined).length,
  };
}

async function hostIn(mode: Mode, parts: Parameters<typeof ScriptedHost.open>[0] = {}): Promise<ScriptedHost> {
  const host = await ScriptedHost.open(parts);
  await host.choose("", mode);
  return host;
}

/** A promise and what fulfils it. */
function gate(): { opened: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

describe("records in the log for r reads and w writes", () => {
  const [r, w] = [5, 3];
  const repeat = (count: number, name: string) => Array.from({ length: count }, () => name);
  const readsFirst: Script = async (guest) => {
    for (let i = 0; i < r; i += 1) {
      await guest.get(`in-${i}`);
    }
    for (let i = 0; i < w; i += 1) {
      guest.put(`out-${i}`, "1");
    }
    return 0;
  };
  const writesOnly: Script = async (guest) => {
    for (let i = 0; i < w; i += 1) {
      guest.put(`out-${i}`, "1");
    }
    return 0;
  };

  // INIT and DONE are there once per instance that has logged anything; an anchor only before a first log-free write (F2).
  test.each<[Mode, readonly string[], number]>([
    ["halfmoon-read", ["init", ...repeat(w, "write"), "done"], 0],
    ["halfmoon-write", ["init", ...repeat(r, "read"), "done"], w],
    ["boki", ["init", ...repeat(r, "read"), ...Array.from({ length: w }, () => ["preWrite", "postWrite"]).flat(), "done"], w],
    ["unsafe", [], w],
  ])("%s: exactly as it says", async (mode, logged, entries) => {
    const host = await hostIn(mode);
    await host.define("f", readsFirst);
    expect(await appended(host, () => host.call({ functionName: "f" }))).toEqual({ logged, entries });
  });

  it("Halfmoon-write: writes alone take an anchor per instance, however many they are", async () => {
    const host = await hostIn("halfmoon-write");
    await host.define("f", writesOnly);
    const { logged, entries } = await appended(host, () => host.call({ functionName: "f" }));
    expect([logged, entries]).toEqual([["init", "anchor", "done"], w]);
  });

  it("Halfmoon-read: reads alone take nothing", async () => {
    const host = await hostIn("halfmoon-read");
    await host.define("f", async (guest) => Number(await guest.get("x")));
    expect(await appended(host, () => host.call({ functionName: "f" }))).toEqual({ logged: [], entries: 0 });
  });

  it("slices of a large object are one read, also after the object was replaced", async () => {
    const host = await hostIn("halfmoon-write");
    await host.put("x", "abcdef");
    await host.define("f", async (guest) => {
      const first = await guest.slice("x", 0, 3);
      await host.put("x", "ABCDEF");
      guest.output(first + (await guest.slice("x", 3, 3)));
      guest.output(` ${await guest.slice("x", 0, 6)}`);
      return 0;
    });
    const { logged } = await appended(host, async () => expect(await host.told({ functionName: "f" })).toBe("0 abcdef ABCDEF"));
    expect(logged.filter((kind) => kind === "read")).toHaveLength(2);
  });
});

describe("a read that goes on slice by slice", () => {
  it.each(MODES)("under %s sees what the call itself has written meanwhile", async (mode) => {
    const host = await hostIn(mode);
    await host.put("x", "abcdef");
    await host.define("f", async (guest) => {
      const first = await guest.slice("x", 0, 2);
      guest.put("x", "ABCDEF");
      const second = await guest.slice("x", 2, 2);
      guest.delete("x");
      guest.output(`${first}${second}${await guest.slice("x", 4, 2)}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 abCD");
  });

  it.each(MODES)("under %s sees after the join what a child has written meanwhile", async (mode) => {
    const host = await hostIn(mode);
    await host.put("x", "abcdef");
    const child = gate();
    await host.define("child", async (guest) => {
      await child.opened;
      guest.put("x", "ABCDEF");
      return 0;
    });
    await host.define("f", async (guest) => {
      const handle = guest.callStart("child", "");
      const first = await guest.slice("x", 0, 3);
      child.open();
      await guest.callAwait(handle);
      guest.output(`${first}${await guest.slice("x", 3, 3)}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 abcDEF");
  });

  it("does not go on over the ends of a storage part: the steps are the same wherever the part runs", async () => {
    let offers = 0;
    const storage = (pool: StoragePool): StoragePool => ({
      name: pool.name,
      run: async (request) => {
        offers += 1;
        return offers === 1 ? pool.run(request) : { kind: "refused", reason: "once is enough" };
      },
      cancel: (request) => pool.cancel(request),
    });
    const host = await hostIn("halfmoon-write", { partSlots: 1, storage });
    await host.put("x", "abcdef");
    await host.define("f", {
      main: async (guest) => {
        const first = await guest.slice("x", 0, 2);
        await guest.part("x", 0);
        guest.output(`${first}${await guest.slice("x", 4, 2)}`);
        if (offers === 1) {
          guest.kill("workerLost");
          return new Promise(() => {});
        }
        return 0;
      },
      parts: [async (guest) => Number((await guest.slice("x", 2, 2)) !== "cd")],
    });
    expect(await host.told({ functionName: "f" })).toBe("0 abef");
    expect(offers).toBe(2);
  });
});

describe.each(MODES.filter((mode) => mode !== "unsafe"))("under %s", (mode) => {
  it("[16] a call that is cut off after each of its operations and run again leaves what one run leaves", async () => {
    for (let cut = 0; cut < 6; cut += 1) {
      const host = await hostIn(mode);
      await host.put("n", "1");
      let runs = 0;
      const stop = gate();
      await host.define("f", async (guest) => {
        runs += 1;
        const isFirst = runs === 1;
        const operations = [
          async () => guest.output(`${await guest.get("n")}`),
          async () => guest.put("n", "2"),
          async () => guest.put("n", "3"),
          async () => guest.output(`,${await guest.get("n")}`),
          async () => guest.delete("gone"),
        ];
        for (const [i, operation] of operations.entries()) {
          if (isFirst && i === cut) {
            stop.open();
            await new Promise(() => {});
          }
          await operation();
        }
        await settled();
        if (isFirst) {
          stop.open();
          await new Promise(() => {});
        }
        return 0;
      });
      void host.call({ functionName: "f", key: "k" }).catch(() => {});
      await stop.opened;
      await settled();
      await host.test.shard.whenDurable(await host.book.tail());
      const next = await host.crash();
      next.invocations.startRecovery(5);
      await expect.poll(async () => (await next.test.shard.unfinished(host.book.id)).length, { timeout: 10_000 }).toBe(0);
      expect(await next.told({ functionName: "f", key: "k" })).toBe("0 1,3");
      expect([await next.object("n"), await next.object("gone")]).toEqual(["3", null]);
    }
  });

  it("F14: loses no increment, and a failed condition is a logged outcome (F10)", async () => {
    const host = await hostIn(mode);
    await host.define("inc", async (guest) => {
      await guest.update("n", (old) => `${Number(old ?? 0) + 1}`);
      return 0;
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => host.told({ functionName: "inc" })));
    expect([new Set(answers), await host.object("n")]).toEqual([new Set(["0 "]), "20"]);
  });

  it("an update of what somebody else has changed meanwhile is a conflict, in every run of the call", async () => {
    const host = await hostIn(mode);
    await host.put("n", "1");
    let runs = 0;
    await host.define("f", async (guest) => {
      runs += 1;
      guest.put("own", "1");
      const { version } = await guest.read("n");
      if (runs === 1) {
        await host.put("n", "theirs");
      }
      guest.output(`${await guest.compareAndSet("n", version, "mine")}`);
      const again = await guest.read("n");
      guest.output(` ${again.text} ${await guest.compareAndSet("n", again.version, "mine")}`);
      if (runs === 1) {
        await settled();
        guest.kill("workerLost");
        await new Promise(() => {});
      }
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 false theirs true");
    expect([runs, await host.object("n")]).toEqual([2, "mine"]);
  });

  it("[37] a caller sees after the join what its child has written", async () => {
    const host = await hostIn(mode);
    await host.define("child", async (guest) => {
      guest.put("x", "child's");
      return 0;
    });
    await host.define("caller", async (guest) => {
      guest.put("x", "caller's");
      await guest.call("child");
      guest.output(`${await guest.get("x")}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 child's");
  });

  it("a deleted object is absent, for reads and for lists, and can be written again", async () => {
    const host = await hostIn(mode);
    await host.define("f", async (guest) => {
      guest.put("a", "1");
      guest.put("b", "1");
      guest.delete("a");
      guest.output(`${await guest.get("a")} ${await guest.list("")}`);
      guest.put("a", "2");
      guest.output(` ${await guest.get("a")} ${await guest.list("")}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 null b 2 a,b");
  });
});

describe("Halfmoon-read", () => {
  it("[25] reads between two steps are of one moment, whatever others write meanwhile", async () => {
    const host = await hostIn("halfmoon-read");
    await host.put("x", "1");
    await host.define("f", async (guest) => {
      const seen = [await guest.get("x")];
      await host.put("x", "2");
      await host.put("y", "2");
      seen.push(await guest.get("x"), await guest.get("y"));
      guest.output(seen.join());
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 1,1,");
  });

  it("[26] own writes are seen at once", async () => {
    const host = await hostIn("halfmoon-read");
    await host.define("f", async (guest) => {
      guest.put("x", "1");
      guest.output(`${await guest.get("x")}`);
      guest.put("x", "2");
      guest.output(` ${await guest.get("x")}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 1 2");
  });

  it("[27] [28] what is visible has its value, and the order of versions is that of the records that bind them", async () => {
    const host = await hostIn("halfmoon-read");
    const [slow, fast] = [gate(), gate()];
    await host.define("slow", async (guest) => {
      await guest.stage(Buffer.from("slow".repeat(5_000)));
      slow.open();
      await fast.opened;
      await guest.putStaged("x");
      return 0;
    });
    await host.define("fast", async (guest) => {
      await guest.stage(Buffer.from("fast".repeat(5_000)));
      await guest.putStaged("x");
      return 0;
    });
    const first = host.call({ functionName: "slow" });
    await slow.opened;
    // Its value was stored later and its record comes earlier.
    await host.call({ functionName: "fast" });
    await host.define("read", async (guest) => {
      guest.output(await guest.slice("x", 0, 4));
      return 0;
    });
    expect(await host.told({ functionName: "read" })).toBe("0 fast");
    fast.open();
    await first;
    expect(await host.told({ functionName: "read" })).toBe("0 slow");
  });

  it("[30] before the first write there is nothing; a call sees all that was answered before it began", async () => {
    const host = await hostIn("halfmoon-read");
    await host.define("get", async (guest) => {
      guest.output(`${await guest.get("x")}`);
      return 0;
    });
    await host.define("put", async (guest) => {
      guest.put("x", guest.input);
      return 0;
    });
    expect(await host.told({ functionName: "get" })).toBe("0 null");
    await host.call({ functionName: "put", input: "1" });
    expect(await host.told({ functionName: "get" })).toBe("0 1");
  });
});

describe("Halfmoon-write", () => {
  const put: Script = async (guest) => {
    guest.put("x", guest.input);
    return 0;
  };

  it("F2: two calls that only write, one after the other, leave the second one's value", async () => {
    const host = await hostIn("halfmoon-write");
    await host.define("put", put);
    await host.call({ functionName: "put", input: "1" });
    await host.call({ functionName: "put", input: "2" });
    expect(await host.object("x")).toBe("2");
  });

  it("F2: a call that wrote x and crashed before y is run again, as its INIT is in the log", async () => {
    const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write");
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
      const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write", { test: await openTestShard({ options: { garbageMin: 1 } }) });
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
      const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write");
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
    const host = await hostIn("halfmoon-write", { test });
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
    const host = await hostIn("halfmoon-write", { test });
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

describe("storage parts", () => {
  it.each(MODES.filter((mode) => mode !== "unsafe"))("under %s a part does what it would do at the caller", async (mode) => {
    for (const partSlots of [0, 1]) {
      const host = await hostIn(mode, { partSlots });
      await host.put("n", "1");
      await host.define("f", {
        main: async (guest) => {
          guest.put("x", "before");
          const value = await guest.part("n", 0);
          guest.put("x", `${await guest.get("x")}+after`);
          guest.output(`${await guest.get("x")}`);
          return value;
        },
        parts: [
          async (guest) => {
            guest.put("x", `${await guest.get("x")}+part`);
            await guest.update("n", (old) => `${Number(old) + 1}`);
            guest.put("x", `${await guest.get("x")}+more`);
            return 0;
          },
        ],
      });
      expect(await host.told({ functionName: "f" })).toBe("0 before+part+more+after");
      expect([await host.object("x"), await host.object("n")]).toEqual(["before+part+more+after", "2"]);
    }
  });

  it("Halfmoon-write: a part goes on with the number of the caller's writes, and the caller with the part's", async () => {
    const host = await hostIn("halfmoon-write", { partSlots: 1 });
    await host.define("f", {
      main: async (guest) => {
        guest.put("x", "1");
        await guest.part("x", 0);
        guest.put("x", "3");
        return 0;
      },
      parts: [
        async (guest) => {
          guest.put("x", "2");
          return 0;
        },
      ],
    });
    expect(await host.told({ functionName: "f" })).toBe("0 ");
    expect(await host.object("x")).toBe("3");
  });
});

describe("a function's own protocol", () => {
  const put: Script = async (guest) => {
    guest.put(guest.input, "1");
    return 0;
  };
  const get: Script = async (guest) => {
    guest.output(`${await guest.get(guest.input)}`);
    return 0;
  };

  it("holds where nobody has chosen one for the scope, and nowhere else", async () => {
    const host = await ScriptedHost.open();
    await host.choose("chosen", "halfmoon-read");
    await host.define("put", put, { protocol: "halfmoon-write" });
    await host.call({ functionName: "put", input: "free/x" });
    await host.call({ functionName: "put", input: "chosen/x" });
    expect((await host.book.readCell("free/x", await host.book.tail())).home).toBe("cell");
    expect((await host.book.readCell("chosen/x", await host.book.tail())).home).toBe("versions");
  });

  it("is pinned: an upload with another one changes nothing for a call that runs", async () => {
    const host = await ScriptedHost.open();
    let runs = 0;
    await host.define(
      "f",
      async (guest) => {
        runs += 1;
        await guest.get("x");
        if (runs === 1) {
          await settled();
          await host.define("f", get, { protocol: "halfmoon-read" });
          guest.kill("workerLost");
          await new Promise(() => {});
        }
        guest.put("x", "1");
        return 0;
      },
      { protocol: "halfmoon-write" },
    );
    expect(await host.told({ functionName: "f" })).toBe("0 ");
    expect((await host.book.readCell("x", await host.book.tail())).home).toBe("cell");
  });

  it.each<[Mode, Mode]>([
    ["halfmoon-write", "halfmoon-read"],
    ["halfmoon-read", "halfmoon-write"],
    ["boki", "halfmoon-read"],
    ["halfmoon-read", "unsafe"],
    ["halfmoon-read", "boki"],
  ])("PROTOCOL_MISMATCH: what %s has written, %s is told that it cannot see", async (writes, reads) => {
    const host = await ScriptedHost.open();
    await host.define("put", put, { protocol: writes });
    await host.define("get", get, { protocol: reads });
    await host.define("put2", put, { protocol: reads });
    await host.call({ functionName: "put", input: "x" });
    for (const functionName of ["get", "put2"]) {
      expect(await host.told({ functionName, input: "x" })).toMatch(/^trap PROTOCOL_MISMATCH: object "x" lives in /);
    }
    expect(await host.object("x")).toBe("1");
  });

  it("PROTOCOL_MISMATCH: a list that is to be log-free does not leave out what is in cells", async () => {
    const host = await ScriptedHost.open();
    await host.define("put", put, { protocol: "boki" });
    await host.define("list", async (guest) => {
      guest.output(`${await guest.list(guest.input)}`);
      return 0;
    });
    await host.call({ functionName: "put", input: "a/x" });
    expect(await host.told({ functionName: "list", input: "a/" })).toMatch(/^trap PROTOCOL_MISMATCH/);
  });
});
