import { beforeEach, describe, expect, it } from "vitest";
import { GuestError } from "../../../../host/abi/operations.ts";
import { MODES } from "../../../../state/logbook/index.ts";
import { FOREVER } from "../../../support/guest-ends.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import type { Script, ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled, TENANT, tell } from "../../../support/scripted-host.ts";
import { ScriptedRegion } from "../../../support/scripted-region.ts";

let host: ScriptedHost;
beforeEach(async () => {
  host = await ScriptedHost.open();
});

const USED = { regions: "used" } as const;

/** Runs a script once, as a function of its own. */
async function once(script: Script): Promise<string> {
  await host.define("once", script, USED);
  return host.told({ functionName: "once" });
}

describe("what a call does with regions", () => {
  it("is seen by the calls beside it", async () => {
    const written = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<void>();
    await host.define(
      "writer",
      async (guest) => {
        (await ScriptedRegion.open(guest, "r")).set(4, 42);
        written.resolve();
        await seen.promise;
        return 0;
      },
      USED,
    );
    await host.define(
      "reader",
      async (guest) => {
        guest.output(`${(await ScriptedRegion.open(guest, "r")).get(4)}`);
        seen.resolve();
        return 0;
      },
      USED,
    );
    const writer = host.told({ functionName: "writer" });
    await written.promise;
    expect(await host.told({ functionName: "reader" })).toBe("0 42");
    expect(await writer).toBe("0 ");
  });

  it("goes only as far as the region, whatever handle, offset or length is given", async () => {
    const codes: unknown[] = [];
    await once(async (guest) => {
      const mine = await ScriptedRegion.open(guest, "r", 60);
      for (const region of [0, 99, 2 ** 32 - 1].map((handle) => ScriptedRegion.at(guest, handle))) {
        codes.push(await region.grow(1), await region.lock("read"), await region.unlock(), await region.wait(0, 0));
        codes.push(
          await region.notify(0),
          await region.push("o", 0, 1),
          await region.pull("o", 0, 1),
          await region.snapshot(0, 1),
        );
      }
      codes.push(await mine.push("o", 60, 1), await mine.push("o", 1, 60), await mine.push("o", 2 ** 32 - 1, 2));
      codes.push(await mine.pull("o", 59, 2), await mine.snapshot(30, 31), await mine.append("o", 61, 0));
      codes.push(await mine.wait(57, 0), await mine.wait(2, 0), await mine.notify(60));
      return 0;
    });
    expect(codes.map(Number)).toEqual(codes.map(() => GuestError.invalid));
    expect(await host.object("o")).toBeNull();
  });

  it("names what it can refuse", async () => {
    const codes: number[] = [];
    await once(async (guest) => {
      const region = await ScriptedRegion.open(guest, "r", 60);
      codes.push(
        (await ScriptedRegion.open(guest, "none", 0)).handle,
        (await ScriptedRegion.open(guest, "huge", 2 ** 31)).handle,
      );
      codes.push(await region.grow(2 ** 20), await region.unlock(), await region.lock("write"), await region.lock("read"));
      codes.push(await region.pull("none", 0, 4), await region.pushPartial("o", 0, 4, 2 ** 50));
      return 0;
    });
    const { notFound, tooLarge, notHeld, invalid } = GuestError;
    expect(codes).toEqual([notFound, tooLarge, tooLarge, notHeld, 0, invalid, notFound, tooLarge]);
  });
});

it("what regions give to objects and to the log counts as written, a changed object as a whole", async () => {
  host = await ScriptedHost.open({ limits: { stateMaxBytes: 100 } });
  const codes: number[] = [];
  const told = await once(async (guest) => {
    const region = await ScriptedRegion.open(guest, "r", 64);
    codes.push(await region.push("o", 0, 20), await region.append("o", 0, 10), await region.pushPartial("o", 0, 10, 0));
    await region.snapshot(0, 20);
    await region.push("p", 0, 1);
    return 0;
  });
  expect(told).toMatch(/^trap STATE_LIMIT: the call writes 101 bytes/);
  expect(codes).toEqual([0, 0, 0]);
  expect(await host.object("p")).toBeNull();
});

