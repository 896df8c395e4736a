import { describe, expect, it } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});

async function openHost(): Promise<ScriptedHost> {
  const host = await ScriptedHost.open();
  await host.define("add", async (guest) => {
    guest.output(await guest.update("sum", (old) => `${Number(old ?? 0) + Number(guest.input)}`));
    return 0;
  });
  return host;
}

/** What is durable, opened by another host that recovers it. */
async function recovered(host: ScriptedHost): Promise<ScriptedHost> {
  await host.test.shard.whenDurable(await host.book.tail());
  const again = await host.crash();
  again.invocations.startRecovery(10_000);
  await settled();
  return again;
}

describe("F16: a child exists exactly if its caller's step does", () => {
  it("runs after a crash between the Invoke record and its start, and its caller goes on with the result", async () => {
    const host = await openHost();
    let stuck = true;
    await host.define("child", async (guest) => {
      await (stuck ? FOREVER : Promise.resolve());
      guest.put("child", "ran");
      return 6;
    });
    await host.define("caller", async (guest) => {
      const { returnValue } = await guest.call("child");
      guest.put("caller", `${returnValue}`);
      return 0;
    });
    void host.call({ functionName: "caller", key: "k" });
    await settled();
    stuck = false;
    const again = await recovered(host);
    expect(await again.versions("child")).toEqual(["ran"]);
    expect(await again.versions("caller")).toEqual(["6"]);
    expect(await again.told({ functionName: "caller", key: "k" })).toBe("0 ");
  });

  it("runs after a crash although its caller is done and never waited for it", async () => {
    const host = await openHost();
    let stuck = true;
    await host.define("child", async (guest) => {
      await (stuck ? FOREVER : Promise.resolve());
      guest.put("child", "ran");
      return 0;
    });
    await host.define("caller", async (guest) => {
      guest.callStart("child", "");
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 ");
    stuck = false;
    const again = await recovered(host);
    expect(await again.versions("child")).toEqual(["ran"]);
    expect(await again.invocations.unfinished(TENANT)).toEqual([]);
  });

  it("is not begun twice by a caller that is run again: the replay finds the first one", async () => {
    const host = await openHost();
    await host.define("caller", async (guest) => {
      const { text } = await guest.call("add", "5");
      await guest.sleep(0);
      guest.output(text);
      return host.pool.started < 4 ? FOREVER : 0;
    });
    const asked = host.told({ functionName: "caller" });
    for (let i = 0; i < 2; i += 1) {
      await settled();
      for (const guest of host.pool.running) {
        guest.displace();
      }
    }
    expect(await asked).toBe("0 5");
    expect(await host.versions("sum")).toEqual(["5"]);
  });

  it("goes on when its caller is ended, and is joined by the caller's next attempt", async () => {
    const host = await openHost();
    const gate = Promise.withResolvers<void>();
    await host.define("slow", async (guest) => {
      await gate.promise;
      guest.put("slow", "once");
      return 3;
    });
    await host.define("caller", async (guest) => (await guest.call("slow")).returnValue);
    const asked = host.told({ functionName: "caller" });
    await settled();
    const [caller] = host.pool.running;
    caller?.kill("wallTime");
    await new Promise((resolve) => setTimeout(resolve, 100));
    gate.resolve();
    expect(await asked).toBe("3 ");
    expect(await host.versions("slow")).toEqual(["once"]);
    expect(host.pool.started).toBe(3);
  });

  it("starts its callee at the caller's cursor: an upload in between changes no replay", async () => {
    const host = await openHost();
    await host.define("caller", async (guest) => {
      const before = await guest.call("later");
      guest.put("seen", `${before.returnValue}`);
      await guest.get("seen");
      return host.pool.started < 2 ? FOREVER : before.returnValue;
    });
    const asked = host.told({ functionName: "caller", key: "k" });
    await settled();
    await host.define("later", async () => 0);
    for (const guest of host.pool.running) {
      guest.displace();
    }
    expect(await asked).toBe("-4 ");
    expect(await host.versions("seen")).toEqual(["-4"]);
  });
});

describe("F17: a caller goes on with a child's DONE only", () => {
  it("every child logs one, also one that only computes", async () => {
    const host = await openHost();
    await host.define("pure", async () => 42);
    await host.define("caller", async (guest) => (await guest.call("pure")).returnValue);
    const answer = await host.call({ functionName: "caller" });
    const [, invoke] = await host.steps(answer.instance);
    const child = invoke?.tags[1]?.slice(2) as typeof answer.instance;
    expect((await host.steps(child)).map(({ kind }) => kind)).toEqual([RecordKind.invoke, RecordKind.done]);
  });

  it("a child whose attempts are all ended gets a DONE with the error, the same in every replay", async () => {
    const host = await openHost();
    let childStarts = 0;
    await host.define("stuck", async (guest) => {
      childStarts += 1;
      guest.put("child", "begun");
      return FOREVER;
    });
    await host.define("caller", async (guest) => {
      const { returnValue, text } = await guest.call("stuck");
      guest.put("caller", `${returnValue} ${text}`);
      await guest.get("caller");
      return host.pool.started < 5 ? FOREVER : 0;
    });
    const asked = host.told({ functionName: "caller" });
    for (let i = 0; i < 3; i += 1) {
      while (childStarts === i) {
        await settled();
      }
      [...host.pool.running].at(-1)?.kill("stackOverflow");
    }
    while ((await host.versions("caller")).length === 0) {
      await settled();
    }
    for (const guest of host.pool.running) {
      guest.displace();
    }
    expect(await asked).toBe("0 ");
    const message = "ended by the host: 3 attempts were ended by the host: killed by the test: stackOverflow";
    expect(await host.versions("caller")).toEqual([`1 ${message}`]);
    expect(await host.versions("child")).toEqual(["begun"]);
    expect(childStarts).toBe(3);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
  });

  it("a child that is not deterministic ends with an error and does not keep its caller waiting for ever", async () => {
    const host = await openHost();
    let value = 0;
    await host.define("random", async (guest) => {
      value += 1;
      guest.put("x", `${value}`);
      await guest.get("x");
      return value === 1 ? FOREVER : 0;
    });
    await host.define("caller", async (guest) => {
      const { returnValue, text } = await guest.call("random");
      guest.output(text.slice(0, 36));
      return returnValue;
    });
    const asked = host.told({ functionName: "caller" });
    await settled();
    [...host.pool.running].at(-1)?.displace();
    expect(await asked).toBe("1 ended by the host: NOT_DETERMINISTIC");
  });

  it("a child's trap reaches its caller as a result, again after a crash", async () => {
    const host = await openHost();
    await host.define("traps", async (guest) => guest.trap("no such account"));
    await host.define("caller", async (guest) => {
      const { returnValue, text } = await guest.call("traps");
      guest.output(text);
      return returnValue;
    });
    expect(await host.told({ functionName: "caller", key: "k" })).toBe("1 no such account");
    const again = await recovered(host);
    expect(await again.told({ functionName: "caller", key: "k" })).toBe("1 no such account");
  });

  it("what the child wrote is visible to the caller after the join, and only then", async () => {
    const host = await openHost();
    await host.define("caller", async (guest) => {
      const before = await guest.get("sum");
      const handle = guest.callStart("add", "7");
      await settled();
      const meanwhile = await guest.get("sum");
      await guest.callAwait(handle);
      guest.output([before, meanwhile, await guest.get("sum")].join(" "));
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0   7");
  });

  it("a chain of calls is bounded: the deepest is told so, and the host is not stuck", async () => {
    const host = await openHost();
    await host.define("deeper", async (guest) => {
      const { returnValue, text } = await guest.call("deeper");
      guest.output(returnValue === -7 ? "bottom" : text);
      return 0;
    });
    expect(await host.told({ functionName: "deeper" })).toBe("0 bottom");
    expect(host.pool.started).toBe(33);
  });
});

describe("a sleep", () => {
  it("lasts from its record on, also over a restart", async () => {
    const host = await openHost();
    await host.define("sleeper", async (guest) => {
      const before = guest.now();
      await guest.sleep(60_000);
      guest.output(`${guest.now() - before}`);
      return 0;
    });
    void host.call({ functionName: "sleeper", key: "k" });
    await settled();
    await host.test.shard.whenDurable(await host.book.tail());
    const again = await host.crash();
    again.test.time.advance(60_000);
    again.invocations.startRecovery(10_000);
    expect(await again.told({ functionName: "sleeper", key: "k" })).toBe("0 60000");
    await again.invocations.drain(0);
    await host.pool.close();
  });

  it("ends with its attempt", async () => {
    const host = await openHost();
    await host.define("sleeper", async (guest) => {
      await guest.sleep(9_000);
      return 0;
    });
    const asked = host.told({ functionName: "sleeper" });
    await settled();
    await host.pool.close();
    expect(await asked).toMatch(/^pending/);
  });
});

describe("a wait that takes half of the wall time or more", () => {
  it("gives the sandbox back: a long sleep is no reason to end the call, and takes place nowhere", async () => {
    const host = await ScriptedHost.open({ limits: { wallTimeMs: 20 } });
    await host.define("sleeper", async (guest) => {
      guest.put("x", "before");
      await guest.sleep(60);
      guest.put("x", "after");
      return 0;
    });
    const asked = host.told({ functionName: "sleeper" });
    await settled();
    expect(host.pool.running.size).toBe(0);
    host.test.time.advance(60);
    expect(await asked).toBe("0 ");
    expect(await host.versions("x")).toEqual(["before", "after"]);
    expect(host.pool.started).toBe(2);
  });

  it("gives the sandbox of a caller to its callee: a pool full of callers does not stand still", async () => {
    const host = await ScriptedHost.open({ limits: { wallTimeMs: 20 } });
    host.pool.sandboxesMax = 1;
    await host.define("child", async (guest) => {
      guest.put("child", "once");
      return 7;
    });
    await host.define("caller", async (guest) => {
      const { returnValue } = await guest.call("child");
      guest.put("caller", `${returnValue}`);
      return returnValue;
    });
    expect(await Promise.all(["a", "b", "c"].map((key) => host.told({ functionName: "caller", key })))).toEqual([
      "7 ",
      "7 ",
      "7 ",
    ]);
    expect(await host.versions("child")).toHaveLength(3);
    expect(await host.versions("caller")).toHaveLength(3);
  });

  it("is left to the next start when the host stops", async () => {
    const host = await ScriptedHost.open({ limits: { wallTimeMs: 20 } });
    await host.define("sleeper", async (guest) => {
      guest.put("x", "1");
      await guest.sleep(1_000_000);
      return 4;
    });
    const asked = host.told({ functionName: "sleeper", key: "k" });
    await settled();
    await host.invocations.drain(10);
    expect(await asked).toMatch(/^pending: the host is stopping/);
    await host.test.shard.whenDurable(await host.book.tail());
    const again = await host.crash();
    again.test.time.advance(1_000_000);
    again.invocations.startRecovery(10_000);
    expect(await again.told({ functionName: "sleeper", key: "k" })).toBe("4 ");
  });
});

describe("F35: a guest's clock is never behind a record it saw, nor behind its caller's", () => {
  const HOUR_MS = 3_600_000;

  it("whatever the clocks of the nodes say", async () => {
    const slow = await openHost();
    for (const skewMs of [-HOUR_MS, HOUR_MS]) {
      const { time } = slow.test;
      const clock = { now: () => time.now() + skewMs, monotonic: () => time.monotonic() };
      const host = await ScriptedHost.open({ test: slow.test, clock });
      const times: number[] = [];
      await host.define("child", async (guest) => {
        times.push(guest.now());
        guest.put("x", "2");
        return 0;
      });
      await host.define("caller", async (guest) => {
        times.push(guest.now());
        await guest.get("x");
        expect(guest.now()).toBeGreaterThanOrEqual(writtenMs);
        times.push(guest.now());
        await guest.call("child");
        times.push(guest.now());
        return 0;
      });
      await host.put("x", "1");
      const writtenMs = time.now();
      time.advance(1);
      expect(await host.told({ functionName: "caller" })).toBe("0 ");
      expect(times).toHaveLength(4);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
    }
  });
});
