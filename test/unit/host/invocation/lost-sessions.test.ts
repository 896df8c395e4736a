import { describe, expect, it } from "vitest";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, TENANT, tell } from "../../../support/scripted-host.ts";

describe("a session that is lost", () => {
  it("F1: ends the attempt; the next one goes on from the log, and an unanswered append happens once", async () => {
    const host = await ScriptedHost.open();
    await host.define("write", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      await guest.update("x", (old) => `${old}2`);
      return 0;
    });
    host.invocations.startRecovery(20);
    for (let lostAt = 0; lostAt < 12; lostAt += 1) {
      const key = `key ${lostAt}`;
      const asked = host.told({ functionName: "write", key });
      for (let i = 0; i < lostAt; i += 1) {
        await Promise.resolve();
      }
      await host.reconnect();
      expect(await asked.catch((error) => error.code), key).toMatch(/^0 $|OWNER_UNAVAILABLE/);
      expect(await host.told({ functionName: "write", key })).toBe("0 ");
    }
    const versions = await host.versions("x");
    expect(versions).toHaveLength(24);
    expect(versions.filter((version) => version === "12")).toHaveLength(12);
    await host.invocations.drain(0);
  });

  it("F20: an attempt whose append was not answered is not run again when somebody else may have finished it", async () => {
    const host = await ScriptedHost.open({ test: await openTestShard({ options: { garbageMin: 1 } }) });
    await host.define("count", async (guest) => {
      await guest.update("n", (old) => `${Number(old ?? 0) + 1}`);
      return 0;
    });
    const other = await ScriptedHost.open({ test: host.test, pool: host.pool });
    host.source.withheld.add("append");
    const asked = host.told({ functionName: "count" });
    await settled();
    expect(await host.versions("n")).toEqual(["1"]);
    await host.source.connect(undefined);
    other.invocations.startRecovery(10_000);
    await settled();
    expect(await other.invocations.unfinished(TENANT)).toEqual([]);
    await host.put("other", "1");
    await host.put("other", "2");
    await host.test.shard.collect();
    host.source.withheld.clear();
    await host.reconnect();
    expect(await asked).toBe("failed: RESULT_EXPIRED");
    expect(await host.versions("n")).toEqual(["1"]);
    await other.invocations.drain(0);
  });

  it("F20: a call whose DONE was not answered is not begun anew when an owner's restart and a collection came between", async () => {
    const host = await ScriptedHost.open({ test: await openTestShard({ options: { garbageMin: 1 } }) });
    const gate = Promise.withResolvers<void>();
    await host.define("count", async (guest) => {
      await guest.update("n", (old) => `${Number(old ?? 0) + 1}`);
      await gate.promise;
      return 0;
    });
    const asked = host.told({ functionName: "count" });
    await settled();
    host.source.withheld.add("append");
    gate.resolve();
    await settled();
    await host.test.shard.whenDurable(await host.book.tail());
    await host.source.connect(undefined);
    host.source.withheld.clear();
    host.test = await host.test.crash();
    await host.put("other", "1");
    await host.put("other", "2");
    await host.test.shard.collect();
    await host.reconnect();
    expect(await asked).toBe("failed: RESULT_EXPIRED");
    expect(await host.versions("n")).toEqual(["1"]);
  });

  it("F17: tells that the outcome of a logged call is pending when the owner stays out of reach", async () => {
    const host = await ScriptedHost.open();
    await host.define("hello", async () => 0);
    for (const [withheld, key] of [
      ["readStream", "k"],
      ["append", undefined],
    ] as const) {
      await host.define("write", async (guest) => {
        guest.put("x", "1");
        return 0;
      });
      host.source.withheld.add(withheld);
      const asked = host.told({ functionName: "write", ...(key !== undefined && { key }) });
      await settled();
      await host.source.connect(undefined);
      expect(await asked).toMatch(/^pending: OWNER_UNAVAILABLE/);
      host.source.withheld.clear();
      await host.reconnect();
    }
    await host.source.connect(undefined);
    await expect(host.call({ functionName: "hello" })).rejects.toMatchObject({ code: "OWNER_UNAVAILABLE" });
  });

  it("F1: pins of an epoch that has ended are not used in the next one: the call is begun anew", async () => {
    const host = await ScriptedHost.open();
    await host.define("read", async (guest) => {
      guest.output((await guest.get("x")) ?? "absent");
      return 0;
    });
    await host.test.shard.whenDurable(await host.book.tail());
    for (let i = 0; i < 10; i += 1) {
      await host.put("x", "lost");
    }
    const { blobs } = host.test;
    const create = blobs.create.bind(blobs);
    // The input is long: it becomes a blob between the question for the tail and the first attempt.
    blobs.create = async (name) => {
      blobs.create = create;
      await host.restartOwner();
      await host.put("x", "new history");
      return create(name);
    };
    const answer = await host.call({ functionName: "read", input: "x".repeat(100_000) });
    expect(tell(answer)).toBe("0 new history");
    expect(answer.instance.startsWith("2-")).toBe(true);
  });
});
