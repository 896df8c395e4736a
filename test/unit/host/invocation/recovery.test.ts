import { describe, expect, it } from "vitest";
import type { InstanceId } from "../../../../state/ids.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { attemptTag } from "../../../../state/tags.ts";
import { eventually } from "../../../support/eventually.ts";
import type { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});

/** A host with one unfinished call, which has written "begun" and never ends before `finish.now` is set. */
async function openWithUnfinished(): Promise<{ host: ScriptedHost; finish: { now: boolean } }> {
  const host = await ScriptedHost.open();
  const finish = { now: false };
  await host.define("stuck", async (guest) => {
    guest.put("x", "begun");
    await guest.get("x");
    await (finish.now ? Promise.resolve() : FOREVER);
    return 9;
  });
  void host.call({ functionName: "stuck", key: "k" });
  await settled();
  await host.test.shard.whenDurable(await host.book.tail());
  return { host, finish };
}

async function theUnfinished(host: ScriptedHost) {
  const [one] = await host.test.shard.unfinished(TENANT);
  if (one === undefined) {
    throw new Error("nothing is unfinished");
  }
  return one;
}

async function attemptKinds(host: ScriptedHost, instance: InstanceId): Promise<number[]> {
  return (await host.book.readStream(attemptTag(instance), 0)).records.map(({ kind }) => kind);
}

