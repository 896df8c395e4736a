import { describe, expect, it } from "vitest";
import { type Mode, RecordKind } from "../../../../state/logbook/index.ts";
import type { Isolation } from "../../../../state/txn/index.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import type { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});

/** How a scope is kept: in a mode, or on its way from one to another. */
type Way = Mode | readonly [from: Mode, to: Mode];

const CELLS: readonly Way[] = ["halfmoon-write", "boki", "unsafe"];
const SWITCHES: readonly Way[] = [
  ["halfmoon-read", "halfmoon-write"],
  ["halfmoon-write", "halfmoon-read"],
];
const WAYS: readonly Way[] = [...CELLS, ...SWITCHES];

/** Its objects are in scope "c", which is kept so, and in scope "v", which is under halfmoon-read. */
async function openHost(way: Way, parts: Parameters<typeof ScriptedHost.open>[0] = {}): Promise<ScriptedHost> {
  const host = await ScriptedHost.open(parts);
  await host.choose("v", "halfmoon-read");
  await host.define("put", async (guest) => {
    const [key = "", value = ""] = guest.input.split(" ");
    guest.put(key, value);
    return 0;
  });
  await host.define("remove", async (guest) => {
    guest.delete(guest.input);
    return 0;
  });
  if (typeof way === "string") {
    await host.choose("c", way);
  } else {
    await host.choose("c", way[0]);
    await host.beginSwitch("c", way[1]);
  }
  return host;
}

/** By a call of its own, in the way that the protocol has. */
async function put(host: ScriptedHost, key: string, value: string): Promise<void> {
  expect(await host.told({ functionName: "put", input: `${key} ${value}` })).toBe("0 ");
}

async function remove(host: ScriptedHost, key: string): Promise<void> {
  expect(await host.told({ functionName: "remove", input: key })).toBe("0 ");
}

/** Runs a transaction, in the middle of which the test lets others go first. */
async function during(
  host: ScriptedHost,
  isolation: Isolation,
  parts: { before: (guest: ScriptedGuest) => Promise<unknown>; others: () => Promise<unknown>; after: typeof putSeen },
): Promise<string> {
  const arrived = Promise.withResolvers<unknown>();
  const go = Promise.withResolvers<void>();
  await host.define("f", async (guest) => {
    await guest.transaction(isolation);
    const seen = await parts.before(guest);
    arrived.resolve(null);
    await go.promise;
    guest.output(`${seen} ${await parts.after(guest)} ${await guest.commit()}`);
    return 0;
  });
  const told = host.told({ functionName: "f" });
  await arrived.promise;
  await parts.others();
  go.resolve();
  return told;
}

async function putSeen(guest: ScriptedGuest): Promise<string> {
  guest.put("v/seen", "1");
  return "";
}

