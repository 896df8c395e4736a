import { describe, expect, it } from "vitest";
import { logBookId } from "../../../../state/ids.ts";
import { HANDLES_MAX, type MemoryRegion, PAGE_BYTES, type RegionSession } from "../../../../state/regions/index.ts";
import { MIB, memoryOf, openRegions } from "../../../support/region-memory.ts";

const a = logBookId("a");
const b = logBookId("b");

async function opened(session: RegionSession, name: string, sizeBytes: number, maxBytes = 0): Promise<MemoryRegion> {
  const outcome = await session.open(name, sizeBytes, maxBytes);
  if (outcome.kind !== "opened") {
    throw new Error(`${name}: ${outcome.kind}`);
  }
  return outcome.region;
}

const end = (...sessions: RegionSession[]) => {
  for (const session of sessions) {
    session.guestGone();
    session.close();
  }
};

/** What guests find at a handle. */
function entryOf(session: RegionSession, handle: number): { base: number; sizeBytes: number } {
  const [base = 0, sizeBytes = 0] = new Uint32Array(memoryOf(session).buffer, handle * 8, 2);
  return { base, sizeBytes };
}

describe("regions of a tenant", () => {
  it("are one and the same for all sessions that open a name, and begin with zeros", async () => {
    const { regions } = openRegions();
    const [one, two] = [regions.session(a), regions.session(a)];
    const left = await opened(one, "x", 100);
    const right = await opened(two, "x", 40);
    expect(right).toBe(left);
    expect(left.sizeBytes).toBe(100);
    expect(await one.read(left, 0, 100)).toEqual(new Uint8Array(100));
    expect(await one.write(left, 99, Uint8Array.of(7))).toBe(true);
    expect(await two.read(right, 99, 1)).toEqual(Uint8Array.of(7));
    expect([await one.read(left, 99, 2), await one.write(left, 99, new Uint8Array(2))]).toEqual([null, false]);
  });

  it("do not overlap, never cover the handle table, and are found by their entries in it", async () => {
    const { regions } = openRegions();
    const session = regions.session(a);
    const spans: [number, number][] = [];
    for (const [at, sizeBytes] of [1, PAGE_BYTES, PAGE_BYTES + 1, 3].entries()) {
      const region = await opened(session, `r${at}`, sizeBytes);
      const entry = entryOf(session, region.handle);
      expect(entry.sizeBytes).toBe(sizeBytes);
      spans.push([entry.base, entry.base + entry.sizeBytes]);
    }
    spans.sort(([left], [right]) => left - right);
    let free = HANDLES_MAX * 8;
    for (const [from, to] of spans) {
      expect(from).toBeGreaterThanOrEqual(free);
      free = to;
    }
    expect(entryOf(session, 0)).toEqual({ base: 0, sizeBytes: 0 });
  });

  it("lie in a memory of the tenant's own", async () => {
    const { regions } = openRegions();
    const [mine, yours] = [regions.session(a), regions.session(b)];
    const region = await opened(mine, "x", 8);
    await opened(yours, "x", 8);
    await mine.write(region, 0, new Uint8Array(8).fill(255));
    expect(mine.memory).not.toBe(yours.memory);
    expect(new Uint8Array(memoryOf(yours).buffer).includes(255)).toBe(false);
  });

  it("grow at their place up to what they were made for, and everybody finds the new size at once", async () => {
    const { regions } = openRegions();
    const [one, two] = [regions.session(a), regions.session(a)];
    const region = await opened(one, "x", 10, 3 * PAGE_BYTES);
    const other = await opened(one, "y", 10);
    const before = entryOf(two, region.handle);
    expect(await two.grow(await opened(two, "x", 0), 2 * PAGE_BYTES)).toBe(true);
    expect(entryOf(one, region.handle)).toEqual({ base: before.base, sizeBytes: 2 * PAGE_BYTES });
    expect(await one.grow(region, 3 * PAGE_BYTES + 1)).toBe(false);
    expect(await one.grow(region, 1)).toBe(true);
    expect(region.sizeBytes).toBe(2 * PAGE_BYTES);
    expect((await one.open("x", 4 * PAGE_BYTES, 0)).kind).toBe("tooLarge");
    expect(entryOf(one, other.handle).sizeBytes).toBe(10);
  });

  it("are bounded for each tenant, with what they may grow by", async () => {
    const { regions } = openRegions({ tenantMaxBytes: 4 * PAGE_BYTES });
    const session = regions.session(a);
    await opened(session, "x", 1, 3 * PAGE_BYTES);
    expect((await session.open("y", PAGE_BYTES + 1, 0)).kind).toBe("tooLarge");
    await opened(session, "y", PAGE_BYTES);
    expect((await session.open("z", 1, 0)).kind).toBe("tooLarge");
  });

  it("are bounded in number by the handle table", async () => {
    const { regions } = openRegions({ tenantMaxBytes: 2048 * PAGE_BYTES, totalMaxBytes: 4096 * PAGE_BYTES });
    const session = regions.session(a);
    for (let count = 1; count < HANDLES_MAX; count++) {
      await opened(session, `r${count}`, 1);
    }
    expect((await session.open("one more", 1, 0)).kind).toBe("tooLarge");
  });

  it("of size 0 are only opened, not made", async () => {
    const { regions } = openRegions();
    const session = regions.session(a);
    expect((await session.open("x", 0, 0)).kind).toBe("absent");
    await opened(session, "x", 5);
    expect((await opened(session, "x", 0)).sizeBytes).toBe(5);
  });
});

