import { describe, expect, it } from "vitest";
import { InvariantBroken } from "../../../../state/errors.ts";
import { MAX_SEQNUM } from "../../../../state/ids.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { decodeObjectValue } from "../../../../state/objects/index.ts";
import { objectTag } from "../../../../state/tags.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, TENANT, tell } from "../../../support/scripted-host.ts";
import type { ScriptedGuest } from "../../../support/scripted-pool.ts";

const FOREVER = new Promise<never>(() => {});

/** The only guest that runs now. */
function theGuest(host: ScriptedHost): ScriptedGuest {
  const [guest, another] = host.pool.running;
  expect(another).toBeUndefined();
  if (guest === undefined) {
    throw new Error("no guest is running");
  }
  return guest;
}

/** Kills every attempt from now on as soon as it waits for something. */
async function killAll(host: ScriptedHost, asked: Promise<unknown>): Promise<void> {
  let over = false;
  void asked.then(() => {
    over = true;
  });
  while (!over) {
    for (const guest of host.pool.running) {
      guest.kill("wallTime");
    }
    await settled();
  }
}

describe("F17: what the host did to an attempt is no result", () => {
  it("a call that was ended before it logged anything has failed, and nothing happened", async () => {
    const host = await ScriptedHost.open();
    await host.define("stuck", async (guest) => {
      await guest.get("x");
      return FOREVER;
    });
    const asked = host.call({ functionName: "stuck" });
    await settled();
    theGuest(host).kill("wallTime");
    const answer = await asked;
    expect(tell(answer)).toBe("failed: TIME_LIMIT");
    expect(await host.steps(answer.instance)).toEqual([]);
  });

  it("a logged root whose attempts are all ended is parked, and the client is told that the outcome is pending", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("stuck", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      return stuck ? FOREVER : 4;
    });
    const asked = host.call({ functionName: "stuck", key: "k" });
    await settled();
    await killAll(host, asked);
    const answer = await asked;
    expect(tell(answer)).toBe("parked: 3 attempts were ended by the host: killed by the test: wallTime");
    expect(host.pool.started).toBe(3);
    expect(await host.versions("x")).toEqual(["1"]);
    expect(await host.invocations.statusOfInstance(answer.instance, TENANT)).toMatchObject({ kind: "parked" });
    expect(await host.invocations.unfinished(TENANT)).toMatchObject([{ instance: answer.instance, parked: true }]);

    stuck = false;
    host.invocations.startRecovery(10_000);
    await settled();
    expect(host.pool.started).toBe(3);
    await host.invocations.resume(answer.instance, TENANT);
    expect(await host.told({ functionName: "stuck", key: "k" })).toBe("4 ");
    expect(await host.versions("x")).toEqual(["1"]);
    await expect(host.invocations.resume(answer.instance, TENANT)).rejects.toMatchObject({ code: "UNKNOWN_INSTANCE" });
    await host.invocations.drain(0);
  });

  it("a parked call can be resumed through any node, and stays parked over a restart", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("stuck", async (guest) => {
      guest.put("x", "1");
      return stuck ? FOREVER : 4;
    });
    const park = async (key: string) => {
      const asked = host.call({ functionName: "stuck", key });
      await settled();
      await killAll(host, asked);
      return (await asked).instance;
    };
    const [first, second] = [await park("a"), await park("b")];
    stuck = false;
    const other = await ScriptedHost.open({ test: host.test, pool: host.pool });
    other.invocations.startRecovery(10_000);
    await settled();
    await other.invocations.resume(first, TENANT);
    expect(await other.told({ functionName: "stuck", key: "a" })).toBe("4 ");
    await other.invocations.drain(0);

    const restarted = await host.crash();
    restarted.invocations.startRecovery(10_000);
    await settled();
    expect(await restarted.invocations.statusOfInstance(second, TENANT)).toMatchObject({ kind: "parked" });
    expect(restarted.pool.started).toBe(0);
    await restarted.invocations.drain(0);
  });

  it("H7: a displaced attempt is made again, as often as it takes, and no step is doubled", async () => {
    const host = await ScriptedHost.open();
    await host.define("count", async (guest) => {
      await guest.update("n", (old) => `${Number(old ?? 0) + 1}`);
      await guest.sleep(0);
      await guest.get("n");
      return guest.input === String(host.pool.started) ? 0 : FOREVER;
    });
    const asked = host.told({ functionName: "count", input: "8" });
    for (let i = 0; i < 7; i += 1) {
      await settled();
      theGuest(host).displace();
    }
    expect(await asked).toBe("0 ");
    expect(await host.versions("n")).toEqual(["1"]);
  });

  it("an overloaded pool ends no logged call: it is tried again until there is room", async () => {
    const host = await ScriptedHost.open();
    await host.define("write", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      return guest.input === String(host.pool.started) ? 0 : FOREVER;
    });
    const asked = host.told({ functionName: "write", input: "5" });
    for (let i = 0; i < 4; i += 1) {
      while (host.pool.running.size === 0) {
        await settled();
      }
      await settled();
      theGuest(host).kill("overloaded");
    }
    expect(await asked).toBe("0 ");
    expect(await host.versions("x")).toEqual(["1"]);
  });

  it("a host that stops leaves a logged call to its next start", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("write", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      return stuck ? FOREVER : 0;
    });
    const asked = host.told({ functionName: "write", key: "k" });
    await settled();
    await host.pool.close();
    expect(await asked).toMatch(/^pending: the host is stopping/);
    await host.test.shard.whenDurable(await host.book.tail());
    stuck = false;
    const again = await host.crash();
    again.invocations.startRecovery(10_000);
    expect(await again.told({ functionName: "write", key: "k" })).toBe("0 ");
    expect(await again.versions("x")).toEqual(["1"]);
    await again.invocations.drain(0);
  });
});