describe.each(WAYS)("objects of two modes in one transaction: %s", (...args: unknown[]) => {
  const way = (args.length === 1 ? args[0] : args) as Way;

  it("all writes are there at one moment, in the places in which the protocols look for them", async () => {
    const host = await openHost(way);
    await put(host, "c/gone", "1");
    await host.define("f", async (guest) => {
      await guest.transaction();
      guest.put("c/x", "1");
      guest.put("v/x", "2");
      guest.delete("c/gone");
      const inside = `${await guest.get("c/x")} ${await guest.get("c/gone")} ${(await guest.list("")).join()}`;
      guest.output(`${inside} ${await guest.commit()} ${await guest.get("c/x")} ${await guest.get("v/x")}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 1 null c/x,v/x committed 1 2");
    expect([await host.object("c/x"), await host.object("v/x"), await host.object("c/gone")]).toEqual(["1", "2", null]);
    await put(host, "c/x", "3");
    expect(await host.object("c/x")).toBe("3");
    if (typeof way !== "string") {
      expect(await host.switched("c")).toBe(true);
      expect([await host.object("c/x"), await host.object("c/gone")]).toEqual(["3", null]);
    }
  });

  it("F37: every read and list is of the moment of its beginning, whatever others write, delete and create meanwhile", async () => {
    const host = await openHost(way);
    const large = "x".repeat(10_000);
    for (const key of ["c/x", "c/large", "c/gone"]) {
      await put(host, key, key === "c/large" ? large : "1");
    }
    const told = await during(host, "snapshot", {
      before: (guest) => guest.get("v/none"),
      others: async () => {
        await put(host, "c/x", "2");
        await put(host, "c/x", "3");
        await put(host, "c/large", "small");
        await remove(host, "c/gone");
        await put(host, "c/new", "1");
        await host.test.shard.collect();
      },
      after: async (guest) => {
        const seen = [await guest.get("c/x"), await guest.get("c/gone"), await guest.get("c/new")];
        seen.push(`${(await guest.get("c/large")) === large}`, (await guest.list("c/")).join(), await guest.get("c/x"));
        return seen.join(" ");
      },
    });
    expect(told).toBe("0 null 1 1  true c/gone,c/large,c/x 1 committed");
    expect(await host.object("c/x")).toBe("3");
  });

  it.each(["serializable", "snapshot"] as const)("F14, [57] %s: a lost update is refused", async (isolation) => {
    const host = await openHost(way);
    await put(host, "c/sum", "1");
    const told = await during(host, isolation, {
      before: (guest) => guest.get("c/sum"),
      others: () => put(host, "c/sum", "10"),
      after: async (guest) => {
        guest.put("c/sum", "2");
        return "";
      },
    });
    expect(told).toBe("0 1  object c/sum");
    expect(await host.object("c/sum")).toBe("10");
  });

  it("[57] serializable: write skew between objects of two modes is refused, and an object that was not there must not come", async () => {
    const host = await openHost(way);
    await put(host, "c/x", "1");
    for (const key of ["c/x", "c/new"]) {
      const told = await during(host, "serializable", {
        before: (guest) => guest.get(key),
        others: () => put(host, key, "2"),
        after: putSeen,
      });
      expect(told).toBe(`0 ${key === "c/x" ? 1 : null}  object ${key}`);
    }
    expect(await host.object("v/seen")).toBeNull();
  });

  it.each(["create", "delete", "write"])("F14, serializable: of a list that was read, another call's %s", async (change) => {
    const host = await openHost(way);
    await put(host, "c/old", "1");
    const told = await during(host, "serializable", {
      before: async (guest) => (await guest.list("c/")).join(),
      others: () => (change === "delete" ? remove(host, "c/old") : put(host, change === "create" ? "c/new" : "c/old", "2")),
      after: putSeen,
    });
    // A value that is written changes no name.
    expect(told).toBe(`0 c/old  ${change === "write" ? "committed" : "list"}`);
  });

  it("F13, F14: a deleted object is as one that never was, also when the delete is collected meanwhile", async () => {
    const host = await openHost(way, { test: await openTestShard({ options: { garbageMin: 1 } }) });
    await put(host, "c/x", "1");
    await remove(host, "c/x");
    const told = await during(host, "serializable", {
      before: async (guest) => {
        const { text, version } = await guest.read("c/x");
        return `${text} ${version}`;
      },
      others: () => host.test.shard.collect(),
      after: async (guest) => {
        guest.put("c/x", "2");
        return "";
      },
    });
    expect(told).toBe("0 null 0  committed");
    expect(await host.object("c/x")).toBe("2");
  });

  it("an update reads once, and its version is that of the moment", async () => {
    const host = await openHost(way);
    await put(host, "c/n", "4");
    await host.define("f", async (guest) => {
      await guest.transaction();
      const { version } = await guest.read("c/n");
      guest.output(`${await guest.compareAndSet("c/n", version, "5")} ${await guest.compareAndSet("c/n", version, "6")} `);
      guest.output(`${await guest.update("c/n", (old) => `${Number(old) + 1}`)} ${await guest.commit()}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 true false 6 committed");
    expect(await host.object("c/n")).toBe("6");
    const reads = (await host.records()).filter(({ kind }) => kind === RecordKind.read);
    expect(reads).toHaveLength(1);
  });

  it("F37: functions called inside read the same moment, and their writes count with the commit", async () => {
    const host = await openHost(way);
    await put(host, "c/sum", "1");
    await host.define("add", async (guest) => {
      const sum = Number((await guest.get("c/sum")) ?? 0) + Number(guest.input);
      guest.put("c/sum", `${sum}`);
      guest.output(`${sum} ${await guest.get("c/other")}`);
      return 0;
    });
    const told = await during(host, "readAtomic", {
      before: async () => "",
      others: async () => {
        await put(host, "c/sum", "100");
        await put(host, "c/other", "100");
      },
      after: async (guest) => `${(await guest.call("add", "10")).text}, ${(await guest.call("add", "20")).text}`,
    });
    expect(told).toBe("0  11 null, 31 null committed");
    expect([await host.object("c/sum"), await host.object("c/other")]).toEqual(["31", "100"]);
  });

  it.each(["committed", "object c/x"])("F10, [56]: a replay sees what the first run saw: %s", async (outcome) => {
    const host = await openHost(way);
    await put(host, "c/x", "1");
    let runs = 0;
    const seen: string[] = [];
    await host.define("f", async (guest) => {
      runs += 1;
      const isFirst = runs === 1;
      await guest.transaction();
      const before = `${await guest.get("c/x")} ${(await guest.list("c/")).join()}`;
      if (isFirst && outcome !== "committed") {
        await put(host, "c/x", "2");
      }
      guest.put("c/x", "3");
      seen.push(`${before} ${await guest.commit()}`);
      return isFirst ? FOREVER : 0;
    });
    const told = host.told({ functionName: "f" });
    await settled();
    await put(host, "c/x", "4");
    await put(host, "c/new", "4");
    await host.test.shard.collect();
    for (const guest of host.pool.running) {
      guest.displace();
    }
    expect(await told).toBe("0 ");
    expect(seen).toEqual([`1 c/x ${outcome}`, `1 c/x ${outcome}`]);
    expect(await host.object("c/x")).toBe("4");
  });
});

describe("what cells held before is kept for transactions only", () => {
  it("[54] F37: one value of a cell for each that is open, however often it is written, and none when they are over", async () => {
    const host = await openHost("halfmoon-write", { test: await openTestShard({ options: { garbageMin: 1 } }) });
    const liveWrites = () => host.test.shard.live(RecordKind.write).records;
    await put(host, "c/x", "0");
    await host.define("again", async (guest) => {
      for (let i = 0; i < 50; i += 1) {
        guest.put("c/x", `${i}`);
        guest.fence();
      }
      return 0;
    });
    const before = liveWrites();
    const told = await during(host, "serializable", {
      before: async () => "",
      others: async () => {
        await host.call({ functionName: "again" });
        await host.call({ functionName: "again" });
        expect(liveWrites()).toBe(before + 1);
        await host.test.shard.collect();
        expect(liveWrites()).toBe(before + 1);
      },
      after: async (guest) => `${await guest.get("c/x")}`,
    });
    expect(told).toBe("0  0 committed");
    await host.test.shard.collect();
    expect(liveWrites()).toBe(before);
  });

  it("F37: is there after a crash of the owner", async () => {
    const host = await openHost("halfmoon-write");
    await put(host, "c/x", "1");
    const { shard } = host.test;
    const book = host.book;
    await host.define("f", async (guest) => {
      await guest.transaction();
      await guest.get("v/x");
      return FOREVER;
    });
    void host.told({ functionName: "f" }).catch(() => {});
    await settled();
    const [open] = await shard.unfinished(book.id);
    const steps = open === undefined ? [] : await host.steps(open.instance);
    const begin = steps.find(({ kind }) => kind === RecordKind.begin)?.seqnum;
    await put(host, "c/x", "2");
    await shard.checkpoint();
    await shard.whenDurable(await book.tail());
    const after = (await host.test.crash()).shard.book(book.id);
    const read = await after.readCell("c/x", await after.tail(), begin);
    expect(read.record?.seqnum).toBeLessThan(begin ?? 0);
    expect((await after.readCell("c/x", await after.tail())).record?.seqnum).toBeGreaterThan(begin ?? 0);
  });
});

it("a read behind a transaction that wrote nothing does not go on from one inside", async () => {
  const host = await openHost("halfmoon-write");
  await put(host, "c/x", "old");
  await host.define("f", async (guest) => {
    await guest.transaction();
    const inside = await guest.slice("c/x", 0, 1);
    await put(host, "c/x", "new");
    const end = await guest.commit();
    guest.output(`${inside} ${end} ${await guest.slice("c/x", 1, 2)}`);
    return 0;
  });
  expect(await host.told({ functionName: "f" })).toBe("0 o committed ew");
});
