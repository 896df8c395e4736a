import { describe, expect, it } from "vitest";
import { type LockMode, RegionLock } from "../../../../state/regions/region-lock.ts";

/** Asks for the lock in this order and says who has it. */
function queue(lock: RegionLock, modes: readonly LockMode[]) {
  const holders = modes.map((mode) => ({ mode, has: false }));
  const places = holders.map((holder) => {
    const place = lock.take(holder, holder.mode);
    void place.taken.then(() => {
      holder.has = true;
    });
    return place;
  });
  const having = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return holders.flatMap(({ has }, at) => (has ? [at] : []));
  };
  const release = (at: number) => {
    const holder = holders[at];
    if (holder !== undefined && lock.release(holder, true)) {
      holder.has = false;
    }
  };
  return { places, having, release };
}

describe("the lock of a region", () => {
  it("has many readers or one writer", async () => {
    const { having, release } = queue(new RegionLock(), ["read", "read", "write", "write"]);
    expect(await having()).toEqual([0, 1]);
    release(0);
    expect(await having()).toEqual([1]);
    release(1);
    expect(await having()).toEqual([2]);
    release(2);
    expect(await having()).toEqual([3]);
  });

  it("serves who comes first: a reader does not pass a writer that waits", async () => {
    const { having, release } = queue(new RegionLock(), ["read", "write", "read"]);
    expect(await having()).toEqual([0]);
    release(0);
    expect(await having()).toEqual([1]);
    release(1);
    expect(await having()).toEqual([2]);
  });

  it("goes on to who waits behind one that leaves", async () => {
    const { places, having } = queue(new RegionLock(), ["read", "write", "read"]);
    places[1]?.leave();
    expect(await having()).toEqual([0, 2]);
  });

  it("is not released by who does not hold it", () => {
    const lock = new RegionLock();
    lock.take({}, "write");
    expect(lock.release({}, true)).toBe(false);
  });
});
