/** What the four protocols guarantee, and what they append, shown with whole calls. */
import { describe, expect, it, test } from "vitest";
import type { StoragePool } from "../../../../host/offload/index.ts";
import type { Tag } from "../../../../state/ids.ts";
import { MODES, type Mode, RecordKind } from "../../../../state/logbook/index.ts";
import type { StoredRecord } from "../../../../state/logbook/record-codec.ts";
import { NAMES_TAG } from "../../../../state/tags.ts";
import { gate } from "../../../support/gate.ts";
import type { Script } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

const KIND_NAMES = new Map<number, string>(Object.entries(RecordKind).map(([name, kind]) => [kind, name]));

/** What the calls in `work` have put into streams, and how many entries of cells besides. An entry that creates an object is in the stream of names, too. */
async function appended(host: ScriptedHost, work: () => Promise<unknown>): Promise<{ logged: string[]; entries: number }> {
  const before = (await host.records()).length;
  await work();
  const records = (await host.records()).slice(before).filter(({ book }) => book !== "");
  const isOwn = (tag: Tag) => tag !== NAMES_TAG;
  const name = ({ kind }: StoredRecord) => KIND_NAMES.get(kind) ?? "";
  return {
    logged: records.filter(({ tags }) => tags.some(isOwn)).map(name),
    entries: records.filter(({ tags, cell }) => !tags.some(isOwn) && cell !== undefined).length,
  };
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
    const host = await ScriptedHost.openIn(mode);
    await host.define("f", readsFirst);
    expect(await appended(host, () => host.call({ functionName: "f" }))).toEqual({ logged, entries });
  });

  it("Halfmoon-write: writes alone take an anchor per instance, however many they are", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    await host.define("f", writesOnly);
    const { logged, entries } = await appended(host, () => host.call({ functionName: "f" }));
    expect([logged, entries]).toEqual([["init", "anchor", "done"], w]);
  });

  it("Halfmoon-read: reads alone take nothing", async () => {
    const host = await ScriptedHost.openIn("halfmoon-read");
    await host.define("f", async (guest) => Number(await guest.get("x")));
    expect(await appended(host, () => host.call({ functionName: "f" }))).toEqual({ logged: [], entries: 0 });
  });

  it("slices of a large object are one read, also after the object was replaced", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
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
    const host = await ScriptedHost.openIn(mode);
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
    const host = await ScriptedHost.openIn(mode);
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
    const host = await ScriptedHost.openIn("halfmoon-write", { partSlots: 1, storage });
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
      const host = await ScriptedHost.openIn(mode);
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
    const host = await ScriptedHost.openIn(mode);
    await host.define("inc", async (guest) => {
      await guest.update("n", (old) => `${Number(old ?? 0) + 1}`);
      return 0;
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => host.told({ functionName: "inc" })));
    expect([new Set(answers), await host.object("n")]).toEqual([new Set(["0 "]), "20"]);
  });

  it("an update of what somebody else has changed meanwhile is a conflict, in every run of the call", async () => {
    const host = await ScriptedHost.openIn(mode);
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
    const host = await ScriptedHost.openIn(mode);
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
    const host = await ScriptedHost.openIn(mode);
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
    const host = await ScriptedHost.openIn("halfmoon-read");
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
    const host = await ScriptedHost.openIn("halfmoon-read");
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
    const host = await ScriptedHost.openIn("halfmoon-read");
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
    const host = await ScriptedHost.openIn("halfmoon-read");
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

describe("storage parts", () => {
  it.each(MODES.filter((mode) => mode !== "unsafe"))("under %s a part does what it would do at the caller", async (mode) => {
    for (const partSlots of [0, 1]) {
      const host = await ScriptedHost.openIn(mode, { partSlots });
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
    const host = await ScriptedHost.openIn("halfmoon-write", { partSlots: 1 });
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
