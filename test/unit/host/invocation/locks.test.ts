import { describe, expect, it } from "vitest";
import { type HeldLock, RecordKind } from "../../../../state/logbook/index.ts";
import { lockTag } from "../../../../state/tags.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});
const gate = () => Promise.withResolvers<void>();

async function held(host: ScriptedHost): Promise<readonly HeldLock[]> {
  return (await host.book.locks()).locks;
}

describe("[55] a lock", () => {
  it("has one holder at a time, first come first served, and none of them is forgotten", async () => {
    const host = await ScriptedHost.open();
    let inside = 0;
    const order: string[] = [];
    await host.define("f", async (guest) => {
      await guest.lock("l");
      inside += 1;
      expect(inside).toBe(1);
      order.push(guest.input);
      await guest.sleep(0);
      inside -= 1;
      await guest.unlock("l");
      return 0;
    });
    const calls: Promise<string>[] = [];
    for (let i = 0; i < 20; i += 1) {
      calls.push(host.told({ functionName: "f", input: `${i}` }));
      await settled();
    }
    expect(await Promise.all(calls)).toEqual(Array(20).fill("0 "));
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
    expect(await held(host)).toEqual([]);
  });

  it("shows the next holder everything that the one before had written", async () => {
    const host = await ScriptedHost.open();
    await host.define("count", async (guest) => {
      await guest.get("n");
      await guest.lock("l");
      const n = Number((await guest.get("n")) ?? 0);
      guest.put("n", `${n + 1}`);
      await guest.unlock("l");
      return 0;
    });
    await Promise.all(Array.from({ length: 30 }, () => host.call({ functionName: "count" })));
    expect((await host.versions("n")).at(-1)).toBe("30");
  });

  it("moves the cursor in a replay as it did before, taken or not", async () => {
    const host = await ScriptedHost.open();
    const reached = gate();
    const go = gate();
    await host.define("holder", async (guest) => {
      await guest.lock("other");
      reached.resolve();
      await go.promise;
      guest.put("x", "late");
      return 0;
    });
    const seen: string[] = [];
    await host.define("f", async (guest) => {
      await guest.get("x");
      await host.put("x", "1");
      await guest.lock("l");
      const first = await guest.get("x");
      await host.put("x", "2");
      const busy = await guest.tryLock("other");
      seen.push(`${first} ${busy} ${await guest.get("x")}`);
      return seen.length < 2 ? FOREVER : 0;
    });
    const holder = host.call({ functionName: "holder" });
    await reached.promise;
    const told = host.told({ functionName: "f" });
    await settled();
    // By the time of the replay the other lock is free, and x is newer.
    go.resolve();
    await holder;
    for (const guest of host.pool.running) {
      guest.displace();
    }
    expect(await told).toBe("0 ");
    expect(seen).toEqual(["1 0 2", "1 0 2"]);
  });

  it("is not taken by tryLock while another call holds it, and its token grows", async () => {
    const host = await ScriptedHost.open();
    const reached = gate();
    const go = gate();
    await host.define("holder", async (guest) => {
      guest.output(`${await guest.tryLock("l")}`);
      reached.resolve();
      await go.promise;
      return 0;
    });
    await host.define("try", async (guest) => {
      guest.output(`${await guest.tryLock("l")}`);
      return 0;
    });
    const holder = host.told({ functionName: "holder" });
    await reached.promise;
    expect(await host.told({ functionName: "try" })).toBe("0 0");
    go.resolve();
    const first = Number((await holder).split(" ")[1]);
    const second = Number((await host.told({ functionName: "try" })).split(" ")[1]);
    expect([first > 0, second > first]).toEqual([true, true]);
  });

  it("can be taken again by functions of the same call, and is free when it was given back as often", async () => {
    const host = await ScriptedHost.open();
    const counts: number[] = [];
    const note = async () => counts.push((await held(host))[0]?.count ?? 0);
    await host.define("child", async (guest) => {
      await guest.lock("l");
      await note();
      await guest.unlock("l");
      await note();
      // Given back at its end.
      await guest.lock("l");
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.lock("l");
      await guest.lock("l");
      await note();
      await guest.call("child");
      await note();
      await guest.unlock("l");
      await note();
      await guest.unlock("l");
      await note();
      guest.output(`${await guest.unlock("l")}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 -43");
    expect(counts).toEqual([2, 3, 2, 2, 1, 0]);
  });

  it("taken by a called function is kept while its caller holds it too, and by nobody after both", async () => {
    const host = await ScriptedHost.open();
    await host.define("child", async (guest) => {
      await guest.lock("l");
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.call("child");
      guest.output(`${(await held(host)).length}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 0");
  });

  it("is given back by the end of a call, also by a trap, and whoever waits gets it", async () => {
    const host = await ScriptedHost.open();
    const reached = gate();
    const go = gate();
    await host.define("holder", async (guest) => {
      await guest.lock("l");
      reached.resolve();
      await go.promise;
      return guest.input === "trap" ? guest.trap("no") : 0;
    });
    await host.define("next", async (guest) => {
      guest.output(`${(await guest.lock("l")) > 0}`);
      return 0;
    });
    const holder = host.told({ functionName: "holder", input: "trap" });
    await reached.promise;
    const next = host.told({ functionName: "next" });
    await settled();
    go.resolve();
    expect([await holder, await next]).toEqual(["trap no", "0 true"]);
    expect(await held(host)).toEqual([]);
  });

  it("never taken cannot be given back: a code, and no record", async () => {
    const host = await ScriptedHost.open();
    await host.define("f", async (guest) => await guest.unlock("l"));
    expect(await host.told({ functionName: "f" })).toBe("-43 ");
    expect((await host.book.readStream("l/l" as never, 0)).length).toBe(0);
  });

  it("is one of at most 100 that a function holds", async () => {
    const host = await ScriptedHost.open();
    await host.define("f", async (guest) => {
      let code = 1;
      for (let i = 0; code > 0; i += 1) {
        code = await guest.lock(`l/${i}`);
      }
      guest.output(`${code} ${(await held(host)).length}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 -5 100");
  });

  it("is kept by an interrupted call, which is found to hold it after a crash, and goes on with it", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("holder", async (guest) => {
      const token = await guest.lock("l");
      guest.output(`${token > 0}`);
      await (stuck ? FOREVER : Promise.resolve());
      guest.put("x", "holder");
      return 0;
    });
    await host.define("next", async (guest) => {
      await guest.lock("l");
      guest.output(`${await guest.get("x")}`);
      return 0;
    });
    void host.call({ functionName: "holder", key: "k" });
    await settled();
    await host.test.shard.whenDurable(await host.book.tail());
    const again = await host.crash();
    expect(await held(again)).toMatchObject([{ name: "l", count: 1, parked: false }]);
    const next = again.told({ functionName: "next" });
    await settled();
    stuck = false;
    again.invocations.startRecovery(10_000);
    expect(await next).toBe("0 holder");
    expect(await again.told({ functionName: "holder", key: "k" })).toBe("0 true");
  });

  it("is waited for without a sandbox when that takes long, and without losing the place in the queue", async () => {
    const host = await ScriptedHost.open({ limits: { wallTimeMs: 60 } });
    const reached = gate();
    await host.define("holder", async (guest) => {
      await guest.lock("l");
      reached.resolve();
      await guest.sleep(150);
      return 0;
    });
    const order: string[] = [];
    await host.define("next", async (guest) => {
      await guest.lock("l");
      order.push(guest.input);
      return 0;
    });
    const holder = host.told({ functionName: "holder" });
    await reached.promise;
    const first = host.told({ functionName: "next", input: "first" });
    await settled();
    const second = host.told({ functionName: "next", input: "second" });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(host.pool.running.size).toBe(0);
    host.test.time.advance(200);
    expect(await Promise.all([holder, first, second])).toEqual(["0 ", "0 ", "0 "]);
    expect(order).toEqual(["first", "second"]);
  });

  it("is left alone by a call that stops waiting: the next in the queue gets it", async () => {
    const host = await ScriptedHost.open();
    const reached = gate();
    const go = gate();
    await host.define("holder", async (guest) => {
      await guest.lock("l");
      reached.resolve();
      await go.promise;
      return 0;
    });
    await host.define("next", async (guest) => {
      await guest.lock("l");
      return 0;
    });
    const holder = host.told({ functionName: "holder" });
    await reached.promise;
    const gone = new AbortController();
    const first = host.told({ functionName: "next", signal: gone.signal });
    await settled();
    const second = host.told({ functionName: "next" });
    await settled();
    gone.abort();
    expect(await first).toBe("failed: CANCELLED");
    go.resolve();
    expect(await Promise.all([holder, second])).toEqual(["0 ", "0 "]);
  });
});

describe("[55] locks of a transaction", () => {
  for (const end of ["commit", "abort"] as const) {
    for (const wrote of [true, false]) {
      it(`are released by its ${end}${wrote ? "" : ", although it wrote nothing"}`, async () => {
        const host = await ScriptedHost.open();
        const counts: number[] = [];
        const note = async () => counts.push((await held(host)).length);
        await host.define("f", async (guest) => {
          await guest.lock("before");
          await guest.transaction();
          await guest.lock("inside");
          await guest.tryLock("too");
          if (wrote) {
            guest.put("x", "1");
          }
          await note();
          guest.output(`${end === "commit" ? await guest.commit() : await guest.abort()}`);
          await note();
          return 0;
        });
        expect(await host.told({ functionName: "f" })).toBe(end === "commit" ? "0 committed" : "0 0");
        expect(counts).toEqual([3, 1]);
        expect(await held(host)).toEqual([]);
      });
    }
  }

  it("are released when its commit is refused", async () => {
    const host = await ScriptedHost.open();
    await host.define("f", async (guest) => {
      await guest.transaction();
      await guest.lock("l");
      await guest.get("x");
      await host.put("x", "other");
      guest.put("y", "1");
      guest.output(`${await guest.commit()} ${(await held(host)).length}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 object x 0");
  });

  it("are kept past the end of the called function that took them, until the transaction's", async () => {
    const host = await ScriptedHost.open();
    const counts: number[] = [];
    await host.define("child", async (guest) => {
      await guest.lock("l");
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      await guest.call("child");
      counts.push((await held(host)).length);
      guest.output(await guest.commit());
      counts.push((await held(host)).length);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 committed");
    expect(counts).toEqual([1, 0]);
  });
});

describe("[55] locks that a called function took for a transaction, when it does not tell", () => {
  for (const end of ["commit", "abort"] as const) {
    it(`as it was cancelled: the ${end} gives them back`, async () => {
      const host = await ScriptedHost.open();
      const counts: number[] = [];
      await host.define("child", async (guest) => {
        await guest.lock("l");
        return FOREVER;
      });
      await host.define("between", async (guest) => {
        const handle = guest.callStart("child", "");
        await settled();
        await guest.cancelCall(handle);
        await guest.callAwait(handle);
        return 0;
      });
      await host.define("caller", async (guest) => {
        await guest.transaction();
        await guest.call("between");
        counts.push((await held(host)).length);
        guest.output(`${end === "commit" ? await guest.commit() : await guest.abort()}`);
        counts.push((await held(host)).length);
        return 0;
      });
      expect(await host.told({ functionName: "caller" })).toBe(end === "commit" ? "0 committed" : "0 0");
      expect(counts).toEqual([1, 0]);
    });
  }

  it("as the transaction was over before: the abort gives back what it had, its own end what it takes later", async () => {
    const host = await ScriptedHost.open();
    const go = gate();
    const counts: number[] = [];
    await host.define("child", async (guest) => {
      await guest.lock("early");
      await go.promise;
      await guest.lock("late");
      await guest.lock("given");
      await guest.unlock("given");
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      const handle = guest.callStart("child", "");
      await settled();
      counts.push((await held(host)).length);
      await guest.abort();
      counts.push((await held(host)).length);
      go.resolve();
      await guest.callAwait(handle);
      counts.push((await held(host)).length);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 ");
    expect(counts).toEqual([1, 0, 0]);
  });

  it("as the caller is in another one by then: its own end gives back what it takes, and its unlock nothing of the other one", async () => {
    const host = await ScriptedHost.open();
    const go = gate();
    const names: string[][] = [];
    const look = async () => names.push((await held(host)).map(({ name }) => name));
    await host.define("child", async (guest) => {
      await go.promise;
      await guest.lock("late");
      await guest.lock("both");
      await guest.unlock("both");
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      const handle = guest.callStart("child", "");
      await guest.abort();
      await guest.transaction();
      await guest.lock("both");
      go.resolve();
      await guest.callAwait(handle);
      await look();
      guest.output(await guest.commit());
      await look();
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 committed");
    expect(names).toEqual([["both"], []]);
  });
});

describe("a lock that an administrator breaks", () => {
  it("goes to the next; the unlock of the one before is harmless, and its transaction is refused", async () => {
    const host = await ScriptedHost.open();
    const reached = gate();
    const go = gate();
    await host.define("old", async (guest) => {
      await guest.lock("l");
      reached.resolve();
      await go.promise;
      await guest.transaction("readAtomic");
      guest.put("x", "old");
      guest.output(`${await guest.commit()} ${await guest.unlock("l")} ${(await held(host))[0]?.count}`);
      // What is outside of a transaction is not kept from happening.
      guest.put("y", "old");
      return 0;
    });
    const done = gate();
    await host.define("new", async (guest) => {
      await guest.lock("l");
      await guest.transaction("readAtomic");
      guest.put("x", "new");
      guest.output(await guest.commit());
      await done.promise;
      return 0;
    });
    const old = host.told({ functionName: "old" });
    await reached.promise;
    const next = host.told({ functionName: "new" });
    await settled();
    await host.invocations.breakLock("l", TENANT, "administrator");
    await settled();
    go.resolve();
    expect(await old).toBe("0 lock l 0 1");
    done.resolve();
    expect(await next).toBe("0 committed");
    expect([await host.versions("x"), await host.versions("y")]).toEqual([["new"], ["old"]]);
  });

  it("refuses no transaction of a function that the holder called, nor one that commits behind the unlock", async () => {
    const host = await ScriptedHost.open();
    const broken = gate();
    await host.define("called", async (guest) => {
      await guest.transaction();
      guest.put("x", "called");
      await broken.promise;
      guest.output(await guest.commit());
      return 0;
    });
    await host.define("holder", async (guest) => {
      await guest.lock("l");
      const { text } = await guest.call("called");
      await guest.transaction();
      guest.put("y", "holder");
      await guest.unlock("l");
      guest.output(`${text} ${await guest.commit()}`);
      return 0;
    });
    const asked = host.told({ functionName: "holder" });
    await settled();
    await host.invocations.breakLock("l", TENANT, "administrator");
    broken.resolve();
    expect(await asked).toBe("0 committed committed");
  });

  it("is shown with its holder, since when it is held, and that the holder is parked; the act is in the log", async () => {
    const host = await ScriptedHost.open();
    let runs = 0;
    await host.define("f", async (guest) => {
      runs += 1;
      await guest.lock("l");
      guest.put("x", `${runs}`);
      await guest.get("x");
      return runs < 2 ? FOREVER : 0;
    });
    const asked = host.call({ functionName: "f" });
    await settled();
    for (const guest of host.pool.running) {
      guest.displace();
    }
    const { instance } = await asked;
    const locks = await host.invocations.locks(TENANT);
    expect(locks).toMatchObject([{ name: "l", holder: instance, root: instance, count: 1, parked: true }]);
    expect(locks[0]?.sinceMs).toBe(host.test.time.now());
    await host.invocations.breakLock("l", TENANT, "administrator");
    expect(await host.invocations.locks(TENANT)).toEqual([]);
    const { records } = await host.book.readStream("l/l" as never, 0);
    expect(records.map(({ kind }) => kind)).toEqual([RecordKind.lock, RecordKind.lockBroken]);
    await expect(host.invocations.breakLock("l", TENANT, "administrator")).rejects.toMatchObject({ code: "UNKNOWN_LOCK" });
  });

  it("is an act that is shown later: what was held, whose act it was and when, also after collections and on another host", async () => {
    const host = await ScriptedHost.open();
    await host.define("f", async (guest) => {
      await guest.lock(guest.input);
      return FOREVER;
    });
    const told: unknown[] = [];
    for (const [name, by] of [
      ["a", "administrator"],
      ["b/ü", "tenant"],
    ] as const) {
      void host.call({ functionName: "f", input: name });
      await settled();
      const [lock] = await host.invocations.locks(TENANT);
      host.test.time.advance(7);
      await host.invocations.breakLock(name, TENANT, by);
      const { holder, root, token } = lock ?? {};
      told.unshift({ name, holder, root, token, by, brokenMs: host.test.time.now(), seqnum: expect.any(Number) });
    }
    expect(await host.invocations.brokenLocks(TENANT)).toEqual(told);
    for (const { instance } of await host.invocations.unfinished(TENANT)) {
      await host.invocations.cancel(instance, TENANT);
    }
    await host.put("x", "1");
    await host.put("x", "2");
    await host.test.shard.collect();
    expect((await host.book.tailOf(lockTag("a"))).length).toBe(0);
    const next = await host.crash();
    expect(await next.invocations.brokenLocks(TENANT)).toEqual(told);
    expect(await next.invocations.locks(TENANT)).toEqual([]);
  });
});
