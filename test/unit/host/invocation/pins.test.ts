import { describe, expect, it } from "vitest";
import { writePayload } from "../../../../host/invocation/instance-record.ts";
import { ByteWriter } from "../../../../state/bytes.ts";
import { type InstanceId, MAX_SEQNUM, NO_SEQNUM, type SeqNum } from "../../../../state/ids.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { writePinHead } from "../../../../state/logbook/pin-record.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { decodeObjectValue, encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { encodeReads, entryOf } from "../../../../state/protocols/index.ts";
import { attemptTag, guestTag, objectTag, stepTag } from "../../../../state/tags.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";
import type { ScriptedGuest } from "../../../support/scripted-pool.ts";

const FOREVER = new Promise<never>(() => {});
const DAY_MS = 24 * 60 * 60 * 1000;

/** A host under the manual clock alone, over a shard that collects whatever it may. */
async function openHost(): Promise<ScriptedHost> {
  const test = await openTestShard({ options: { garbageMin: 1, retentionMs: DAY_MS } });
  return ScriptedHost.open({ test, timers: test.time });
}

/** Writes of one object, with what is collected in between; how many of its versions are left. */
async function load(host: ScriptedHost, key: string, writes: number): Promise<number> {
  for (let i = 1; i <= writes; i += 1) {
    await host.put(key, `${key} ${i}`);
    if (i % 10 === 0) {
      await host.test.shard.collect();
    }
  }
  await host.test.shard.collect();
  const { records } = await host.book.readStream(objectTag(key), await firstKept(host, key));
  return records.length;
}

async function firstKept(host: ScriptedHost, key: string): Promise<number> {
  let from = 0;
  for (;;) {
    try {
      await host.book.readStream(objectTag(key), from);
      return from;
    } catch {
      from += 1;
    }
  }
}

/** The data of a PIN that holds no reads. */
function pinAt(position: number): Uint8Array {
  const w = writePinHead(new ByteWriter(32), { position, written: null });
  return writePayload(w, { kind: "inline", bytes: encodeReads([]) }).take();
}

async function kindsOf(host: ScriptedHost, instance: InstanceId): Promise<number[]> {
  return (await host.steps(instance)).map(({ kind }) => kind);
}

async function attemptKinds(host: ScriptedHost, instance: InstanceId): Promise<number[]> {
  return (await host.book.readStream(attemptTag(instance), 0)).records.map(({ kind }) => kind);
}

async function theUnfinished(host: ScriptedHost): Promise<InstanceId> {
  const [one] = await host.invocations.unfinished(TENANT);
  if (one === undefined) {
    throw new Error("nothing is unfinished");
  }
  return one.instance;
}

/** Reads everything that can be read before it sleeps, and tells it again afterwards: as it was before, and as it is now. */
async function defineSleeper(host: ScriptedHost): Promise<void> {
  await host.define("sleeper", async (guest) => {
    const { returnValue } = await guest.call("later");
    const before = [await guest.get("x"), await guest.get("absent"), (await guest.list("li")).join("+"), returnValue];
    guest.put("before", before.join(" "));
    const own = await guest.get("before");
    await guest.sleep(30 * DAY_MS);
    const after = [await guest.get("x"), await guest.get("absent"), (await guest.list("li")).join("+")];
    guest.put("after", `${own} | ${after.join(" ")}`);
    return 0;
  });
}

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