describe.each([...MODES])("values between regions and objects, under %s", (mode) => {
  beforeEach(async () => {
    await host.choose("", mode);
  });

  it("are pushed whole, in part and at the end, and pulled whole and in pieces", async () => {
    const told = await once(async (guest) => {
      const region = await ScriptedRegion.open(guest, "r", 64);
      region.bytes.set(Buffer.from("hello world"), 0);
      const codes = [await region.push("o", 0, 11)];
      codes.push(await region.append("o", 4, 1), await region.pushPartial("o", 0, 1, 6), await region.append("new", 0, 5));
      guest.output(`${codes} ${await guest.get("o")} ${await guest.get("new")} `);
      guest.output(
        `${await region.pull("o", 32, 32)} ${region.text(32, 12)} ${await region.pull("o", 20, 3, 6)} ${region.text(20, 4)}`,
      );
      return 0;
    });
    expect(told).toBe("0 0,0,0,0 hello horldo hello 12 hello horldo 12 hor\0");
  });

  it("a partial push that is overtaken keeps what the other one has written", async () => {
    let others = 2;
    await host.define("other", async (guest) => {
      guest.put("o", `${guest.input}........`);
      return 0;
    });
    await host.put("o", "0........");
    const told = await once(async (guest) => {
      const region = await ScriptedRegion.open(guest, "r", 64);
      region.bytes.set(Buffer.from("new"), 0);
      for (; others > 0; others -= 1) {
        await host.told({ functionName: "other", input: `${others}` });
      }
      await region.pushPartial("o", 0, 3, 4);
      guest.output((await guest.get("o")) ?? "");
      return 0;
    });
    expect(told).toBe("0 1...new..");
  });

  it("pulls what is newest, not what was when the call began", async () => {
    await host.put("o", "old");
    const told = await once(async (guest) => {
      const region = await ScriptedRegion.open(guest, "r", 64);
      await guest.get("o");
      await host.put("o", "new");
      await region.pull("o", 0, 3);
      guest.output(region.text(0, 3));
      return 0;
    });
    expect(told).toBe("0 new");
  });
});

describe("a large region", () => {
  it("goes to an object and back in slices, byte for byte", async () => {
    const SIZE = 3 * 1024 * 1024 + 17;
    host = await ScriptedHost.open({ objectMaxBytes: SIZE });
    const told = await once(async (guest) => {
      const region = await ScriptedRegion.open(guest, "r", SIZE);
      for (let at = 0; at < SIZE; at += 1) {
        region.bytes[at] = at * 7 + (at >>> 15);
      }
      const before = region.bytes.slice();
      await region.push("o", 0, SIZE);
      await region.pushPartial("o", 5, 2 ** 20, 2 ** 20);
      region.bytes.fill(0);
      const size = await region.pull("o", 0, SIZE);
      before.copyWithin(2 ** 20, 5, 5 + 2 ** 20);
      guest.output(`${size === SIZE} ${Buffer.compare(before, region.bytes)}`);
      return 0;
    });
    expect(told).toBe("0 true 0");
  });
});

describe("H23: waiting", () => {
  it("ends with a notification, with another value, or with its time, and lets other calls go on", async () => {
    const ready = Promise.withResolvers<void>();
    await host.define(
      "waiter",
      async (guest) => {
        const region = await ScriptedRegion.open(guest, "r");
        const first = await region.wait(0, 5);
        ready.resolve();
        guest.output(`${first} ${await region.wait(0, 0)} ${await region.wait(0, 0, 1)}`);
        return 0;
      },
      USED,
    );
    await host.define(
      "notifier",
      async (guest) => {
        await ready.promise;
        const region = await ScriptedRegion.open(guest, "r");
        while ((await region.notify(0)) === 0) {
          await settled();
        }
        return 0;
      },
      USED,
    );
    const told = Promise.all([host.told({ functionName: "waiter" }), host.told({ functionName: "notifier" })]);
    expect(await told).toEqual(["0 1 0 2", "0 "]);
  });

  it("is over for a call that is stopped, which is in nobody's way any more", async () => {
    const waits = Promise.withResolvers<ScriptedGuest>();
    await host.define(
      "waiter",
      async (guest) => {
        const region = await ScriptedRegion.open(guest, "r");
        const wait = region.wait(0, 0);
        await settled();
        waits.resolve(guest);
        await wait;
        return 0;
      },
      USED,
    );
    const controller = new AbortController();
    const told = host.told({ functionName: "waiter", signal: controller.signal });
    await waits.promise;
    controller.abort();
    expect(await told).toContain("CANCELLED");
    const notified = await once(async (guest) => {
      guest.output(`${await (await ScriptedRegion.open(guest, "r")).notify(0)}`);
      return 0;
    });
    expect(notified).toBe("0 0");
  });
});

describe("H10: the lock of a call that is ended", () => {
  it("is free when its guest can run no more, and not before", async () => {
    const holds = Promise.withResolvers<ScriptedGuest>();
    await host.define(
      "holder",
      async (guest) => {
        guest.lingers = true;
        await (await ScriptedRegion.open(guest, "r")).lock("write");
        holds.resolve(guest);
        return FOREVER;
      },
      USED,
    );
    await host.define(
      "next",
      async (guest) => {
        const region = await ScriptedRegion.open(guest, "r");
        guest.output(`${await region.lock("write")} `);
        await region.unlock();
        guest.output(`${await region.lock("read")}`);
        return 0;
      },
      USED,
    );
    const holder = host.told({ functionName: "holder" });
    const guest = await holds.promise;
    let taken = false;
    const next = host.told({ functionName: "next" });
    void next.then(() => {
      taken = true;
    });
    guest.kill("wallTime");
    expect(await holder).toContain("TIME_LIMIT");
    await settled();
    expect(taken).toBe(false);
    guest.go();
    expect(await next).toBe("0 1 0");
  });
});

