/** Memory regions, as far as the host's main thread does the work. The accesses are in ../modules/rewriting/regions.test.ts. */
import { beforeEach, describe, expect, it } from "vitest";
import { importFunctions } from "../../../../host/abi/create-imports.ts";
import { GuestError, Operation } from "../../../../host/abi/operations.ts";
import { OBJECT_KEY_MAX_BYTES } from "../../../../state/ids.ts";
import { type GuestCalls, withinCall } from "../../../support/guest-calls.ts";
import { MemoryGuest, MemoryHost } from "../../../support/memory-guest.ts";
import { ScriptedHost } from "../../../support/scripted-host.ts";
import { ScriptedRegion } from "../../../support/scripted-region.ts";

const BUFFER = 16_384;
const MIB = 1024 * 1024;
const { invalid, notFound, notHeld, tooLarge } = GuestError;
/** Of no region. */
const NO_HANDLES = [0, 1023, 1024, 2 ** 29, 2 ** 31 - 1, -(2 ** 31), -1];
/** Offset and length of what is not all inside a region of 64 bytes. */
const NOT_INSIDE = [
  [64, 1],
  [1, 64],
  [0, 65],
  [-1, 1],
  [1, -1],
  [-1, -1],
] as const;
/** Where in an object nothing can be. */
const NO_PLACES = [-1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)];

let host: ScriptedHost;
beforeEach(async () => {
  host = await ScriptedHost.open();
});

interface Opened {
  readonly calls: GuestCalls;
  readonly handle: number;
  /** The region's bytes. */
  readonly region: ScriptedRegion;
  readonly call: GuestCalls["call"];
}

/** Within one call, with a region of 64 bytes that may have 256. */
function withRegion(use: (opened: Opened) => Promise<void>, memoryBytes = 65_536): Promise<void> {
  return withinCall(
    host,
    async (calls, guest) => {
      const handle = Number(await calls.call("region.open", "r", 64, 256));
      await use({ calls, handle, region: ScriptedRegion.at(guest, handle), call: (...args) => calls.call(...args) });
    },
    memoryBytes,
  );
}

describe("region.open and region.grow", () => {
  it("give one handle, above 0, for one name, and zeros", async () => {
    await withRegion(async ({ call, handle, region }) => {
      expect(handle).toBeGreaterThan(0);
      expect([...region.bytes]).toEqual(Array(64).fill(0));
      expect(await call("region.open", "r", 64, 256)).toBe(handle);
      expect(await call("region.open", "r", 0, 0)).toBe(handle);
      expect(await call("region.open", "r".repeat(OBJECT_KEY_MAX_BYTES), 1, 0)).not.toBe(handle);
    });
  });

  it("lengthen a region up to what it may have, never shorten it, and keep its bytes", async () => {
    await withRegion(async ({ call, handle, region }) => {
      region.set(60, 7);
      expect(await call("region.grow", handle, 100)).toBe(0);
      expect(await call("region.open", "r", 256, 256)).toBe(handle);
      expect(region.bytes.byteLength).toBe(256);
      expect(await call("region.grow", handle, 0)).toBe(0);
      expect([region.bytes.byteLength, region.get(60), region.get(252)]).toEqual([256, 7, 0]);
    });
  });

  it("refuse what a region cannot be called, one that is only to be opened and is not there, and too much", async () => {
    await withRegion(async ({ calls, call, handle }) => {
      for (const name of ["", "a\0b", "r".repeat(OBJECT_KEY_MAX_BYTES + 1)]) {
        expect(await call("region.open", name, 64, 0)).toBe(invalid);
      }
      calls.memory.set([0x61, 0xff], BUFFER);
      expect(await call("region.open", BUFFER, 2, 64, 0)).toBe(invalid);
      expect(await call("region.open", "none", 0, 0)).toBe(notFound);
      for (const size of [9 * MIB, 2 ** 31 - 1, -(2 ** 31), -1]) {
        expect(await call("region.open", "huge", size, 0)).toBe(tooLarge);
        expect(await call("region.grow", handle, size)).toBe(tooLarge);
      }
      for (const none of NO_HANDLES) {
        expect(await call("region.grow", none, 100)).toBe(invalid);
      }
    });
  });
});