describe("the end of regions", () => {
  it("stay while somebody uses them, and for the idle time after it", async () => {
    const { regions, time } = openRegions({ idleMs: 1000 });
    const [one, two] = [regions.session(a), regions.session(a)];
    const region = await opened(one, "x", 8);
    await opened(two, "x", 8);
    end(one);
    time.advance(5000);
    expect(await two.write(region, 0, Uint8Array.of(9))).toBe(true);
    end(two);
    time.advance(900);
    const three = regions.session(a);
    expect(await three.read(await opened(three, "x", 0), 0, 1)).toEqual(Uint8Array.of(9));
    end(three);
    time.advance(2100);
    const four = regions.session(a);
    expect((await four.open("x", 0, 0)).kind).toBe("absent");
    end(four);
  });

  it("give the memory up when none is left, and say so", async () => {
    const { regions, time, dropped } = openRegions({ idleMs: 1000 });
    const session = regions.session(a);
    await opened(session, "x", 8);
    const { memory } = session;
    time.advance(10_000);
    expect(dropped).toEqual([]);
    end(session);
    time.advance(2000);
    expect(dropped).toEqual([memory]);
    expect(regions.load).toEqual({ tenants: 0, sizeBytes: 0 });
  });

  it("stay until the guest is gone and the run is over", async () => {
    for (const [first, second] of [
      ["guestGone", "close"],
      ["close", "guestGone"],
    ] as const) {
      const { regions, time } = openRegions({ idleMs: 10 });
      const session = regions.session(a);
      await opened(session, "x", 8);
      session[first]();
      time.advance(100);
      expect(regions.load.tenants).toBe(1);
      session[second]();
      time.advance(100);
      expect(regions.load.tenants).toBe(0);
    }
  });

  it("are zeros where they lie in another's place", async () => {
    const { regions } = openRegions({ tenantMaxBytes: 2 * PAGE_BYTES });
    const [one, two] = [regions.session(a), regions.session(a)];
    const region = await opened(one, "x", 2 * PAGE_BYTES);
    await one.write(region, 0, new Uint8Array(2 * PAGE_BYTES).fill(255));
    const { handle } = region;
    end(one);
    // idle, and in the way
    const next = await opened(two, "y", PAGE_BYTES, 2 * PAGE_BYTES);
    expect(entryOf(two, handle).base).toBe(PAGE_BYTES);
    await two.grow(next, 2 * PAGE_BYTES);
    expect((await two.read(next, 0, 2 * PAGE_BYTES))?.every((byte) => byte === 0)).toBe(true);
  });

  it("have an entry of size 0 then", async () => {
    const { regions } = openRegions({ tenantMaxBytes: 2 * PAGE_BYTES });
    const [one, two] = [regions.session(a), regions.session(a)];
    const x = await opened(one, "x", PAGE_BYTES);
    const y = await opened(one, "y", PAGE_BYTES);
    end(one);
    await opened(two, "z", 2 * PAGE_BYTES);
    expect([x.handle, y.handle].map((handle) => entryOf(two, handle).sizeBytes).sort()).toEqual([0, 2 * PAGE_BYTES]);
  });
});

describe("a memory that is gone with its process", () => {
  it("is replaced by an empty one for attempts that begin then, and who had it open learns that", async () => {
    const { regions, dropped, lose } = openRegions();
    const one = regions.session(a);
    await one.write(await opened(one, "x", 8), 0, Uint8Array.of(5));
    lose(one.memory);
    expect(one.isCurrent).toBe(false);
    const two = regions.session(a);
    expect([two.isCurrent, (await two.open("x", 0, 0)).kind]).toEqual([true, "absent"]);
    expect(regions.load.tenants).toBe(1);
    expect(dropped).toEqual([]);
    const { memory } = one;
    end(one);
    expect(dropped).toEqual([memory]);
    end(two);
  });
});