describe("[24] F27: the recovery scanner", () => {
  it("does not run an instance before its ATTEMPT record is durable", async () => {
    const { host } = await openWithUnfinished();
    const journal = (host.test.journal as MemoryJournal).crash();
    const again = await ScriptedHost.open({ test: await openTestShard({ journal, blobs: host.test.blobs }), pool: host.pool });
    const before = host.pool.started;
    journal.automatic = false;
    again.invocations.startRecovery(10_000);
    await settled();
    const { instance } = await theUnfinished(again);
    expect(await attemptKinds(again, instance)).toEqual([RecordKind.attempt]);
    expect(host.pool.started).toBe(before);
    journal.flush();
    await settled();
    expect(host.pool.started).toBe(before + 1);
  });

  it("parks an instance that was running in as many hosts that died as are allowed, without running it", async () => {
    let { host } = await openWithUnfinished();
    const { instance } = await theUnfinished(host);
    for (let death = 1; death <= 3; death += 1) {
      host = await host.crash();
      host.invocations.startRecovery(10_000);
      await settled();
      // The last one first finds out what it has read.
      expect(host.pool.started, `after death ${death}`).toBe(death === 3 ? 2 : 1);
    }
    host = await host.crash();
    host.invocations.startRecovery(10_000);
    await settled();
    expect(host.pool.started).toBe(0);
    expect(await host.invocations.statusOfInstance(instance, TENANT)).toMatchObject({
      kind: "parked",
      reason: "was running in 3 hosts that died",
    });
  });

  it("runs it again when it is resumed, and counts anew", async () => {
    const opened = await openWithUnfinished();
    let { host } = opened;
    const { instance } = await theUnfinished(host);
    for (let death = 1; death <= 4; death += 1) {
      host = await host.crash();
      host.invocations.startRecovery(10_000);
      await settled();
    }
    await host.invocations.resume(instance, TENANT);
    await settled();
    expect(host.pool.started).toBe(1);
    host = await host.crash();
    opened.finish.now = true;
    host.invocations.startRecovery(10_000);
    await settled();
    expect(await host.told({ functionName: "stuck", key: "k" })).toBe("9 ");
    expect(await host.versions("x")).toEqual(["begun"]);
  });

  it("F16: runs the unfinished calls of a caller that is parked, as that does not run them itself", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("child", async (guest) => {
      await (stuck ? FOREVER : Promise.resolve());
      guest.put("child", "ran");
      return 0;
    });
    let value = 0;
    await host.define("caller", async (guest) => {
      guest.callStart("child", "");
      value += 1;
      guest.put("x", `${value}`);
      return value < 2 ? FOREVER : 0;
    });
    const asked = host.told({ functionName: "caller" });
    await settled();
    [...host.pool.running][0]?.displace();
    expect(await asked).toMatch(/^parked: NOT_DETERMINISTIC/);
    stuck = false;
    const again = await host.crash();
    again.invocations.startRecovery(10_000);
    await settled();
    expect(await again.versions("child")).toEqual(["ran"]);
  });

  it("leaves alone what a live session runs", async () => {
    const { host } = await openWithUnfinished();
    const other = await ScriptedHost.open({ test: host.test, pool: host.pool });
    host.invocations.startRecovery(10_000);
    other.invocations.startRecovery(10_000);
    await settled();
    expect(host.pool.started).toBe(1);
    expect(await attemptKinds(host, (await theUnfinished(host)).instance)).toEqual([]);
  });

  it("does not count a lost connection as a host's death: who runs the instance goes on", async () => {
    const { host, finish } = await openWithUnfinished();
    const { instance } = await theUnfinished(host);
    host.invocations.startRecovery(5);
    for (let i = 0; i < 6; i += 1) {
      await host.reconnect();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await attemptKinds(host, instance)).toEqual([]);
    finish.now = true;
    await host.reconnect();
    expect(await host.told({ functionName: "stuck", key: "k" })).toBe("9 ");
    await host.invocations.drain(0);
  });

  it("takes over what another node ran whose session has ended, and each does its steps once", async () => {
    const { host, finish } = await openWithUnfinished();
    const other = await ScriptedHost.open({ test: host.test, pool: host.pool });
    finish.now = true;
    await host.source.connect(undefined);
    other.invocations.startRecovery(10_000);
    expect(await other.told({ functionName: "stuck", key: "k" })).toBe("9 ");
    expect(await host.versions("x")).toEqual(["begun"]);
  });

  it.each([
    ["the owner was restarted", (host: ScriptedHost) => host.restartOwner()],
    ["the connection was lost", (host: ScriptedHost) => host.reconnect()],
  ])("nobody takes over an instance that its host goes on with: %s", async (_, interrupt) => {
    const host = await ScriptedHost.open();
    const gate = Promise.withResolvers<void>();
    await host.define("waits", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      await gate.promise;
      return 0;
    });
    const asked = host.told({ functionName: "waits" });
    await settled();
    await host.test.shard.whenDurable(await host.book.tail());
    await interrupt(host);
    await eventually("the next attempt", () => host.pool.started === 2);
    expect(await host.test.shard.openSession().claim(10)).toEqual([]);
    gate.resolve();
    expect(await asked).toBe("0 ");
  });

  it("F31: an attempt whose instance a peer has finished stops quietly and tells the peer's result", async () => {
    const host = await ScriptedHost.open();
    const gate = Promise.withResolvers<void>();
    await host.define("peers", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      if (host.pool.started === 1) {
        await gate.promise;
      }
      guest.put("x", "2");
      guest.output(`attempt ${host.pool.started}`);
      return 0;
    });
    const asked = host.told({ functionName: "peers" });
    await settled();
    const { instance } = await theUnfinished(host);
    const peer = await ScriptedHost.open({ test: host.test, pool: host.pool });
    await host.session.release(TENANT, instance);
    peer.invocations.startRecovery(10_000);
    while ((await host.test.shard.unfinished(TENANT)).length > 0) {
      await settled();
    }
    gate.resolve();
    expect(await asked).toBe("0 attempt 2");
    expect(await host.versions("x")).toEqual(["1", "2"]);
  });

  it("F17: an attempt that comes to its end after a peer did tells the peer's result, whatever it has seen itself", {
    timeout: 5_000,
  }, async () => {
    const host = await ScriptedHost.open();
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await host.define("peers", async (guest) => {
      const isFirst = host.pool.started === 1;
      guest.sync();
      await guest.get("x");
      await (isFirst ? first.promise : undefined);
      await guest.logTail("s");
      await (isFirst ? undefined : second.promise);
      guest.output(isFirst ? "what the first saw" : "what the peer saw");
      return 0;
    });
    // Between the refusal of the first one's step and its look at the log the peer comes to its end.
    let isLate = false;
    const { session } = host;
    const { book: open } = session;
    session.book = (id) => {
      const book = open(id);
      const { readStream } = book;
      book.readStream = async (tag, from) => {
        if (isLate) {
          second.resolve();
        }
        while (isLate && (await host.test.shard.unfinished(TENANT)).length > 0) {
          await settled();
        }
        return readStream(tag, from);
      };
      return book;
    };
    const asked = host.told({ functionName: "peers", key: "k" });
    await settled();
    const { instance } = await theUnfinished(host);
    const peer = await ScriptedHost.open({ test: host.test, pool: host.pool });
    await host.session.release(TENANT, instance);
    peer.invocations.startRecovery(10_000);
    while ((await host.steps(instance)).length < 3) {
      await settled();
    }
    isLate = true;
    first.resolve();
    expect(await asked).toBe("0 what the peer saw");
    expect(await host.told({ functionName: "peers", key: "k" })).toBe("0 what the peer saw");
  });

  it("gives back what it could not take over: another node, or a later scan, does", async () => {
    const { host, finish } = await openWithUnfinished();
    const again = await host.crash();
    const { journal } = again.test;
    journal.roomBytes = 0;
    again.invocations.startRecovery(20);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(again.pool.started).toBe(0);
    finish.now = true;
    journal.roomBytes = Number.POSITIVE_INFINITY;
    expect(await again.told({ functionName: "stuck", key: "k" })).toBe("9 ");
    await again.invocations.drain(0);
  });

  it("a host that drains refuses new calls and lets those that run finish", async () => {
    const host = await ScriptedHost.open();
    const gate = Promise.withResolvers<void>();
    await host.define("gated", async () => {
      await gate.promise;
      return 3;
    });
    const asked = host.told({ functionName: "gated" });
    await settled();
    const drained = host.invocations.drain(60_000);
    await expect(host.call({ functionName: "gated" })).rejects.toMatchObject({ code: "SHUTTING_DOWN" });
    gate.resolve();
    await drained;
    expect(await asked).toBe("3 ");
  });
});
