import { describe, expect, it } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { FOREVER } from "../../../support/guest-ends.ts";
import { attemptKinds, load, openHost, theUnfinished } from "../../../support/pins.ts";
import { settled, TENANT } from "../../../support/scripted-host.ts";

describe("F25: an instance that is parked", () => {
  it("[51], [54]: holds no version back, and finishes with what it had read when it is resumed", async () => {
    const host = await openHost();
    let stuck = true;
    await host.define("stuck", async (guest) => {
      const before = await guest.get("x");
      guest.put("before", `${before}`);
      const now = await guest.get("x");
      await (stuck ? FOREVER : Promise.resolve());
      guest.put("after", `${before}, ${now}`);
      return 0;
    });
    await host.put("x", "old");
    const asked = host.told({ functionName: "stuck", key: "k" });
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await settled();
      expect(host.pool.started).toBe(attempt);
      [...host.pool.running][0]?.kill("wallTime");
      await settled();
      host.test.time.advance(1_000);
    }
    await settled();
    expect(await asked).toMatch(/^parked/);
    const instance = await theUnfinished(host);
    expect(await attemptKinds(host, instance)).toEqual([RecordKind.pin, RecordKind.parked]);
    expect(await host.invocations.statusOfInstance(instance, TENANT)).toMatchObject({
      kind: "parked",
      reason: expect.stringContaining("3 attempts were ended by the host"),
    });
    expect(await load(host, "x", 300)).toBeLessThanOrEqual(2);
    stuck = false;
    await host.invocations.resume(instance, TENANT);
    await settled();
    expect(await host.told({ functionName: "stuck", key: "k" })).toBe("0 ");
    expect(await host.versions("before")).toEqual(["old"]);
    expect(await host.versions("after")).toEqual(["old, x 300"]);
  });
});

describe("F25, F27: an instance that was running in as many hosts that died as are allowed", () => {
  it.each(["at once", "after a step"])("is parked, and pins only what it has read: it dies %s", async (when) => {
    let host = await openHost();
    let stuck = true;
    await host.define("deadly", async (guest) => {
      const before = await guest.get("x");
      guest.put("before", `${before}`);
      const now = await guest.get("x");
      if (stuck && when === "after a step") {
        guest.sync();
      }
      await (stuck ? FOREVER : Promise.resolve());
      guest.output(`${before}, ${now}, ${await guest.get("x")}`);
      return 0;
    });
    await host.put("x", "old");
    void host.call({ functionName: "deadly", key: "k" }).catch(() => {});
    await settled();
    await host.test.shard.whenDurable(await host.book.tail());
    for (let death = 1; death <= 4; death += 1) {
      host = await host.crash({ timers: host.test.time });
      host.invocations.startRecovery(10_000);
      await settled();
      await host.test.shard.whenDurable(await host.book.tail());
    }
    const instance = await theUnfinished(host);
    expect(await host.invocations.statusOfInstance(instance, TENANT)).toMatchObject({
      kind: "parked",
      reason: "was running in 3 hosts that died",
    });
    expect(await load(host, "x", 40)).toBeLessThanOrEqual(2);
    if (when === "at once") {
      stuck = false;
      await host.invocations.resume(instance, TENANT);
      await settled();
      expect(await host.told({ functionName: "deadly", key: "k" })).toBe("0 old, x 40, x 40");
    }
  });
});