describe("F17: what the guest did is a result", () => {
  it("a trap after a step is logged, and told again without running the guest", async () => {
    const host = await ScriptedHost.open();
    await host.define("traps", async (guest) => {
      guest.put("x", "1");
      return guest.trap("division by zero");
    });
    expect(await host.told({ functionName: "traps", key: "k" })).toBe("trap division by zero");
    const again = await host.crash();
    expect(await again.told({ functionName: "traps", key: "k" })).toBe("trap division by zero");
    expect(again.pool.started).toBe(0);
    expect(await again.versions("x")).toEqual(["1"]);
  });

  it("a trap before any step is answered and leaves nothing behind", async () => {
    const host = await ScriptedHost.open();
    await host.define("traps", async (guest) => guest.trap("at once"));
    const answer = await host.call({ functionName: "traps" });
    expect(tell(answer)).toBe("trap at once");
    expect(await host.steps(answer.instance)).toEqual([]);
  });

  it("comes after every operation before it, also posted ones", async () => {
    const host = await ScriptedHost.open();
    await host.define("writes", async (guest) => {
      for (let i = 0; i < 50; i += 1) {
        guest.put("x", `${i}`);
      }
      return 7;
    });
    expect(await host.told({ functionName: "writes" })).toBe("7 ");
    expect(await host.versions("x")).toHaveLength(50);
  });

  it("F32: a replay that does something else is parked and says what", async () => {
    const host = await ScriptedHost.open();
    let other = false;
    await host.define("random", async (guest) => {
      guest.put("x", other ? "b" : "a");
      await guest.get("x");
      return other ? 0 : FOREVER;
    });
    const asked = host.told({ functionName: "random" });
    await settled();
    other = true;
    theGuest(host).displace();
    expect(await asked).toMatch(/^parked: NOT_DETERMINISTIC: step 1 was kind 5/);
    expect(await host.versions("x")).toEqual(["a"]);
  });
});