describe("H20: storage parts of a call that uses regions", () => {
  it("run where the call is", async () => {
    const storage = await ScriptedHost.open({ partSlots: 4 });
    const script: Script = async (guest) => {
      await guest.part("o", 0);
      return 0;
    };
    const part: Script = async (guest) => {
      guest.output(guest.start.part === undefined ? "here" : "there");
      return 0;
    };
    await storage.define("with", { main: script, parts: [part] }, USED);
    await storage.define("without", { main: script, parts: [part] });
    const answer = await storage.call({ functionName: "with" });
    expect(tell(answer)).toBe("0 here");
    expect(answer.kind === "completed" && answer.trace.parts).toMatchObject([{ reason: "uses memory regions" }]);
    const other = await storage.call({ functionName: "without" });
    expect(other.kind === "completed" && other.trace.parts).toMatchObject([{ reason: expect.not.stringContaining("regions") }]);
  });
});

describe("F23: regions and what is durable", () => {
  it("an answer that may rest on what others have not made durable yet waits for it", async () => {
    const journal = new MemoryJournal();
    host = await ScriptedHost.open({ test: await openTestShard({ journal }) });
    const look: Script = async (guest) => {
      guest.output("looked");
      return 0;
    };
    await host.define("looks", look, USED);
    await host.define("not-looking", look);
    await host.test.shard.whenDurable(await host.book.tail());
    journal.automatic = false;
    // What another call has ordered, and written into a region.
    await host.put("x", "new");
    expect(await host.told({ functionName: "not-looking" })).toBe("0 looked");
    let answered = false;
    const asked = host.told({ functionName: "looks" }).finally(() => {
      answered = true;
    });
    await settled();
    expect(answered).toBe(false);
    while (journal.flush()) {
      await settled();
    }
    expect(await asked).toBe("0 looked");
  });

  it("what a region holds is in no fingerprint: an attempt that finds something else takes the value in the log", async () => {
    for (const mode of MODES) {
      host = await ScriptedHost.openIn(mode);
      let attempts = 0;
      await host.define(
        "count",
        async (guest) => {
          const region = await ScriptedRegion.open(guest, "r");
          region.set(0, region.get(0) + 1);
          guest.put("first", `${region.get(0)}`);
          await guest.get("first");
          attempts += 1;
          if (attempts === 1) {
            guest.kill("workerLost");
            return FOREVER;
          }
          guest.output(`${region.get(0)} `);
          return 0;
        },
        USED,
      );
      // The region was changed twice, the object once; unsafe promises nothing of either.
      expect(await host.told({ functionName: "count", key: "k" }), mode).toBe("0 2 ");
      expect(await host.object("first"), mode).toBe(mode === "unsafe" ? "2" : "1");
    }
  });

  it("another key is another step all the same", async () => {
    let attempts = 0;
    await host.define(
      "strays",
      async (guest) => {
        attempts += 1;
        guest.put(`key${attempts}`, "x");
        await guest.get("y");
        if (attempts === 1) {
          guest.kill("workerLost");
          return FOREVER;
        }
        return 0;
      },
      USED,
    );
    expect(await host.told({ functionName: "strays", key: "k" })).toContain("NOT_DETERMINISTIC");
  });

  it("snapshot and pull give a replay what the log says", async () => {
    let attempts = 0;
    await host.put("o", "one");
    await host.define(
      "reads",
      async (guest) => {
        const region = await ScriptedRegion.open(guest, "r");
        attempts += 1;
        region.bytes.set(Buffer.from(`${attempts}`), 8);
        const seen = await region.snapshot(8, 1);
        await region.pull("o", 0, 3);
        if (attempts === 1) {
          await host.put("o", "two");
          guest.kill("workerLost");
          return FOREVER;
        }
        guest.output(`${attempts} ${seen} ${region.text(0, 3)}`);
        return 0;
      },
      USED,
    );
    expect(await host.told({ functionName: "reads", key: "k" })).toBe("0 2 1 one");
  });

  /** The host dies when the call has made its first step durable. The guest of the next one finds the region empty. */
  async function crashInTheMiddle(regions: "used" | "safe"): Promise<ScriptedHost> {
    const reached = Promise.withResolvers<void>();
    let isFirst = true;
    await host.define(
      "two",
      async (guest) => {
        const region = await ScriptedRegion.open(guest, "r");
        region.set(0, region.get(0) + (isFirst ? 5 : 1));
        guest.put("first", `${region.get(0)}`);
        await guest.get("first");
        if (isFirst) {
          isFirst = false;
          reached.resolve();
          return FOREVER;
        }
        guest.put("second", `${region.get(0)}`);
        return 0;
      },
      { regions },
    );
    void host.call({ functionName: "two", key: "k" });
    await reached.promise;
    await host.test.shard.whenDurable(await host.book.tail());
    const after = await host.crash();
    after.invocations.startRecovery(5);
    return after;
  }

  it("a call that was interrupted after its first step is parked, and goes on when an administrator lets it", async () => {
    const after = await crashInTheMiddle("used");
    const asked = await after.call({ functionName: "two", key: "k" });
    expect(tell(asked)).toBe(
      "parked: the call uses memory regions and was interrupted after its first step: what was in them is gone",
    );
    expect(await after.object("second")).toBeNull();
    await after.invocations.resume(asked.instance, TENANT);
    await expect.poll(() => after.object("second"), { timeout: 20_000 }).toBe("1");
    expect(await after.object("first")).toBe("5");
  });

  it("a function that says that it is safe is run again from the log", async () => {
    const after = await crashInTheMiddle("safe");
    expect(await after.told({ functionName: "two", key: "k" })).toBe("0 ");
    expect([await after.object("first"), await after.object("second")]).toEqual(["5", "1"]);
  });

  it("a call that had made no step is run again, whatever it did in a region", async () => {
    const reached = Promise.withResolvers<void>();
    let isFirst = true;
    await host.define(
      "accepted",
      async (guest) => {
        await ScriptedRegion.open(guest, "r");
        if (isFirst) {
          isFirst = false;
          reached.resolve();
          return FOREVER;
        }
        guest.put("x", "done");
        return 0;
      },
      USED,
    );
    void host.call({ functionName: "accepted", key: "k" });
    await reached.promise;
    await host.test.shard.whenDurable(await host.book.tail());
    const after = await host.crash();
    after.invocations.startRecovery(5);
    expect(await after.told({ functionName: "accepted", key: "k" })).toBe("0 ");
    expect(await after.object("x")).toBe("done");
  });
});