describe("region.lock and region.unlock", () => {
  it("let many readers or one writer have the region, and tell the next one of a writer that ended with it", async () => {
    await host.define(
      "leaves",
      async (guest) => {
        await (await ScriptedRegion.open(guest, "r")).lock(guest.input === "read" ? "read" : "write");
        return 0;
      },
      { regions: "used" },
    );
    await withRegion(async ({ call, handle }) => {
      expect(await call("region.lock", handle, 0)).toBe(0);
      expect(await host.told({ functionName: "leaves", input: "read" })).toBe("0 ");
      expect(await call("region.unlock", handle)).toBe(0);
      await host.told({ functionName: "leaves", input: "write" });
      expect(await call("region.lock", handle, 1)).toBe(1);
      expect(await call("region.unlock", handle)).toBe(0);
    });
  });

  it("refuse a lock that this call holds, one that it does not, other modes and no regions", async () => {
    await withRegion(async ({ call, handle }) => {
      expect(await call("region.unlock", handle)).toBe(notHeld);
      await call("region.lock", handle, 0);
      expect(await call("region.lock", handle, 1)).toBe(invalid);
      await call("region.unlock", handle);
      for (const mode of [2, -1, 2 ** 31 - 1]) {
        expect(await call("region.lock", handle, mode)).toBe(invalid);
      }
      for (const none of NO_HANDLES) {
        expect([await call("region.lock", none, 0), await call("region.unlock", none)]).toEqual([invalid, invalid]);
      }
    });
  });
});

describe("region.wait and region.notify", () => {
  it("wake who waits at an offset; who expects another number, or long enough, is told so", async () => {
    await withRegion(async ({ call, handle, region }) => {
      expect(await call("region.wait", handle, 60, 1, -1n)).toBe(1);
      expect(await call("region.wait", handle, 60, 0, 0n)).toBe(2);
      expect(await call("region.notify", handle, 60, -1)).toBe(0);
      await host.define(
        "waits",
        async (guest) => {
          const mine = await ScriptedRegion.open(guest, "r");
          mine.set(0, 1);
          guest.output(`${await mine.wait(4, 0)}`);
          return 0;
        },
        { regions: "used" },
      );
      const waiting = host.told({ functionName: "waits" });
      await expect.poll(() => region.get(0)).toBe(1);
      await expect.poll(() => call("region.notify", handle, 4, 1)).toBe(1);
      expect(await waiting).toBe("0 0");
    });
  });

  it("refuse what is no i32 of the region", async () => {
    await withRegion(async ({ call, handle }) => {
      for (const offset of [1, 2, 61, 64, -4, 2 ** 31 - 4, -(2 ** 31)]) {
        expect(await call("region.wait", handle, offset, 0, 0n)).toBe(invalid);
        expect(await call("region.notify", handle, offset, 1)).toBe(invalid);
      }
      for (const none of NO_HANDLES) {
        expect(await call("region.wait", none, 0, 0, 0n)).toBe(invalid);
        expect(await call("region.notify", none, 0, 1)).toBe(invalid);
      }
    });
  });

  it.each([2n ** 63n - 1n, -(2n ** 63n)])("take %i ms for as long as the call may last", async (timeoutMs) => {
    await withRegion(async ({ call, handle }) => {
      const waiting = call("region.wait", handle, 0, 0, timeoutMs);
      await host.define(
        "wakes",
        async (guest) => {
          guest.output(`${await (await ScriptedRegion.open(guest, "r")).notify(0)}`);
          return 0;
        },
        { regions: "used" },
      );
      await expect.poll(() => host.told({ functionName: "wakes" })).toBe("0 1");
      expect(await waiting).toBe(0);
    });
  });
});

