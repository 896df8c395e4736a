import { describe, expect, it } from "vitest";
import type { InstanceId } from "../../../../state/ids.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import type { FaultPoint } from "../../../../state/ports.ts";
import { stepTag } from "../../../../state/tags.ts";
import type { ManualTime } from "../../../support/manual-time.ts";
import { openTestShard, type TestShard } from "../../../support/open-shard.ts";
import { atPoint, ScriptedHost, type ScriptedHostParts, settled, TENANT } from "../../../support/scripted-host.ts";
import { ScriptedPool } from "../../../support/scripted-pool.ts";

const FOREVER = new Promise<never>(() => {});
const DAY_MS = 24 * 60 * 60 * 1000;

/** A host whose timers follow the shard's clock. */
async function openManual(parts: ScriptedHostParts = {}): Promise<{ host: ScriptedHost; time: ManualTime }> {
  const test = parts.test ?? (await openTestShard());
  return { host: await ScriptedHost.open({ ...parts, test, timers: test.time }), time: test.time };
}

/** What is durable, opened by another host that recovers it. */
async function recovered(host: ScriptedHost): Promise<ScriptedHost> {
  await host.test.shard.whenDurable(await host.book.tail());
  const again = await host.crash();
  again.invocations.startRecovery(10_000);
  await settled();
  return again;
}

async function defineNoter(host: ScriptedHost): Promise<void> {
  await host.define("noter", async (guest) => {
    guest.put("note", `${guest.input} at ${guest.now()} with ${await guest.get("x")}`);
    return 7;
  });
}

function idOf(spawned: string | number): InstanceId {
  expect(spawned).toEqual(expect.any(String));
  return String(spawned) as InstanceId;
}

describe("a spawned call", () => {
  it("runs outside of its caller's cursor, and its id leads to its result", async () => {
    const { host } = await openManual();
    await defineNoter(host);
    await host.define("caller", async (guest) => {
      guest.output(`${await guest.spawn("noter", "in")}`);
      await settled();
      guest.output(` ${await guest.get("note")}`);
      return 0;
    });
    const [, id = "", seen] = (await host.told({ functionName: "caller" })).split(" ");
    expect(seen).toBe("null");
    await settled();
    expect(await host.versions("note")).toHaveLength(1);
    expect(await host.invocations.statusOfInstance(id as InstanceId, TENANT)).toMatchObject({
      kind: "completed",
      result: { returnValue: 7 },
    });
  });

  it("of a function that there is not gets no id, in every replay", async () => {
    const { host } = await openManual();
    await host.define("caller", async (guest) => {
      const spawned = await guest.spawn("nobody");
      guest.put("seen", `${spawned}`);
      await guest.get("seen");
      return host.pool.started < 2 ? FOREVER : 0;
    });
    const asked = host.told({ functionName: "caller" });
    await settled();
    await host.define("nobody", async () => 0);
    [...host.pool.running][0]?.displace();
    expect(await asked).toBe("0 ");
    expect(await host.versions("seen")).toEqual(["-4"]);
  });

  it("F16, [42]: happens once when the host dies between the record and the dispatch, though its caller is done", async () => {
    const test = await openTestShard();
    let crashed = false;
    const host = await ScriptedHost.open({
      test,
      faults: atPoint("dispatch:before", () => {
        crashed = true;
      }),
    });
    let stuck = true;
    await host.define("noter", async (guest) => {
      await (stuck ? FOREVER : Promise.resolve());
      guest.put("note", "once");
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.spawn("noter");
      return 0;
    });
    expect(await host.told({ functionName: "caller", key: "k" })).toBe("0 ");
    expect(crashed).toBe(true);
    stuck = false;
    const again = await recovered(host);
    expect(await again.versions("note")).toEqual(["once"]);
    expect(await again.invocations.unfinished(TENANT)).toEqual([]);
    expect(await again.told({ functionName: "caller", key: "k" })).toBe("0 ");
    expect(await again.versions("note")).toEqual(["once"]);
  });

  it("[39], [40]: is begun once by a caller that is run again, which gets the same id", async () => {
    const { host } = await openManual();
    await defineNoter(host);
    await host.define("caller", async (guest) => {
      guest.output(`${await guest.spawn("noter", "in")}`);
      guest.put("caller", "went on");
      await guest.get("caller");
      return host.pool.started < 3 ? FOREVER : 0;
    });
    const asked = host.told({ functionName: "caller" });
    await settled();
    [...host.pool.running][0]?.displace();
    const id = (await asked).slice(2);
    await settled();
    expect(await host.versions("note")).toHaveLength(1);
    expect((await host.steps(id as InstanceId)).map(({ kind }) => kind)).toEqual([
      RecordKind.spawn,
      RecordKind.write,
      RecordKind.done,
    ]);
  });

  it("keeps its result for as long as results are kept, although nobody awaits it", async () => {
    const test = await openTestShard({ options: { garbageMin: 1, retentionMs: DAY_MS } });
    const { host, time } = await openManual({ test });
    await defineNoter(host);
    await host.define("caller", async (guest) => {
      guest.output(`${await guest.spawn("noter")}`);
      return 0;
    });
    const id = idOf((await host.told({ functionName: "caller" })).slice(2));
    await settled();
    for (let i = 0; i < 3; i += 1) {
      await host.put("x", `${i}`);
      await test.shard.collect();
    }
    expect(await host.invocations.statusOfInstance(id, TENANT)).toMatchObject({ kind: "completed" });
    time.advance(DAY_MS + 1);
    await host.put("x", "later");
    await test.shard.collect();
    await test.shard.collect();
    expect(await host.invocations.statusOfInstance(id, TENANT)).toEqual({ kind: "unknown" });
  });
});