describe("F23: a call whose process is gone, and its regions with that", () => {
  /** Writes 5 into a region, and a step after it if it is told to; its first attempt stays there. Outputs what it finds at its beginning. */
  async function startedIn(
    regions: "used" | "safe",
    withStep: boolean,
  ): Promise<{ told: Promise<string>; reached: Promise<void> }> {
    const reached = Promise.withResolvers<void>();
    let attempts = 0;
    await host.define(
      "steps",
      async (guest) => {
        const region = await ScriptedRegion.open(guest, "r");
        const found = region.get(0);
        region.set(0, 5);
        attempts += 1;
        if (withStep) {
          guest.put("step", `${attempts}`);
          await guest.get("step");
        }
        if (attempts === 1) {
          reached.resolve();
          return FOREVER;
        }
        guest.put("after", `${attempts}`);
        guest.output(`${found}`);
        return 0;
      },
      { regions },
    );
    return { told: host.told({ functionName: "steps", key: "k" }), reached: reached.promise };
  }

  it("is parked when it had made a step, and goes on when an administrator lets it", async () => {
    const { told, reached } = await startedIn("used", true);
    await reached;
    host.pool.loseProcess();
    expect(await told).toBe(
      "parked: the call uses memory regions and was interrupted after its first step: what was in them is gone",
    );
    expect([await host.object("step"), await host.object("after")]).toEqual(["1", null]);
    const { instance } = await host.call({ functionName: "steps", key: "k" });
    await host.invocations.resume(instance, TENANT);
    await expect.poll(() => host.object("after"), { timeout: 20_000 }).toBe("2");
    expect(await host.object("step")).toBe("1");
  });

  it("is run again from its log when it says that it is safe, each step once", async () => {
    const { told, reached } = await startedIn("safe", true);
    await reached;
    host.pool.loseProcess();
    expect(await told).toBe("0 0");
    expect([await host.object("step"), await host.object("after")]).toEqual(["1", "2"]);
  });

  it("begins anew, on empty regions, when it had made no step", async () => {
    const { told, reached } = await startedIn("used", false);
    await reached;
    host.pool.loseProcess();
    expect(await told).toBe("0 0");
    expect(await host.object("after")).toBe("2");
  });

  it("is displaced alone, and finds its regions as it has left them, when only its thread is gone", async () => {
    const { told, reached } = await startedIn("used", true);
    await reached;
    for (const guest of [...host.pool.running]) {
      guest.displace();
      guest.go();
    }
    expect(await told).toBe("0 5");
  });
});
