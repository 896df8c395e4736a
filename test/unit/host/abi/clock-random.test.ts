import { describe, expect, it } from "vitest";
import { drawRandom } from "../../../../host/abi/clock-random.ts";
import { GuestCalls } from "../../../support/guest-calls.ts";
import { MemoryGuest, MemoryHost } from "../../../support/memory-guest.ts";

const fresh = () => new GuestCalls(new MemoryHost(), 1024 * 1024);

describe("clock_now", () => {
  it("F35: starts at the pinned time and grows with every answer", async () => {
    const calls = fresh();
    expect([await calls.call("clock_now"), await calls.call("clock_now")]).toEqual([1_000_000_000n, 1_000_000_001n]);
  });

  it("F35: takes the time of the newest record seen, and still grows", async () => {
    const calls = fresh();
    await calls.call("clock_now");
    calls.guest.call.lastTimeMs = 2_000;
    expect(await calls.call("clock_now")).toBe(2_000_000_001n);
  });
});

describe("random_fill", () => {
  const draws = async (sizes: readonly number[]) => {
    const calls = fresh();
    const drawn: string[] = [];
    for (const size of sizes) {
      await calls.call("random_fill", 0, size);
      drawn.push(calls.bytesAt(0, size).toString("hex"));
    }
    return drawn;
  };

  it("[21] F13: gives every replay the same bytes, draw by draw", async () => {
    const sizes = [1, 8, 0, 100_000, 8];
    expect(await draws(sizes)).toEqual(await draws(sizes));
  });

  it("gives each draw bytes of its own, whatever the sizes of the draws before", async () => {
    const [a, b, c] = await draws([32, 32, 32]);
    expect(new Set([a, b, c]).size).toBe(3);
    expect((await draws([5, 32]))[1]).toBe(b);
  });

  it("fills exactly the room it is given", async () => {
    const calls = fresh();
    await calls.call("random_fill", 1_000, 100_000);
    expect(calls.bytesAt(0, 1_000).every((byte) => byte === 0)).toBe(true);
    expect(calls.bytesAt(101_000, 1_000).every((byte) => byte === 0)).toBe(true);
    const counts = new Array<number>(256).fill(0);
    for (const byte of calls.bytesAt(1_000, 100_000)) {
      counts[byte] = (counts[byte] ?? 0) + 1;
    }
    // 390 are expected of each; six standard deviations either way.
    expect(Math.min(...counts)).toBeGreaterThan(270);
    expect(Math.max(...counts)).toBeLessThan(510);
  });

  it("fills nothing at the end of the memory, and ends a call that asks for more", async () => {
    const calls = fresh();
    await calls.call("random_fill", 1024 * 1024, 0);
    for (const [pointer, length] of [
      [1024 * 1024, 1],
      [0, 1024 * 1024 + 1],
      [1, -1],
    ] as const) {
      await expect(calls.call("random_fill", pointer, length)).rejects.toThrow("is outside the memory of 1048576 bytes");
    }
    expect(calls.bytesAt(0, 1024 * 1024).every((byte) => byte === 0)).toBe(true);
  });

  it("depends on every byte of the seed", () => {
    const seen = new Set<string>();
    for (let at = 0; at < 16; at++) {
      const seed = new Uint8Array(16);
      seed[at] = 1;
      const room = Buffer.alloc(16);
      drawRandom(new MemoryGuest(new MemoryHost(), new Uint8Array(0), seed), room);
      seen.add(room.toString("hex"));
    }
    expect(seen.size).toBe(16);
  });
});