describe("[42], F16: crashes at every append of a caller that spawns now and later", () => {
  it("leave each of the two calls done once", async () => {
    for (let nth = 1; nth <= 12; nth += 1) {
      for (const point of ["append:before", "append:after"] as const) {
        await crashAt(point, nth);
      }
    }
  });

  async function crashAt(point: "append:before" | "append:after", nth: number): Promise<void> {
    const { promise: crashed, resolve } = Promise.withResolvers<Promise<TestShard>>();
    let atFault = (_: FaultPoint): void => {};
    const test = await openTestShard({ faults: { at: (passed) => atFault(passed) } });
    const { host } = await openManual({ test });
    await host.define("add", async (guest) => {
      await guest.update(guest.input, (old) => `${Number(old ?? 0) + 1}`);
      return 0;
    });
    await host.define("caller", async (guest) => {
      guest.put("began", "1");
      await guest.spawn("add", "now");
      await guest.spawn("add", "later", 1_000);
      guest.put("went on", "1");
      return 0;
    });
    await test.shard.whenDurable(await host.book.tail());
    const faults = atPoint(point, () => resolve(test.crash()), nth);
    atFault = (passed) => {
      faults.at(passed);
      // Flushed as early as can be, so that a crash finds as much as possible.
      queueMicrotask(() => void host.book.tail().then((tail) => test.shard.whenDurable(tail)));
    };
    const asked = host.told({ functionName: "caller", key: "k" });
    const left = await Promise.race([asked.then(() => test.crash()), crashed]);
    const pool = new ScriptedPool();
    for (const [hash, scripted] of host.pool.scripts) {
      pool.scripts.set(hash, scripted);
    }
    const { host: again } = await openManual({ test: left, pool });
    again.invocations.startRecovery(500);
    const answered = again.told({ functionName: "caller", key: "k" });
    for (let i = 0; i < 6; i += 1) {
      await settled();
      test.time.advance(500);
    }
    await settled();
    expect(await answered, `${point} ${nth}`).toBe("0 ");
    for (const key of ["began", "now", "later", "went on"]) {
      expect(await again.versions(key), `${key}, ${point} ${nth}`).toEqual(["1"]);
    }
    await again.invocations.drain(0);
  }
});