describe("an attempt that is stopped in the middle of an append", () => {
  /** A host whose appends wait for the disk, which does nothing before `flush`. */
  async function fullHost() {
    const journal = new MemoryJournal();
    const host = await ScriptedHost.open({ test: await openTestShard({ journal, options: { undurableMaxBytes: 1 } }) });
    await host.define("write", async (guest) => {
      guest.put("x", guest.input);
      await guest.get("x");
      return 0;
    });
    await host.test.shard.whenDurable(await host.book.tail());
    journal.automatic = false;
    await host.put("y", "fills the disk's queue");
    const flush = async () => {
      while (journal.flush()) {
        await settled();
      }
    };
    return { host, flush };
  }

  it("F17: does not count as one that has logged nothing: it waits for the outcome of the append", async () => {
    const { host, flush } = await fullHost();
    const asked = host.told({ functionName: "write", input: "1" });
    await settled();
    expect(await host.versions("x")).toEqual([]);
    theGuest(host).kill("workerLost");
    await settled();
    let answer: string | undefined;
    void asked.then((told) => {
      answer = told;
    });
    while (answer === undefined) {
      await flush();
      await settled();
    }
    expect(answer).toBe("0 ");
    expect(await host.versions("x")).toEqual(["1"]);
  });

  it("H28: goes on when the client goes away", async () => {
    const { host, flush } = await fullHost();
    const client = new AbortController();
    const asked = host.told({ functionName: "write", input: "1", signal: client.signal });
    await settled();
    client.abort();
    await flush();
    await settled();
    await flush();
    expect(await asked).toBe("0 ");
    expect(await host.versions("x")).toEqual(["1"]);
  });
});

describe("an operation that is under way when its attempt is stopped", () => {
  it("has no effect any more: a value that was still being stored is not written", async () => {
    const host = await ScriptedHost.open({ partSlots: 1 });
    await host.define("write", {
      main: async (guest) => {
        guest.put("x", "x".repeat(5000));
        await guest.get("x");
        return 0;
      },
      parts: [],
    });
    await host.define("part", {
      main: (guest) => guest.part("x", 0),
      parts: [
        async (guest) => {
          guest.put("x", "x".repeat(5000));
          await guest.get("x");
          return 0;
        },
      ],
    });
    const { blobs } = host.test;
    const create = blobs.create.bind(blobs);
    for (const functionName of ["write", "part"]) {
      const gate = Promise.withResolvers<void>();
      blobs.create = async (name) => {
        await gate.promise;
        return create(name);
      };
      const client = new AbortController();
      const asked = host.told({ functionName, signal: client.signal });
      await settled();
      client.abort();
      await settled();
      gate.resolve();
      expect(await asked, functionName).toBe("failed: CANCELLED");
      expect(await host.versions("x")).toEqual([]);
    }
  });
});

