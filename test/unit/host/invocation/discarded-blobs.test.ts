import { describe, expect, it } from "vitest";
import { ObjectStore } from "../../../../state/objects/index.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, TENANT, tell } from "../../../support/scripted-host.ts";

/** Above what a record carries. */
const LONG = "x".repeat(200_000);

async function openHost() {
  const host = await ScriptedHost.open({ test: await openTestShard(), partSlots: 4 });
  await host.define("size", async (guest) => guest.input.length % 1000);
  const before = new Set(host.test.blobs.blobs.keys());
  /** The blobs that are there now and were not before, by the last letter of their bytes. */
  const stored = async () => {
    await settled();
    const fresh = [...host.test.blobs.blobs].filter(([name]) => !before.has(name));
    return fresh.map(([, bytes]) => Buffer.from(bytes.subarray(-1)).toString()).sort();
  };
  return { host, stored };
}

describe("F6: bytes that no record names are given up", () => {
  it("the input of a call that has logged nothing, when it has ended", async () => {
    const { host, stored } = await openHost();
    for (let i = 0; i < 5; i += 1) {
      expect(await host.told({ functionName: "size", input: LONG })).toBe("0 ");
    }
    expect(await stored()).toEqual([]);
  });

  it("the input of a duplicate, as soon as it was compared, and not that of the call itself", async () => {
    const { host, stored } = await openHost();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    await host.define("gated", async (guest) => {
      await guest.get("x");
      await gate;
      return guest.input.length % 1000;
    });
    const request = { functionName: "gated", input: `${LONG}k`, key: "k" };
    const first = host.told(request);
    await settled();
    const duplicates = [1, 2, 3].map(() => host.told(request));
    await expect(host.call({ ...request, input: `${LONG}o` })).rejects.toMatchObject({ code: "IDEMPOTENCY_MISMATCH" });
    // The bytes of the function's module end in another letter, and came later than `before`.
    expect((await stored()).filter((letter) => letter === "k" || letter === "o")).toEqual(["k"]);
    open();
    expect(new Set(await Promise.all([first, ...duplicates]))).toEqual(new Set(["1 "]));
    expect((await stored()).filter((letter) => letter === "k")).toEqual(["k"]);
  });

  it("the input of a call that could not be logged", async () => {
    const { host, stored } = await openHost();
    host.test.journal.roomBytes = 0;
    await expect(host.call({ functionName: "size", input: LONG, key: "k" })).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(await stored()).toEqual([]);
  });

  it("an object from outside that could not be written", async () => {
    const { host, stored } = await openHost();
    host.test.journal.roomBytes = 0;
    const body = async function* () {
      yield Buffer.from(LONG);
    };
    const objects = new ObjectStore(host.source, 100);
    await expect(objects.put(TENANT, "x", body(), 2 ** 20)).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(await stored()).toEqual([]);
  });

  it("the value that a storage part stored again, beside the data, for a write that was logged before", async () => {
    const { host, stored } = await openHost();
    let kills = 1;
    const parts: boolean[] = [];
    await host.define("partly", {
      main: async (guest) => {
        const value = await guest.part("x", 0);
        if (kills > 0) {
          kills -= 1;
          guest.kill("workerLost");
          return new Promise(() => {});
        }
        return value;
      },
      parts: [
        async (guest) => {
          parts.push(guest.start.part !== undefined);
          guest.put("x", `${LONG}p`);
          await guest.get("x");
          return 0;
        },
      ],
    });
    expect(await host.told({ functionName: "partly" })).toBe("0 ");
    expect(parts).toEqual([true, true]);
    expect((await stored()).filter((letter) => letter === "p")).toEqual(["p"]);
  });

  it("the value that a storage part stored again, also when something else that it began to store cannot be removed", async () => {
    const { host, stored } = await openHost();
    const parts: boolean[] = [];
    await host.define("partly", {
      main: async (guest) => {
        const value = await guest.part("x", 0);
        if (parts.length === 1) {
          guest.kill("workerLost");
          return new Promise(() => {});
        }
        return value;
      },
      parts: [
        async (guest) => {
          parts.push(guest.start.part !== undefined);
          guest.put("x", `${LONG}p`);
          await (parts.length === 2 ? guest.stage(Buffer.from("never written")) : guest.get("x"));
          return 0;
        },
      ],
    });
    const { blobs } = host.test;
    const create = blobs.create.bind(blobs);
    blobs.create = async (name) => ({ ...(await create(name)), abort: () => Promise.reject(new Error("EIO")) });
    expect(await host.told({ functionName: "partly" })).toBe("0 ");
    // What fails at the storage pool is done here.
    expect(parts).toEqual([true, true, false]);
    expect((await stored()).filter((letter) => letter === "p")).toEqual(["p"]);
  });

  it("a value whose write was refused, before the function goes on", async () => {
    const { host, stored } = await openHost();
    const refused = Promise.withResolvers<boolean>();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    await host.define("conflict", async (guest) => {
      guest.put("own", "logged");
      await guest.get("own");
      refused.resolve(!(await guest.compareAndSet("x", 1, `${LONG}c`)));
      await gate;
      return 0;
    });
    await host.put("x", "of somebody else");
    const asked = host.told({ functionName: "conflict" });
    expect(await refused.promise).toBe(true);
    expect(await stored()).not.toContain("c");
    open();
    expect(await asked).toBe("0 ");
  });

  it("what a transaction wrote and did not commit, and not what it committed", async () => {
    const { host, stored } = await openHost();
    await host.define("write", async (guest) => {
      await guest.transaction();
      guest.put("x", `${LONG}${guest.input}`);
      guest.put("x", `${LONG}${guest.input.toUpperCase()}`);
      return guest.input === "a" ? guest.abort() : Number((await guest.commit()) === "committed");
    });
    const letters = async () => (await stored()).filter((letter) => /[abAB]/.test(letter));
    expect(await host.told({ functionName: "write", input: "a" })).toBe("0 ");
    expect(await letters()).toEqual([]);
    expect(await host.told({ functionName: "write", input: "b" })).toBe("1 ");
    expect(await letters()).toEqual(["B"]);
    await host.define("read", async (guest) => ((await guest.get("x")) ?? "").length % 1000);
    expect(await host.told({ functionName: "read" })).toBe("1 ");
  });

  it("what a function wrote in its caller's transaction stays until the caller's commit names it", async () => {
    const { host } = await openHost();
    await host.define("callee", async (guest) => {
      guest.put("x", `${LONG}c`);
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      await guest.call("callee", LONG);
      return Number((await guest.commit()) === "committed");
    });
    expect(await host.told({ functionName: "caller" })).toBe("1 ");
    await host.define("read", async (guest) => ((await guest.get("x")) ?? "").length % 1000);
    expect(await host.told({ functionName: "read" })).toBe("1 ");
  });

  it("the input that a replay stored again for a call that was logged before, and the value of a write that was", async () => {
    const { host, stored } = await openHost();
    let kills = 2;
    await host.define("parent", async (guest) => {
      guest.put("x", `${LONG}p`);
      const { returnValue } = await guest.call("size", `${LONG}i`);
      if (kills > 0) {
        kills -= 1;
        guest.kill("workerLost");
        return new Promise(() => {});
      }
      return returnValue;
    });
    const asked = host.call({ functionName: "parent" });
    expect(tell(await asked)).toBe("1 ");
    expect(host.pool.started).toBe(4);
    expect((await stored()).filter((letter) => letter === "p" || letter === "i")).toEqual(["i", "p"]);
  });
});
