import { describe, expect, it } from "vitest";
import type { InstanceId, SeqNum } from "../../../../state/ids.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { attemptTag, objectTag, stepTag } from "../../../../state/tags.ts";
import { FOREVER } from "../../../support/guest-ends.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { attemptKinds, DAY_MS, defineSleeper, kindsOf, load, openHost, pinAt, theUnfinished } from "../../../support/pins.ts";
import { settled, TENANT } from "../../../support/scripted-host.ts";

describe("F25: an instance that sleeps", () => {
  it("[51], [54]: for 30 days beside a steady load holds no version back, and reads again what it read before", async () => {
    const host = await openHost();
    await defineSleeper(host);
    await host.put("x", "old");
    await host.put("list", "1");
    const asked = host.told({ functionName: "sleeper", key: "k" });
    await settled();
    const instance = await theUnfinished(host);
    expect(host.pool.running.size).toBe(0);
    expect(await attemptKinds(host, instance)).toEqual([RecordKind.pin]);
    await host.put("absent", "there");
    await host.put("lily", "2");
    await host.define("later", async () => 0);
    const kept: number[] = [];
    for (let day = 0; day < 30; day += 1) {
      kept.push(await load(host, "x", 100));
      host.test.time.advance(DAY_MS);
      await settled();
    }
    // Of a thousand versions and more, what is not durable yet at the last collection.
    expect(Math.max(...kept)).toBeLessThanOrEqual(2);
    expect(await asked).toBe("0 ");
    expect(await host.versions("before")).toEqual(["old  list -4"]);
    expect(await host.versions("after")).toEqual(["old  list -4 | x 100 there lily+list"]);
    expect(await kindsOf(host, instance)).toEqual([
      RecordKind.init,
      RecordKind.write,
      RecordKind.sleep,
      RecordKind.resume,
      RecordKind.write,
      RecordKind.done,
    ]);
  });

  it("reads the same when other hosts go on with it, one after the other, before it wakes", async () => {
    const first = await openHost();
    await defineSleeper(first);
    await first.put("x", "old");
    void first.call({ functionName: "sleeper", key: "k" });
    await settled();
    await load(first, "x", 40);
    await first.test.shard.whenDurable(await first.book.tail());
    let host = first;
    for (let crash = 0; crash < 2; crash += 1) {
      host = await host.crash({ timers: first.test.time });
      host.invocations.startRecovery(1_000);
      await settled();
      await load(host, "x", 40);
      await host.test.shard.whenDurable(await host.book.tail());
    }
    expect(host.pool.running.size).toBe(0);
    host.test.time.advance(30 * DAY_MS);
    await settled();
    expect(await host.told({ functionName: "sleeper", key: "k" })).toBe("0 ");
    expect(await host.versions("after")).toEqual(["old   -4 | x 40  "]);
    await host.invocations.drain(0);
  });

  it("F13, F14: an object that was deleted before stays absent when the delete is gone, and an update of it holds", async () => {
    const host = await openHost();
    await host.define("remove", async (guest) => {
      guest.delete("gone");
      return 0;
    });
    await host.put("gone", "1");
    await host.call({ functionName: "remove" });
    await host.define("sleeper", async (guest) => {
      guest.put("began", "1");
      const { text, version } = await guest.read("gone");
      await guest.sleep(30 * DAY_MS);
      guest.output(`${text} ${version} ${await guest.compareAndSet("gone", version, "again")}`);
      return 0;
    });
    const asked = host.told({ functionName: "sleeper", key: "k" });
    await settled();
    await load(host, "x", 40);
    expect((await host.book.readStream(objectTag("gone"), 0)).records).toEqual([]);
    host.test.time.advance(30 * DAY_MS);
    await settled();
    expect(await asked).toBe("0 null 0 true");
    expect(await host.versions("gone")).toEqual(["again"]);
  });

  it("an attempt that goes on without the RESUME is refused, starts again and sees what the others see", async () => {
    const host = await openHost();
    const gate = Promise.withResolvers<void>();
    let attempts = 0;
    await host.define("peers", async (guest) => {
      attempts += 1;
      const mine = attempts;
      guest.put("began", "1");
      const read = await guest.get("x");
      if (mine === 1) {
        await gate.promise;
      }
      guest.put("read", `${read}`);
      return 0;
    });
    await host.put("x", "old");
    const asked = host.told({ functionName: "peers", key: "k" });
    await settled();
    const instance = await theUnfinished(host);
    // What another node does that has waited at the same place.
    await host.book.append({
      records: [{ kind: RecordKind.pin, tags: [attemptTag(instance)], data: pinAt(2) }],
      when: [{ tag: stepTag(instance), length: 2 }],
    });
    await load(host, "x", 20);
    gate.resolve();
    await settled();
    expect(await asked).toBe("0 ");
    expect(attempts).toBe(2);
    expect(await host.versions("read")).toEqual(["x 20"]);
  });

  it.each(["cancel", "end"])("an attempt that goes on without the RESUME cancels nothing: %s", async (input) => {
    const host = await openHost();
    const gate = Promise.withResolvers<void>();
    const leaf = Promise.withResolvers<void>();
    await host.define("leaf", async () => {
      await leaf.promise;
      return 6;
    });
    let attempts = 0;
    await host.define("caller", async (guest) => {
      attempts += 1;
      const handles = [guest.callStart("leaf", ""), guest.callStartBound("leaf")];
      const read = await guest.get("x");
      if (attempts === 1) {
        await gate.promise;
      }
      if (read === "old") {
        return guest.input === "cancel" ? guest.cancelCall(handles[0] ?? 0) : 0;
      }
      const ends = [await guest.callAwait(handles[0] ?? 0), await guest.callAwait(handles[1] ?? 0)];
      return ends[0] === undefined || ends[1] === undefined ? -1 : ends[0].returnValue + ends[1].returnValue;
    });
    await host.put("x", "old");
    const asked = host.told({ functionName: "caller", input, key: "k" });
    await settled();
    const instance = await theUnfinished(host);
    await host.book.append({
      records: [{ kind: RecordKind.pin, tags: [attemptTag(instance)], data: pinAt(3) }],
      when: [{ tag: stepTag(instance), length: 3 }],
    });
    await host.put("x", "new");
    if (input === "end") {
      // Without it the attempt's end would be as good as any: nobody reads anything again after it.
      const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0));
      const resume = { kind: RecordKind.resume, tags: [stepTag(instance)], data };
      await host.book.append({ records: [resume], when: [{ tag: stepTag(instance), length: 3 }] });
    }
    gate.resolve();
    leaf.resolve();
    await settled();
    expect(await asked).toBe("12 ");
  });

  it("holds what it may read from the RESUME on, and what it read before only through the PIN", async () => {
    const host = await openHost();
    const gate = Promise.withResolvers<void>();
    await host.define("twice", async (guest) => {
      const first = await guest.get("x");
      await guest.sleep(DAY_MS);
      const second = await guest.get("x");
      await gate.promise;
      guest.output(`${first}, ${second}, ${await guest.get("x")}, ${await guest.get("y")}`);
      return 0;
    });
    await host.put("x", "old");
    await host.put("y", "old");
    const asked = host.told({ functionName: "twice", key: "k" });
    await settled();
    await load(host, "x", 20);
    host.test.time.advance(DAY_MS);
    await settled();
    expect(await load(host, "x", 20)).toBe(21);
    await load(host, "y", 20);
    gate.resolve();
    expect(await asked).toBe("0 old, x 20, x 20, old");
  });

  it("a PIN for a position that the stream has passed is refused: somebody has gone on", async () => {
    const host = await openHost();
    await host.define("writes", async (guest) => {
      guest.put("a", "1");
      guest.put("b", "1");
      await guest.get("a");
      return FOREVER;
    });
    void host.call({ functionName: "writes", key: "k" });
    await settled();
    const instance = await theUnfinished(host);
    const pin = { kind: RecordKind.pin, tags: [attemptTag(instance)], data: pinAt(0) };
    expect(await host.book.append({ records: [pin], when: [{ tag: stepTag(instance), length: 2 }] })).toMatchObject({
      kind: "conflict",
    });
  });
});

describe("F25: the fold", () => {
  it("after a PIN the next step must be RESUME or the end, and it is the same after a replay", async () => {
    const test = await openTestShard();
    const book = test.shard.book(TENANT);
    const step = stepTag("i" as InstanceId);
    const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0));
    await book.append({ records: [{ kind: RecordKind.init, tags: [step], data, initialCursor: 0 as SeqNum }] });
    await book.append({ records: [{ kind: RecordKind.pin, tags: [attemptTag("i" as InstanceId)], data: pinAt(1) }] });
    const write = { kind: RecordKind.write, tags: [step, objectTag("x")], data };
    const refused = { kind: "badPosition", length: 1 };
    expect(await book.append({ records: [write], when: [{ tag: step, length: 1 }] })).toMatchObject(refused);
    await test.shard.whenDurable(await book.tail());
    const again = (await test.crash()).shard.book(TENANT);
    expect(await again.append({ records: [write], when: [{ tag: step, length: 1 }] })).toMatchObject(refused);
    await again.append({ records: [{ kind: RecordKind.resume, tags: [step], data }], when: [{ tag: step, length: 1 }] });
    expect(await again.append({ records: [write], when: [{ tag: step, length: 2 }] })).toMatchObject({ kind: "appended" });
  });
});