describe("a shortage of the host", () => {
  it("F34: a call whose first step finds the disk full has failed: nothing was ordered", async () => {
    const journal = new MemoryJournal();
    const host = await ScriptedHost.open({ test: await openTestShard({ journal }) });
    await host.define("write", async (guest) => {
      guest.put("x", "1");
      return 0;
    });
    await host.test.shard.whenDurable(await host.book.tail());
    journal.roomBytes = 0;
    const answer = await host.call({ functionName: "write" });
    expect(tell(answer)).toBe("failed: DISK_FULL");
    expect(await host.steps(answer.instance)).toEqual([]);
  });

  it("F24: a later step that finds the disk full is tried again until there is room; the guest does not see it", async () => {
    const journal = new MemoryJournal();
    const host = await ScriptedHost.open({ test: await openTestShard({ journal }) });
    await host.define("write", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      journal.roomBytes = host.pool.started < 6 ? 0 : Number.POSITIVE_INFINITY;
      guest.put("x", "2");
      return 3;
    });
    expect(await host.told({ functionName: "write" })).toBe("3 ");
    expect(host.pool.started).toBe(6);
    expect(await host.versions("x")).toEqual(["1", "2"]);
  });

  it("F7: a replay that computes another value stores it under a new name, and only that one is committed", async () => {
    const journal = new MemoryJournal();
    const host = await ScriptedHost.open({ test: await openTestShard({ journal }) });
    const read: (string | null)[] = [];
    await host.define("copy", async (guest) => {
      const text = (await guest.get("y")) ?? "";
      read.push(text);
      journal.roomBytes = text === "old" ? 0 : Number.POSITIVE_INFINITY;
      guest.put("x", text.repeat(5000));
      return 0;
    });
    await host.put("y", "old");
    const before = new Set(host.test.blobs.blobs.keys());
    const asked = host.told({ functionName: "copy", key: "k" });
    while (journal.roomBytes > 0) {
      await settled();
    }
    await settled();
    journal.roomBytes = Number.POSITIVE_INFINITY;
    await host.put("y", "new");
    expect(await asked).toBe("0 ");
    expect(read).toEqual(["old", "new"]);
    const stored = [...host.test.blobs.blobs].filter(([name]) => !before.has(name));
    expect(stored.map(([, bytes]) => Buffer.from(bytes).toString().slice(0, 3))).toEqual(["new"]);
    const { record } = await host.book.readPrev(objectTag("x"), MAX_SEQNUM);
    const value = record === null ? null : decodeObjectValue(record);
    expect(value?.kind === "blob" && value.ref.name).toBe(stored[0]?.[0]);
  });

  it("an error that nobody expected fails the call only, and parks it when something is logged", async () => {
    const host = await ScriptedHost.open();
    await host.define("stage", async (guest) => {
      if (guest.input !== "") {
        guest.put("x", guest.input);
      }
      await guest.stage(Buffer.from("large"));
      return 0;
    });
    host.test.blobs.create = () => Promise.reject(Object.assign(new Error("no space left"), { code: "ENOSPC" }));
    expect(await host.told({ functionName: "stage" })).toBe("failed: INTERNAL");
    expect(await host.told({ functionName: "stage", input: "1" })).toMatch(/^parked: 3 attempts were ended by the host/);
    expect(await host.versions("x")).toEqual(["1"]);
  });

  it("a broken invariant is not taken for a failure of the call: it reaches the process", async () => {
    const host = await ScriptedHost.open();
    await host.define("hello", async () => 0);
    const broken = new InvariantBroken("for the test");
    host.source.current = () => {
      throw broken;
    };
    await expect(host.call({ functionName: "hello" })).rejects.toBe(broken);
  });
});

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

describe("H28: a client that goes away", () => {
  async function openHost() {
    const host = await ScriptedHost.open();
    await host.define("write", async (guest) => {
      await guest.get("x");
      if (guest.input !== "") {
        guest.put("x", guest.input);
      }
      await guest.sleep(0);
      return 0;
    });
    return host;
  }

  it("stops a call that has logged nothing, also one whose module is still being loaded", async () => {
    const host = await openHost();
    await host.define("stuck", async () => FOREVER);
    const client = new AbortController();
    const running = host.told({ functionName: "stuck", signal: client.signal });
    await settled();
    const loading = host.told({ functionName: "write", signal: client.signal });
    client.abort();
    expect(await Promise.all([running, loading])).toEqual(["failed: CANCELLED", "failed: CANCELLED"]);
    expect(host.pool.running.size).toBe(0);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
  });

  it("does not stop one that has", async () => {
    const host = await openHost();
    const gate = Promise.withResolvers<void>();
    await host.define("gated", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      await gate.promise;
      guest.put("x", "2");
      return 0;
    });
    const client = new AbortController();
    const asked = host.told({ functionName: "gated", signal: client.signal });
    await settled();
    client.abort();
    gate.resolve();
    expect(await asked).toBe("0 ");
    expect(await host.versions("x")).toEqual(["1", "2"]);
  });

  it("does not stop a keyed one: its INIT is logged", async () => {
    const host = await openHost();
    const client = new AbortController();
    const asked = host.told({ functionName: "write", input: "1", key: "k", signal: client.signal });
    client.abort();
    expect(await asked).toBe("0 ");
  });
});

