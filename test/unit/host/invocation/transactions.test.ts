import { describe, expect, it, vi } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { LocalLogBook } from "../../../../state/logbook/local-logbook.ts";
import { objectTag } from "../../../../state/tags.ts";
import type { Isolation } from "../../../../state/txn/index.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import type { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

const original = LocalLogBook.prototype.readCell;
const FOREVER = new Promise<never>(() => {});

/** Between a transaction's reads and its commit the test lets others go first, once. */
class Meeting {
  readonly #arrived = Promise.withResolvers<void>();
  readonly #go = Promise.withResolvers<void>();
  #met = false;

  async wait(): Promise<void> {
    if (!this.#met) {
      this.#met = true;
      this.#arrived.resolve();
      await this.#go.promise;
    }
  }

  async first(others: () => Promise<unknown>): Promise<void> {
    await this.#arrived.promise;
    await others();
    this.#go.resolve();
  }
}

async function numberOf(guest: ScriptedGuest, key: string): Promise<number> {
  return Number((await guest.get(key)) ?? 0);
}

/** Reads both, writes one: on call only while somebody else is. */
async function leave(guest: ScriptedGuest, own: string, isolation: Isolation, meeting?: Meeting): Promise<string> {
  await guest.transaction(isolation);
  const onCall = (await numberOf(guest, "alice")) + (await numberOf(guest, "bob"));
  await meeting?.wait();
  if (onCall > 1) {
    guest.put(own, "0");
  }
  return guest.commit();
}

async function onCall(isolation: Isolation): Promise<{ host: ScriptedHost; answers: string[] }> {
  const host = await ScriptedHost.open();
  const meeting = new Meeting();
  await host.define("leave", async (guest) => {
    guest.output(await leave(guest, guest.input, isolation, guest.input === "alice" ? meeting : undefined));
    return 0;
  });
  await host.put("alice", "1");
  await host.put("bob", "1");
  const alice = host.told({ functionName: "leave", input: "alice" });
  let bob = "";
  await meeting.first(async () => {
    bob = await host.told({ functionName: "leave", input: "bob" });
  });
  return { host, answers: [await alice, bob] };
}

