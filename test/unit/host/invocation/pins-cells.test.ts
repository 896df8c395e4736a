import { describe, expect, it } from "vitest";
import { MAX_SEQNUM, NO_SEQNUM } from "../../../../state/ids.ts";
import { decodeObjectValue } from "../../../../state/objects/object-record.ts";
import { entryOf } from "../../../../state/protocols/index.ts";
import { stepTag } from "../../../../state/tags.ts";
import { FOREVER } from "../../../support/guest-ends.ts";
import { DAY_MS, load, openHost, theUnfinished } from "../../../support/pins.ts";
import type { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { settled, TENANT } from "../../../support/scripted-host.ts";

describe("F25: an instance whose objects are in cells", () => {
  it.each(["halfmoon-write", "boki", "unsafe"] as const)(
    "goes on after a long sleep when everything from before it is collected, %s",
    async (protocol) => {
      const host = await openHost();
      const sleeper = async (guest: ScriptedGuest) => {
        const before = await guest.get("mine");
        guest.put("mine", "1");
        await guest.sleep(30 * DAY_MS);
        const after = await guest.get("mine");
        guest.put("mine", "2");
        guest.output(`${before} ${after} ${await guest.get("mine")}`);
        return 0;
      };
      await host.define("sleeper", sleeper, { protocol });
      const asked = host.told({ functionName: "sleeper", key: "k" });
      await settled();
      await load(host, "x", 40);
      host.test.time.advance(30 * DAY_MS);
      await settled();
      expect(host.pool.started).toBeLessThan(5);
      expect(await asked).toBe(protocol === "unsafe" ? "0 1 1 2" : "0 null 1 2");
    },
  );

  it("[36] F3: what a peer wrote without a step, where this attempt has not come to, is not written again when it was parked", async () => {
    const host = await openHost();
    let stuck = true;
    const waiter = async (guest: ScriptedGuest) => {
      await guest.get("first");
      await (stuck ? FOREVER : Promise.resolve());
      guest.put("mine", "mine");
      return 0;
    };
    const other = async (guest: ScriptedGuest) => {
      guest.delete("mine");
      return 0;
    };
    await host.define("waiter", waiter, { protocol: "halfmoon-write" });
    await host.define("other", other, { protocol: "halfmoon-write" });
    const asked = host.told({ functionName: "waiter", key: "k" });
    await settled();
    const instance = await theUnfinished(host);
    const last = (await host.steps(instance)).at(-1)?.seqnum ?? NO_SEQNUM;
    // The peer is not stuck. It writes, and then nothing more is heard of it.
    const { kind } = await host.book.writeCell({
      key: "mine",
      version: { seqnum: last, role: 0, counter: 1 },
      initialCursor: last,
      writer: stepTag(instance),
      ...entryOf({ kind: "inline", bytes: Buffer.from("mine") }),
    });
    expect(kind).toBe("written");
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      [...host.pool.running][0]?.kill("wallTime");
      await settled();
      host.test.time.advance(11_000);
      await settled();
    }
    expect(await asked).toMatch(/^parked/);
    expect(await host.told({ functionName: "other" })).toBe("0 ");
    await load(host, "x", 40);
    stuck = false;
    await host.invocations.resume(instance, TENANT);
    await settled();
    expect(await host.told({ functionName: "waiter", key: "k" })).toBe("0 ");
    expect(await host.object("mine")).toBeNull();
  });

  it("[36] F3: a write right before a long wait is not made again behind it", async () => {
    const host = await openHost();
    const holder = async (guest: ScriptedGuest) => {
      await guest.lock("l");
      await guest.sleep(DAY_MS);
      return 0;
    };
    const waiter = async (guest: ScriptedGuest) => {
      guest.put("first", "1");
      await guest.get("first");
      guest.put("mine", "mine");
      guest.put("gone", "mine");
      await guest.lock("l");
      return 0;
    };
    const other = async (guest: ScriptedGuest) => {
      guest.put("mine", "theirs");
      guest.delete("gone");
      return 0;
    };
    for (const [name, main] of Object.entries({ holder, waiter, other })) {
      await host.define(name, main, { protocol: "halfmoon-write" });
    }
    const held = host.told({ functionName: "holder", key: "h" });
    await settled();
    const asked = host.told({ functionName: "waiter", key: "w" });
    await settled();
    host.test.time.advance(11_000);
    await settled();
    expect(host.pool.running.size, "the waiter has given its sandbox back").toBe(0);
    expect(await host.told({ functionName: "other" })).toBe("0 ");
    expect(await load(host, "x", 40), "it holds no version back").toBeLessThanOrEqual(2);
    host.test.time.advance(DAY_MS);
    await settled();
    expect(await Promise.all([held, asked])).toEqual(["0 ", "0 "]);
    const texts = ["mine", "gone"].map(async (key) => {
      const { record } = await host.book.readCell(key, MAX_SEQNUM);
      const value = record === null ? null : decodeObjectValue(record);
      return value?.kind === "inline" ? Buffer.from(value.bytes).toString() : null;
    });
    expect(await Promise.all(texts)).toEqual(["theirs", null]);
  });
});