describe("a call that others overtake again and again before it has logged anything", () => {
  it("F11: gets to its end although each time the versions it reads are collected", async () => {
    const host = await ScriptedHost.open({ test: await openTestShard({ options: { garbageMin: 1 } }) });
    await host.define("slow", async (guest) => {
      await guest.get("y");
      await host.put("x", `${host.pool.started}`);
      await host.put("x", `${host.pool.started}`);
      await host.test.shard.collect();
      guest.output(`${await guest.get("x")}`);
      return 0;
    });
    const answer = await host.call({ functionName: "slow" });
    const last = host.pool.started;
    expect(tell(answer)).toBe(`0 ${last - 1}`);
    const kinds = (await host.steps(answer.instance)).map(({ kind }) => kind);
    expect(kinds).toEqual([RecordKind.init, RecordKind.done]);
  });

  it("F10: gets to its end although each time somebody else changes the object first", async () => {
    const host = await ScriptedHost.open();
    let others = 20;
    await host.define("slow", async (guest) => {
      for (;;) {
        const { text, version } = await guest.readForUpdate("n");
        if (others > 0) {
          others -= 1;
          await host.put("n", `${others}`);
        }
        if (await guest.compareAndSet("n", version, `${Number(text ?? 0) + 100}`)) {
          return 0;
        }
      }
    });
    expect(await host.told({ functionName: "slow" })).toBe("0 ");
    expect((await host.versions("n")).slice(-2)).toEqual(["0", "100"]);
    expect(host.pool.started).toBe(9);
  });
});

describe("F28, F29: where and when an execution begins", () => {
  it("sees everything that was acknowledged before the request arrived", async () => {
    const host = await ScriptedHost.open();
    await host.define("read", async (guest) => {
      guest.output(`${await guest.get("x")}`);
      return 0;
    });
    for (let i = 0; i < 5; i += 1) {
      await host.put("x", `${i}`);
      expect(await host.told({ functionName: "read" })).toBe(`0 ${i}`);
    }
  });

  it("an accepted call that runs an hour later sees the objects and the clock of then", async () => {
    const host = await ScriptedHost.open();
    let runs = false;
    await host.define("later", async (guest) => {
      if (!runs) {
        return FOREVER;
      }
      guest.put("answer", `${await guest.get("x")} at ${guest.now()}`);
      return 0;
    });
    await host.put("x", "old");
    const answer = await host.call({ functionName: "later", answer: "accepted" });
    runs = true;
    const again = await host.crash();
    again.test.time.advance(3_600_000);
    await again.put("x", "new");
    again.invocations.startRecovery(10_000);
    await settled();
    expect(await again.versions("answer")).toEqual([`new at ${again.test.time.now()}`]);
    const kinds = (await again.steps(answer.instance)).map(({ kind }) => kind);
    expect(kinds).toEqual([RecordKind.init, RecordKind.write, RecordKind.done]);
    await again.invocations.drain(0);
  });

  it("F24: an unfinished instance is run again with the module it began with", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("versioned", async (guest) => {
      guest.put("x", "first version");
      await guest.get("x");
      return stuck ? FOREVER : 1;
    });
    const asked = host.told({ functionName: "versioned", key: "k" });
    await settled();
    await host.define("versioned", async (guest) => {
      guest.put("x", "second version");
      return 2;
    });
    stuck = false;
    theGuest(host).displace();
    expect(await asked).toBe("1 ");
    expect(await host.told({ functionName: "versioned" })).toBe("2 ");
    expect(await host.versions("x")).toEqual(["first version", "second version"]);
  });
});
