import { describe, expect, it } from "vitest";
import { MAX_SEQNUM } from "../../../../state/ids.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { guestTag, objectTag } from "../../../../state/tags.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { attemptKinds, DAY_MS, load, openHost, theUnfinished } from "../../../support/pins.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

describe("F25: an instance that sleeps", () => {
  it("waits for a child, and for a child of that, without holding versions back", async () => {
    const host = await openHost();
    await host.define("leaf", async (guest) => {
      guest.output(`${await guest.get("x")}`);
      await guest.sleep(DAY_MS);
      guest.output(` ${await guest.get("x")}`);
      return 0;
    });
    await host.define("middle", async (guest) => {
      const { text } = await guest.call("leaf");
      guest.output(text);
      return 0;
    });
    await host.define("root", async (guest) => {
      const before = await guest.get("x");
      const { text } = await guest.call("middle");
      guest.put("seen", `${before}: ${text}`);
      return 0;
    });
    await host.put("x", "old");
    const asked = host.told({ functionName: "root", key: "k" });
    await settled();
    // Half of the wall time: those that wait give their sandboxes back.
    host.test.time.advance(10_000);
    await settled();
    expect(host.pool.running.size).toBe(0);
    expect(await load(host, "x", 200)).toBeLessThanOrEqual(2);
    host.test.time.advance(DAY_MS);
    await settled();
    expect(await asked).toBe("0 ");
    expect(await host.versions("seen")).toEqual(["old: old x 200"]);
  });

  it.each(["committed", "refused", "aborted", "read only"])(
    "F37: after a transaction holds no version back, and reads again in it what it read at its moment: %s",
    async (end) => {
      const host = await openHost();
      await host.put("x", "old");
      await host.put("list", "1");
      let waited = false;
      const seen: string[] = [];
      await host.define("sleeper", async (guest) => {
        await guest.transaction();
        const inside = [await guest.get("x"), await guest.get("absent"), (await guest.list("li")).join("+")];
        if (end === "refused" && !waited) {
          await host.put("x", "other");
        }
        if (end !== "read only") {
          guest.put("mine", "1");
        }
        inside.push(end === "aborted" ? `${await guest.abort()}` : await guest.commit());
        seen.push(inside.join(" "));
        await guest.sleep(30 * DAY_MS);
        guest.output(`${await guest.get("x")}`);
        return 0;
      });
      const asked = host.told({ functionName: "sleeper", key: "k" });
      await settled();
      waited = true;
      await host.put("list2", "1");
      expect(await load(host, "x", 40)).toBeLessThanOrEqual(2);
      host.test.time.advance(30 * DAY_MS);
      await settled();
      expect(await asked).toBe("0 x 40");
      const outcome = { committed: "committed", refused: "object x", aborted: "0", "read only": "committed" }[end];
      expect([seen.at(0), seen.at(-1)]).toEqual([`old  list ${outcome}`, `old  list ${outcome}`]);
      expect(seen.length).toBeGreaterThan(1);
    },
  );

  it("in a transaction that is open goes on holding versions back, as nobody knows what it will read", async () => {
    const host = await openHost();
    await host.put("x", "old");
    await host.define("sleeper", async (guest) => {
      await guest.transaction();
      await guest.sleep(30 * DAY_MS);
      guest.output(`${await guest.get("x")} ${await guest.commit()}`);
      return 0;
    });
    const asked = host.told({ functionName: "sleeper", key: "k" });
    await settled();
    expect(await load(host, "x", 40)).toBe(41);
    host.test.time.advance(30 * DAY_MS);
    await settled();
    expect(await asked).toBe("0 old committed");
  });

  it("holds no version back after reads of several hundred large values", async () => {
    const host = await openHost();
    const LARGE = 300;
    for (let i = 0; i < LARGE; i += 1) {
      const ref = await host.test.blobs.put(Buffer.from(`large ${i}`));
      const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue({ kind: "blob", ref }));
      await host.book.append({ records: [{ kind: RecordKind.write, tags: [objectTag(`large/${i}`)], data, blobs: [ref] }] });
    }
    await host.put("x", "old");
    const sums: string[] = [];
    await host.define("sleeper", async (guest) => {
      let large = 0;
      for (let i = 0; i < LARGE; i += 1) {
        large += (await guest.get(`large/${i}`)) === `large ${i}` ? 1 : 0;
      }
      sums.push(`${large}`);
      await guest.sleep(30 * DAY_MS);
      return 0;
    });
    const asked = host.told({ functionName: "sleeper", key: "k" });
    await settled();
    const instance = await theUnfinished(host);
    expect(await attemptKinds(host, instance)).toEqual([RecordKind.pin, RecordKind.pin]);
    expect(await load(host, "x", 40)).toBeLessThanOrEqual(2);
    host.test.time.advance(30 * DAY_MS);
    await settled();
    expect(await asked).toBe("0 ");
    expect(sums).toEqual([`${LARGE}`, `${LARGE}`]);
  });

  it("[51]: after reads of the tenant's log holds nothing back, and sees the same records when they are trimmed and gone", async () => {
    const host = await openHost();
    const saw: string[] = [];
    await host.define("add", async (guest) => {
      await guest.append("feed", guest.input);
      return 0;
    });
    await host.define("follower", async (guest) => {
      // The first one logs its position, as do the second and the tail; the third is at the cursor that these have left.
      const first = await guest.logNext("feed", 1);
      const last = await guest.logPrev("feed", MAX_SEQNUM);
      const { length } = await guest.logTail("feed");
      const again = await guest.logPrev("feed", Number(last.split(" ")[0]));
      const none = await guest.logNext("other", 1);
      saw.push([first, last, length, again, none].join(", "));
      guest.put("seen", "");
      await guest.sleep(30 * DAY_MS);
      saw.push((await guest.logTail("feed")).length.toString());
      return 0;
    });
    for (const text of ["one", "two", "three"]) {
      await host.told({ functionName: "add", input: text });
    }
    const asked = host.told({ functionName: "follower", key: "k" });
    await settled();
    expect(await attemptKinds(host, await theUnfinished(host))).toEqual([RecordKind.pin]);
    await host.define("trim", async (guest) => {
      guest.trim("feed", MAX_SEQNUM);
      return 0;
    });
    await host.told({ functionName: "trim" });
    await host.told({ functionName: "add", input: "four" });
    expect(await load(host, "x", 40)).toBeLessThanOrEqual(2);
    await expect(host.book.readStream(guestTag("feed"), 0)).rejects.toMatchObject({ code: "TRIMMED" });
    host.test.time.advance(30 * DAY_MS);
    await settled();
    expect(await asked).toBe("0 ");
    expect(saw[0]).toMatch(/one.*three.*3/);
    expect(saw).toEqual([saw[0], saw[0], "4"]);
  });

  it("[51]: with parts that read elsewhere holds nothing back, and they read the same when it goes on", async () => {
    const test = await openTestShard({ options: { garbageMin: 1 } });
    const host = await ScriptedHost.open({ test, timers: test.time, partSlots: 1 });
    const seen: string[] = [];
    await host.define("parts", {
      main: async (guest) => {
        await guest.part("x", 0);
        guest.put("between", "");
        await guest.sleep(DAY_MS);
        await guest.part("x", 0);
        return 0;
      },
      parts: [
        async (guest) => {
          const last = await guest.logPrev("feed", MAX_SEQNUM);
          seen.push(`${await guest.get("x")}, ${last.split(" ").at(-1)}`);
          return 0;
        },
      ],
    });
    await host.define("add", async (guest) => {
      await guest.append("feed", guest.input);
      return 0;
    });
    await host.put("x", "old");
    await host.told({ functionName: "add", input: "one" });
    const asked = host.told({ functionName: "parts", key: "k" });
    await settled();
    expect(await attemptKinds(host, await theUnfinished(host))).toEqual([RecordKind.pin]);
    await host.told({ functionName: "add", input: "two" });
    expect(await load(host, "x", 20)).toBeLessThanOrEqual(2);
    host.test.time.advance(DAY_MS);
    await settled();
    expect(await asked).toBe("0 ");
    expect(seen).toEqual(["old, one", "old, one", "x 20, two"]);
  });
});