describe("region.push, region.push_partial, region.append and region.pull", () => {
  it("carry bytes of the region into an object and back", async () => {
    await withRegion(async ({ call, handle, region }) => {
      region.bytes.set(Buffer.from("hello world"));
      expect(await call("region.push", handle, 0, 11, "o")).toBe(0);
      expect(await host.object("o")).toBe("hello world");
      expect(await call("region.append", handle, 4, 1, "o")).toBe(0);
      expect(await call("region.push_partial", handle, 0, 1, "o", 6n)).toBe(0);
      expect(await host.object("o")).toBe("hello horldo");
      expect(await call("region.push_partial", handle, 0, 1, "o", 14n)).toBe(0);
      expect(await host.object("o")).toBe("hello horldo\0\0h");
      expect(await call("region.pull", handle, 61, 3, "o", 6n)).toBe(15n);
      expect(region.text(58, 6)).toBe("\0\0\0hor");
    });
  });

  it("take nothing from an empty range, and copy nothing from the end of an object on", async () => {
    await host.put("o", "object");
    await withRegion(async ({ call, handle, region }) => {
      expect(await call("region.append", handle, 64, 0, "o")).toBe(0);
      for (const at of [6n, 7n, 2n ** 53n - 1n]) {
        expect(await call("region.pull", handle, 0, 64, "o", at)).toBe(6n);
      }
      expect([...region.bytes]).toEqual(Array(64).fill(0));
      expect(await call("region.push", handle, 64, 0, "o")).toBe(0);
      expect(await host.object("o")).toBe("");
      expect(await call("region.pull", handle, 0, 64, "none", 0n)).toBe(BigInt(notFound));
    });
  });

  it("refuse what is not inside of the region, no regions, no keys, and places that no object has", async () => {
    await host.put("o", "object");
    await withRegion(async ({ call, handle, region }) => {
      const refused = async (where: number, offset: number, length: number, key: string, at = 0n) => {
        const codes = [
          await call("region.push_partial", where, offset, length, key, at),
          Number(await call("region.pull", where, offset, length, key, at)),
        ];
        if (at === 0n) {
          codes.push(
            await call("region.push", where, offset, length, key),
            await call("region.append", where, offset, length, key),
          );
        }
        expect(codes, `${where} ${offset} ${length} ${at}`).toEqual(codes.map(() => invalid));
      };
      for (const none of NO_HANDLES) {
        await refused(none, 0, 1, "o");
      }
      for (const [offset, length] of NOT_INSIDE) {
        await refused(handle, offset, length, "o");
      }
      for (const key of ["", "a\nb", "k".repeat(OBJECT_KEY_MAX_BYTES + 1)]) {
        await refused(handle, 0, 1, key);
      }
      for (const at of NO_PLACES) {
        await refused(handle, 0, 1, "o", at);
      }
      expect(await call("region.push_partial", handle, 0, 1, "o", 2n ** 53n - 1n)).toBe(tooLarge);
      expect([...region.bytes]).toEqual(Array(64).fill(0));
    });
    expect(await host.object("o")).toBe("object");
  });
});

describe("region.snapshot", () => {
  it("copies bytes of the region into the memory, and no others", async () => {
    await withRegion(async ({ calls, call, handle, region }) => {
      region.bytes.set(Buffer.from("hello world"));
      expect(await call("region.snapshot", handle, 6, 5, BUFFER)).toBe(0);
      expect(calls.bytesAt(BUFFER, 6).toString()).toBe("world\0");
      region.bytes.fill(1);
      expect(await call("region.snapshot", handle, 64, 0, 65_536)).toBe(0);
      expect(await call("region.snapshot", handle, 0, 64, 65_536 - 64)).toBe(0);
      expect(calls.memory[65_535]).toBe(1);
    });
  });

  it("refuses what is not inside of the region, no regions, and more than 1 MiB", async () => {
    await withRegion(async ({ calls, call, handle }) => {
      for (const none of NO_HANDLES) {
        expect(await call("region.snapshot", none, 0, 1, BUFFER)).toBe(invalid);
      }
      for (const [offset, length] of NOT_INSIDE.filter(([, size]) => size > 0)) {
        expect(await call("region.snapshot", handle, offset, length, BUFFER)).toBe(invalid);
      }
      const large = await call("region.open", "large", 2 * MIB, 0);
      expect(await call("region.snapshot", Number(large), 0, MIB + 1, 0)).toBe(tooLarge);
      expect(calls.memory.every((byte, at) => byte === 0 || at < 4096)).toBe(true);
      expect(await call("region.snapshot", Number(large), MIB, MIB, 0)).toBe(0);
    }, 2 * MIB);
  });
});

it("F23: a guest that reaches regions waits until what it writes is ordered; others go on at once (H5)", async () => {
  for (const reachesRegions of [true, false]) {
    const host = new MemoryHost();
    const guest = new MemoryGuest(host, new Uint8Array(0));
    guest.reachesRegions = reachesRegions;
    guest.attachBytes(Buffer.concat([Buffer.from("key"), Buffer.from("value")]));
    const write = importFunctions(guest)["neap.object_write"] as (...args: number[]) => number | Promise<number>;
    const going = write(0, 3, 3, 5);
    // The host has heard of both, but only the first one does not go on before it has answered.
    expect(going instanceof Promise).toBe(reachesRegions);
    expect(await going).toBe(0);
    expect(host.operations).toEqual([Operation.objectWrite]);
  }
});