describe("isolation", () => {
  it("serializable: write skew is refused, and the guest is told what changed", async () => {
    const { host, answers } = await onCall("serializable");
    expect(answers).toEqual(["0 object bob", "0 committed"]);
    expect(await host.versions("alice")).toEqual(["1"]);
  });

  it("[57] snapshot: write skew is possible, as documented", async () => {
    const { host, answers } = await onCall("snapshot");
    expect(answers).toEqual(["0 committed", "0 committed"]);
    expect([await host.versions("alice"), await host.versions("bob")]).toEqual([
      ["1", "0"],
      ["1", "0"],
    ]);
  });

  for (const [isolation, expected] of [
    ["serializable", ["0 object sum", ["0", "10"]]],
    ["snapshot", ["0 object sum", ["0", "10"]]],
    ["readAtomic", ["0 committed", ["0", "10", "1"]]],
  ] as const) {
    it(`[57] ${isolation}: a lost update is ${isolation === "readAtomic" ? "possible, as documented" : "refused"}`, async () => {
      const host = await ScriptedHost.open();
      const meeting = new Meeting();
      await host.define("add", async (guest) => {
        await guest.transaction(isolation);
        const old = await numberOf(guest, "sum");
        await meeting.wait();
        guest.put("sum", `${old + 1}`);
        guest.output(await guest.commit());
        return 0;
      });
      await host.put("sum", "0");
      const added = host.told({ functionName: "add" });
      await meeting.first(() => host.put("sum", "10"));
      expect([await added, await host.versions("sum")]).toEqual(expected);
    });
  }

  for (const change of ["create", "delete"] as const) {
    it(`F14, serializable: a phantom is refused: another call's ${change} changes what was listed`, async () => {
      const host = await ScriptedHost.open();
      const meeting = new Meeting();
      await host.define("count", async (guest) => {
        await guest.transaction();
        const { length } = await guest.list("room/");
        await meeting.wait();
        guest.put("count", `${length}`);
        guest.output(await guest.commit());
        return 0;
      });
      await host.define("other", async (guest) => {
        if (change === "create") {
          guest.put("room/new", "");
        } else {
          guest.delete("room/old");
        }
        return 0;
      });
      await host.put("room/old", "");
      const counted = host.told({ functionName: "count" });
      await meeting.first(() => host.call({ functionName: "other" }));
      expect(await counted).toBe("0 list");
      expect(await host.versions("count")).toEqual([]);
    });
  }

  it("serializable: a value that is written meanwhile is no phantom", async () => {
    const host = await ScriptedHost.open();
    const meeting = new Meeting();
    await host.define("count", async (guest) => {
      await guest.transaction();
      const { length } = await guest.list("room/");
      await meeting.wait();
      guest.put("count", `${length}`);
      guest.output(await guest.commit());
      return 0;
    });
    await host.put("room/old", "");
    const counted = host.told({ functionName: "count" });
    await meeting.first(() => host.put("room/old", "other"));
    expect(await counted).toBe("0 committed");
  });

  it("records of streams are there at once, whatever becomes of the transaction", async () => {
    const host = await ScriptedHost.open();
    await host.define("note", async (guest) => {
      await guest.transaction();
      await guest.append("feed", "noted");
      guest.put("x", "1");
      await guest.abort();
      guest.output(`${(await guest.logTail("feed")).length} ${await guest.get("x")}`);
      return 0;
    });
    expect(await host.told({ functionName: "note" })).toBe("0 1 null");
  });

  it("serializable: an object that was not there must still not be there", async () => {
    const host = await ScriptedHost.open();
    const meeting = new Meeting();
    await host.define("claim", async (guest) => {
      await guest.transaction();
      const taken = await guest.get("name");
      await meeting.wait();
      guest.put("log", `${taken}`);
      guest.output(await guest.commit());
      return 0;
    });
    const claimed = host.told({ functionName: "claim" });
    await meeting.first(() => host.put("name", "other"));
    expect(await claimed).toBe("0 object name");
  });

  it.each(["serializable", "snapshot"] as const)(
    "F13, F14, %s: a deleted object is as one that never was, and a commit that rests on it holds while it is absent",
    async (isolation) => {
      const host = await ScriptedHost.open({ test: await openTestShard({ options: { garbageMin: 1 } }) });
      const meetings = new Map([
        ["collected", new Meeting()],
        ["made again", new Meeting()],
      ]);
      await host.define("make", async (guest) => {
        await guest.transaction(isolation);
        const { text, version } = await guest.read("x");
        await meetings.get(guest.input)?.wait();
        guest.put("x", guest.input);
        guest.output(`${text} ${version} ${await guest.commit()}`);
        return 0;
      });
      await host.define("remove", async (guest) => {
        guest.delete("x");
        return 0;
      });
      const make = (input: string) => host.told({ functionName: "make", input });
      const makeAgain = async () => {
        await host.put("x", "1");
        await host.call({ functionName: "remove" });
      };
      await makeAgain();
      expect(await make("at once")).toBe("0 null 0 committed");
      await host.call({ functionName: "remove" });
      const collected = make("collected");
      await meetings.get("collected")?.first(async () => {
        await host.test.shard.collect();
        expect((await host.book.readStream(objectTag("x"), 0)).records).toEqual([]);
      });
      expect(await collected).toBe("0 null 0 committed");
      await host.call({ functionName: "remove" });
      const refused = make("made again");
      await meetings.get("made again")?.first(makeAgain);
      expect(await refused).toBe("0 null 0 object x");
    },
  );

  it("what a transaction has deleted itself has version 0 as well, and can be updated", async () => {
    const host = await ScriptedHost.open();
    await host.put("x", "1");
    await host.define("f", async (guest) => {
      await guest.transaction();
      guest.delete("x");
      const { text, version } = await guest.read("x");
      const isUpdated = await guest.compareAndSet("x", version, "2");
      guest.output(`${text} ${version} ${isUpdated} ${await guest.commit()}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 null 0 true committed");
    expect(await host.versions("x")).toEqual(["1", "2"]);
  });

  it("read-atomic: nobody sees one of two writes without the other", async () => {
    const host = await ScriptedHost.open();
    await host.define("write", async (guest) => {
      await guest.transaction("readAtomic");
      guest.put("a", guest.input);
      guest.put("b", guest.input);
      guest.output(await guest.commit());
      return 0;
    });
    const seen: string[] = [];
    await host.define("read", async (guest) => {
      await guest.transaction("readAtomic");
      seen.push(`${await guest.get("a")} ${await guest.get("b")}`);
      await guest.commit();
      // Outside of transactions too, between two steps.
      seen.push(`${await guest.get("b")} ${await guest.get("a")}`);
      return 0;
    });
    const calls: Promise<string>[] = [];
    for (let i = 0; i < 20; i += 1) {
      calls.push(host.told({ functionName: "write", input: `${i}` }), host.told({ functionName: "read" }));
    }
    await Promise.all(calls);
    expect(seen).toHaveLength(40);
    for (const both of seen) {
      const [a, b] = both.split(" ");
      expect(a).toBe(b);
    }
  });
});

describe("inside a transaction", () => {
  it("F37: every read is of one moment, whatever steps the call makes, and its own writes are seen", async () => {
    const host = await ScriptedHost.open();
    const meeting = new Meeting();
    await host.define("look", async (guest) => {
      await guest.transaction("snapshot");
      const seen = [await guest.get("x"), (await guest.list("")).join()];
      await meeting.wait();
      guest.sync();
      await guest.sleep(0);
      seen.push(await guest.get("x"), (await guest.list("")).join());
      guest.put("mine", "1");
      guest.put("a", "0");
      guest.delete("y");
      seen.push(await guest.get("mine"), await guest.get("y"), (await guest.list("")).join());
      await guest.abort();
      guest.sync();
      seen.push(await guest.get("x"), (await guest.list("")).join());
      guest.output(seen.join(" "));
      return 0;
    });
    await host.put("x", "1");
    await host.put("y", "1");
    const told = host.told({ functionName: "look" });
    await meeting.first(async () => {
      await host.put("x", "2");
      await host.put("z", "2");
    });
    expect(await told).toBe("0 1 x,y 1 x,y 1  a,mine,x 2 x,y,z");
    expect(await host.versions("mine")).toEqual([]);
  });

  it("update and its version work as outside: the read of the transaction, and its own writes", async () => {
    const host = await ScriptedHost.open();
    await host.define("f", async (guest) => {
      await guest.transaction();
      const { version } = await guest.read("n");
      guest.output(`${await guest.compareAndSet("n", version, "5")} ${await guest.compareAndSet("n", version, "6")} `);
      guest.output(`${await guest.update("n", (old) => `${Number(old) + 1}`)} ${await guest.commit()}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 true false 6 committed");
    expect(await host.versions("n")).toEqual(["6"]);
  });

  it("a commit is one request: all writes and then its step, and nothing for one that wrote nothing", async () => {
    const host = await ScriptedHost.open();
    await host.define("f", async (guest) => {
      await guest.transaction();
      await guest.get("a");
      await guest.commit();
      await guest.transaction();
      guest.put("a", "1");
      guest.put("b", "1");
      guest.put("a", "2");
      await guest.commit();
      return 0;
    });
    const { instance } = await host.call({ functionName: "f" });
    const steps = await host.steps(instance);
    const { begin, commit, done, init } = RecordKind;
    expect(steps.map(({ kind }) => kind)).toEqual([init, begin, begin, commit, done]);
    const { records } = await host.book.readStream("o/a" as never, 0);
    expect(records.map(({ seqnum }) => seqnum)).toEqual([(steps[3]?.seqnum ?? 0) - 2]);
    expect(await host.versions("a")).toEqual(["2"]);
  });

  it("a second begin, a commit or an abort without one, and an unknown isolation are refused by a code", async () => {
    const host = await ScriptedHost.open();
    await host.define("f", async (guest) => {
      const codes = [await guest.commit(), await guest.abort(), await guest.transaction("none" as Isolation)];
      codes.push(await guest.transaction(), await guest.transaction(), await guest.abort(), await guest.abort());
      guest.output(codes.join(" "));
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 -41 -41 -2 0 -40 0 -41");
  });

  it("above 300 written objects or 1,000,000 bytes nothing is written, and the guest learns it at its next read and at the commit", async () => {
    const host = await ScriptedHost.open();
    await host.define("many", async (guest) => {
      await guest.transaction("readAtomic");
      for (let i = 0; i <= Number(guest.input); i += 1) {
        guest.put(`n/${i}`, "v");
      }
      guest.output(`${await guest.get("n/0")} ${await guest.commit()} ${await guest.commit()}`);
      return 0;
    });
    await host.define("large", async (guest) => {
      await guest.transaction("snapshot");
      for (let i = 0; i < Number(guest.input); i += 1) {
        guest.put(`n/${i}`, "v".repeat(4000));
      }
      guest.output(await guest.commit());
      return 0;
    });
    expect(await host.told({ functionName: "many", input: "300" })).toBe("0 too large -5 301 objects written, 300 may be -41");
    expect(await host.told({ functionName: "large", input: "250" })).toMatch(
      /^0 -5 keys and values of 100\d{4} bytes, 1000000 may be$/,
    );
    expect(await host.versions("n/0")).toEqual([]);
    expect(await host.told({ functionName: "many", input: "299" })).toBe("0 v committed -41");
    expect(await host.told({ functionName: "large", input: "230" })).toBe("0 committed");
  });

  it("the commit of the largest serializable transaction fits a frame, conditions and long keys included", async () => {
    const host = await ScriptedHost.open();
    const key = (i: number) => `${i}/${"ä".repeat(500)}`;
    await host.define("f", async (guest) => {
      await guest.transaction();
      let i = 0;
      for (; (await guest.get(key(i))) === null; i += 1) {
        await null;
      }
      await guest.abort();
      await guest.transaction();
      for (let j = 0; j < i - 2; j += 1) {
        await guest.get(key(j));
      }
      guest.put("k", "v");
      guest.output(`${i} ${await guest.commit()}`);
      return 0;
    });
    const [, objects, outcome] = (await host.told({ functionName: "f" })).split(" ");
    expect(Number(objects)).toBeGreaterThan(900);
    expect(outcome).toBe("committed");
  });

  it("values too large for a record are blobs, read back in the transaction and after it", async () => {
    const host = await ScriptedHost.open();
    const text = "x".repeat(100_000);
    await host.define("f", async (guest) => {
      await guest.transaction();
      guest.put("blob", text);
      const inside = (await guest.get("blob")) === text;
      guest.output(`${inside} ${await guest.commit()} ${(await guest.get("blob")) === text}`);
      return 0;
    });
    expect(await host.told({ functionName: "f" })).toBe("0 true committed true");
  });

  it("storage parts run where the call is", async () => {
    const host = await ScriptedHost.open({ partSlots: 4 });
    await host.define("f", {
      main: async (guest) => {
        await guest.transaction();
        guest.put("x", "1");
        await guest.part("x", 0);
        guest.output(await guest.commit());
        return 0;
      },
      parts: [
        async (guest) => {
          guest.put("y", `${await guest.get("x")}2`);
          return 0;
        },
      ],
    });
    const answer = await host.call({ functionName: "f" });
    expect(answer.kind === "completed" && answer.trace.parts).toEqual([
      { executedAt: "compute", reason: "inside a transaction", deltaOutBytes: 0, deltaBackBytes: 0 },
    ]);
    expect(await host.versions("y")).toEqual(["12"]);
  });
});

describe("a transaction that is run again", () => {
  it("F10: is refused in the replay where it was refused, and told the same", async () => {
    const host = await ScriptedHost.open();
    const meeting = new Meeting();
    await host.define("f", async (guest) => {
      const told: string[] = [];
      for (let outcome = ""; outcome !== "committed"; ) {
        await guest.transaction();
        const old = await numberOf(guest, "x");
        await meeting.wait();
        guest.put("x", `${old + 1}`);
        outcome = await guest.commit();
        told.push(`${old} ${outcome}`);
      }
      await guest.get("x");
      guest.output(told.join(", "));
      return host.pool.started < 2 ? FOREVER : 0;
    });
    const told = host.told({ functionName: "f" });
    await meeting.first(() => host.put("x", "10"));
    await settled();
    for (const guest of host.pool.running) {
      guest.displace();
    }
    expect(await told).toBe("0 0 object x, 10 committed");
    expect(await host.versions("x")).toEqual(["10", "11"]);
  });

  it("F32: that asks for other writes at its commit is not deterministic, and parked", async () => {
    const host = await ScriptedHost.open();
    let runs = 0;
    await host.define("f", async (guest) => {
      runs += 1;
      await guest.transaction();
      guest.put("x", `${runs}`);
      await guest.commit();
      return runs < 2 ? FOREVER : 0;
    });
    const told = host.told({ functionName: "f" });
    await settled();
    for (const guest of host.pool.running) {
      guest.displace();
    }
    expect(await told).toContain("parked: NOT_DETERMINISTIC");
    expect(await host.versions("x")).toEqual(["1"]);
  });
});

describe("H27: a commit of many objects", () => {
  const OBJECTS = 300;

  it.for(["snapshot", "serializable"] as const)(
    "%s: looks them up in slices, between which others have their turn",
    async (isolation) => {
      const host = await ScriptedHost.open();
      await host.define("fill", async (guest) => {
        await guest.transaction(isolation);
        for (let i = 0; i < OBJECTS; i += 1) {
          // An absent object is looked up again at the commit.
          if (isolation === "serializable" && i % 2 === 0) {
            await guest.get(`o${i}`);
          }
          guest.put(`o${i}`, "1");
        }
        committing = true;
        guest.output(await guest.commit());
        return 0;
      });
      let committing = false;
      let inTurn = 0;
      let longest = 0;
      const reads = vi.spyOn(LocalLogBook.prototype, "readCell").mockImplementation(function (this: LocalLogBook, ...args) {
        inTurn += committing ? 1 : 0;
        longest = Math.max(longest, inTurn);
        return original.apply(this, args);
      });
      const turn = () => {
        inTurn = 0;
        next = setImmediate(turn);
      };
      let next = setImmediate(turn);
      expect(await host.told({ functionName: "fill" })).toBe("0 committed");
      clearImmediate(next);
      reads.mockRestore();
      expect(longest).toBeGreaterThan(50);
      expect(longest).toBeLessThan(OBJECTS / 2);
      expect(await host.versions(`o${OBJECTS - 1}`)).toEqual(["1"]);
    },
  );
});