describe("all tenants together", () => {
  it("have at most the total: memories that nobody uses go, others are left alone", async () => {
    const { regions, dropped } = openRegions({ totalMaxBytes: 5 * PAGE_BYTES });
    const [one, two] = [regions.session(a), regions.session(b)];
    await opened(one, "x", 2 * PAGE_BYTES);
    await expect(two.open("x", 2 * PAGE_BYTES, 0)).rejects.toMatchObject({ code: "REGIONS_FULL" });
    const { memory } = one;
    end(one);
    await opened(two, "x", 2 * PAGE_BYTES);
    expect(dropped).toEqual([memory]);
    expect(regions.load).toEqual({ tenants: 1, sizeBytes: 3 * PAGE_BYTES });
  });

  it("fail alike when the system has no memory", async () => {
    const { regions } = openRegions();
    const session = regions.session(a);
    session.memory.grow = async () => {
      throw new RangeError("Maximum memory size exceeded");
    };
    await expect(session.open("x", MIB, 0)).rejects.toMatchObject({ code: "REGIONS_FULL" });
    end(session);
  });
});

describe("waiting at an address", () => {
  it("H23: ends with a notification at that address, in the order of arrival", async () => {
    const { regions } = openRegions();
    const sessions = [regions.session(a), regions.session(a), regions.session(a)];
    const woken: number[] = [];
    for (const [at, session] of sessions.entries()) {
      const region = await opened(session, "x", 64);
      const waiter = await session.wait(region, at === 2 ? 8 : 4, 0);
      void waiter?.notified.then(() => woken.push(at));
    }
    const [one] = sessions as [RegionSession];
    const region = await opened(one, "x", 64);
    expect(one.notify(region, 4, 1)).toBe(1);
    expect(one.notify(region, 4, 10)).toBe(1);
    expect(one.notify(region, 4, 10)).toBe(0);
    await Promise.resolve();
    expect(woken).toEqual([0, 1]);
  });

  it("does not begin when the value is another one, and is over for who leaves", async () => {
    const { regions } = openRegions();
    const session = regions.session(a);
    const region = await opened(session, "x", 64);
    expect(await session.wait(region, 0, 1)).toBeNull();
    (await session.wait(region, 0, 0))?.leave();
    expect(session.notify(region, 0, 1)).toBe(0);
  });

  it("H23: misses no notification that comes while the value is looked at", async () => {
    const { regions } = openRegions();
    const [one, two] = [regions.session(a), regions.session(a)];
    const region = await opened(one, "x", 64);
    await opened(two, "x", 64);
    const looked = Promise.withResolvers<number>();
    one.memory.load = () => looked.promise;
    const waiting = one.wait(region, 0, 0);
    expect(two.notify(region, 0, 1)).toBe(1);
    // It has changed, and who has changed it counts on having woken somebody.
    looked.resolve(1);
    const waiter = await waiting;
    expect(waiter).not.toBeNull();
    await waiter?.notified;
  });

  it("is apart for equal offsets of other regions", async () => {
    const { regions } = openRegions();
    const session = regions.session(a);
    const [x, y] = [await opened(session, "x", 8), await opened(session, "y", 8)];
    await session.wait(x, 0, 0);
    expect(session.notify(y, 0, 1)).toBe(0);
    expect(session.notify(x, 0, 1)).toBe(1);
  });
});

describe("locks of regions", () => {
  it("H10: end when the guest that holds them is gone, and the next one learns that a writer did not give it back", async () => {
    const { regions } = openRegions();
    const [one, two, three] = [regions.session(a), regions.session(a), regions.session(a)];
    const region = await opened(one, "x", 8);
    await opened(two, "x", 8);
    await opened(three, "x", 8);
    expect(await one.lock(region, "write")).toBe("taken");
    const next = two.lock(region, "read");
    const last = three.lock(region, "write");
    one.close();
    expect(two.unlock(region)).toBe(false);
    one.guestGone();
    expect(await next).toBe("abandoned");
    expect(two.unlock(region)).toBe(true);
    expect(await last).toBe("abandoned");
    expect(three.unlock(region)).toBe(true);
    expect(await two.lock(region, "read")).toBe("taken");
  });

  it("are not kept waiting by who has gone", async () => {
    const { regions } = openRegions();
    const [one, two, three] = [regions.session(a), regions.session(a), regions.session(a)];
    const region = await opened(one, "x", 8);
    await one.lock(region, "write");
    void two.lock(region, "write");
    const last = three.lock(region, "write");
    two.guestGone();
    one.unlock(region);
    expect(await last).toBe("taken");
  });

  it("are not taken twice by one attempt", async () => {
    const { regions } = openRegions();
    const session = regions.session(a);
    const region = await opened(session, "x", 8);
    expect(await session.lock(region, "read")).toBe("taken");
    expect(session.lock(region, "read")).toBeNull();
    expect(session.lock(region, "write")).toBeNull();
  });
});