describe("F28: a delayed call", () => {
  it("begins at its time, with the state, the clock and the module pinned as the rules say", async () => {
    const { host, time } = await openManual();
    await defineNoter(host);
    await host.put("x", "old");
    await host.define("caller", async (guest) => {
      guest.output(`${await guest.spawn("noter", "later", 30 * DAY_MS)}`);
      return 0;
    });
    const id = idOf((await host.told({ functionName: "caller" })).slice(2));
    const beganMs = time.now();
    await host.define("noter", async () => 99);
    time.advance(30 * DAY_MS - 1);
    await settled();
    expect(await host.versions("note")).toEqual([]);
    expect(await host.invocations.statusOfInstance(id, TENANT)).toMatchObject({
      kind: "delayed",
      notBeforeMs: beganMs + 30 * DAY_MS,
    });
    await host.put("x", "new");
    time.advance(1);
    await settled();
    expect(await host.versions("note")).toEqual([`later at ${beganMs + 30 * DAY_MS} with new`]);
    expect(await host.invocations.statusOfInstance(id, TENANT)).toMatchObject({ result: { returnValue: 7 } });
  });

  it("F35: is told no time before its own, though the clock went back after the log had got there", async () => {
    const { host, time } = await openManual();
    await defineNoter(host);
    await host.put("x", "old");
    await host.define("caller", async (guest) => {
      await guest.spawn("noter", "later", 10_000);
      return 0;
    });
    await host.told({ functionName: "caller" });
    const beganMs = time.now();
    time.jumpTo(beganMs + 20_000);
    await host.put("y", "1");
    time.jumpTo(beganMs);
    host.invocations.startRecovery(500);
    await settled();
    expect(await host.versions("note")).toEqual([`later at ${beganMs + 10_000} with old`]);
    await host.invocations.drain(0);
  });

  it("F16, [42]: survives the host: it is begun by the next one, once, and not before its time", async () => {
    for (const point of ["dispatch:before", "dispatch:after"] as const) {
      const test = await openTestShard();
      let passed = false;
      const { host } = await openManual({
        test,
        faults: atPoint(point, () => {
          passed = true;
        }),
      });
      await defineNoter(host);
      await host.define("caller", async (guest) => {
        await guest.spawn("noter", "later", DAY_MS);
        return 0;
      });
      expect(await host.told({ functionName: "caller", key: "k" })).toBe("0 ");
      expect(passed).toBe(true);
      await test.shard.whenDurable(await host.book.tail());
      const again = await host.crash({ timers: test.time });
      again.invocations.startRecovery(1_000);
      await settled();
      expect(await again.versions("note")).toEqual([]);
      test.time.advance(DAY_MS);
      await settled();
      expect(await again.versions("note")).toHaveLength(1);
      test.time.advance(DAY_MS);
      await settled();
      expect(await again.versions("note")).toHaveLength(1);
      await again.invocations.drain(0);
    }
  });

  it("is accepted from outside, under its key once, and survives a restart", async () => {
    const { host, time } = await openManual();
    await defineNoter(host);
    const request = { functionName: "noter", input: "in", key: "k", answer: "accepted", delayMs: DAY_MS } as const;
    const first = await host.call(request);
    const second = await host.call(request);
    expect(first.kind).toBe("accepted");
    expect(second).toEqual(first);
    const again = await host.crash({ timers: time });
    again.invocations.startRecovery(1_000);
    time.advance(DAY_MS);
    await settled();
    expect(await again.versions("note")).toHaveLength(1);
    expect(await again.told({ functionName: "noter", input: "in", key: "k" })).toBe("7 ");
    await again.invocations.drain(0);
  });

  it("F27: hosts that die before it is done count, its beginning does not", async () => {
    const { host: first, time } = await openManual();
    let host = first;
    await host.define("stuck", async (guest) => {
      guest.put("x", "begun");
      await guest.get("x");
      return FOREVER;
    });
    const answer = await host.call({ functionName: "stuck", answer: "accepted", delayMs: 1_000 });
    // The last host that may run it first lets it come to the end of its log, to pin what it has read (F25).
    for (const [death, attempts] of [1, 1, 1, 2, 0].entries()) {
      host = await host.crash({ timers: time });
      host.invocations.startRecovery(1_000);
      time.advance(1_000);
      await settled();
      expect(host.pool.started, `after ${death} deaths`).toBe(attempts);
      await host.test.shard.whenDurable(await host.book.tail());
    }
    expect(await host.invocations.statusOfInstance(answer.instance, TENANT)).toMatchObject({ kind: "parked" });
  });

  it("F25: that has not begun pins its input only: versions older than its time are collected", async () => {
    const test = await openTestShard({ options: { garbageMin: 1 } });
    const { host, time } = await openManual({ test });
    await defineNoter(host);
    await host.call({ functionName: "noter", answer: "accepted", delayMs: DAY_MS });
    for (let i = 0; i < 50; i += 1) {
      await host.put("x", `${i}`);
    }
    await test.shard.collect();
    expect(test.shard.book(TENANT)).toBeDefined();
    await expect(host.versions("x")).rejects.toMatchObject({ code: "TRIMMED" });
    time.advance(DAY_MS);
    await settled();
    expect(await host.versions("note")).toEqual([expect.stringMatching(/with 49$/)]);
  });

  it("F31: that is cancelled never begins, and says so however often it is asked", async () => {
    const { host, time } = await openManual();
    await defineNoter(host);
    const { instance } = await host.call({ functionName: "noter", answer: "accepted", delayMs: DAY_MS });
    const cancelled = await host.invocations.cancel(instance, TENANT);
    expect(cancelled).toMatchObject({ kind: "completed", result: { returnValue: 1, trap: "cancelled", cancelled: true } });
    expect(await host.invocations.cancel(instance, TENANT)).toEqual(cancelled);
    time.advance(2 * DAY_MS);
    await settled();
    expect(host.pool.started).toBe(0);
    const { length } = await host.book.readStream(stepTag(instance), 0);
    expect(length).toBe(2);
  });
});
