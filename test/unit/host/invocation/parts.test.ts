import { describe, expect, it } from "vitest";
import type { StoragePool } from "../../../../host/offload/index.ts";
import { NeapError } from "../../../../state/errors.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import type { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled, TENANT, tell } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});

/** The guest that runs a part beside the data. */
function thePart(host: ScriptedHost): ScriptedGuest {
  const part = [...host.pool.running].find(({ start }) => start.part !== undefined);
  if (part === undefined) {
    throw new Error("no part is running");
  }
  return part;
}

function theCaller(host: ScriptedHost): ScriptedGuest {
  const caller = [...host.pool.running].find(({ start }) => start.part === undefined);
  if (caller === undefined) {
    throw new Error("no caller is running");
  }
  return caller;
}

/** Counts "n" up in a part; the part then waits for `gate`, if one is given for its run. */
async function openCounter(
  gates: (Promise<unknown> | undefined)[] = [],
  partSlots = 4,
  storage: (pool: StoragePool) => StoragePool = (pool) => pool,
): Promise<ScriptedHost> {
  const host = await ScriptedHost.open({ partSlots, storage, test: await openTestShard({ options: { garbageMin: 1 } }) });
  await host.define("count", {
    main: async (guest) => {
      guest.memory.set("from", "main");
      const value = await guest.part("n", 0);
      guest.output(`${guest.memory.get("from")} ${guest.memory.get("n")}`);
      return value;
    },
    parts: [
      async (guest) => {
        guest.memory.set("n", await guest.update("n", (old) => `${Number(old ?? 0) + 1}`));
        guest.memory.set("from", guest.start.part === undefined ? "here" : "there");
        await gates.shift();
        return 0;
      },
    ],
  });
  return host;
}

const reasons = (answer: Awaited<ReturnType<ScriptedHost["call"]>>): string[] =>
  answer.kind === "completed" ? answer.trace.parts.map(({ executedAt, reason }) => `${executedAt}: ${reason}`) : [];

describe("F21: a storage part", () => {
  it("brings its memory, its steps and the first record of the instance back with it", async () => {
    const host = await openCounter();
    const answer = await host.call({ functionName: "count" });
    expect(tell(answer)).toBe("0 there 1");
    expect(reasons(answer)).toEqual(["storage: marked by the function"]);
    const kinds = (await host.steps(answer.instance)).map(({ kind }) => kind);
    expect(kinds).toEqual([RecordKind.init, RecordKind.write, RecordKind.done]);
  });

  it("counts as fresh as a call without parts: a contended counter is not read at an old cursor", async () => {
    const host = await openCounter();
    const answers = await Promise.all(Array.from({ length: 20 }, () => host.told({ functionName: "count" })));
    expect(answers.map((answer) => Number(answer.split(" ").at(-1))).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    expect(await host.versions("n")).toHaveLength(20);
  });

  it("runs here when it is refused, before its first instruction", async () => {
    const host = await openCounter([], 0);
    const answer = await host.call({ functionName: "count" });
    expect(tell(answer)).toBe("0 here 1");
    expect(reasons(answer)).toEqual(["compute: refused: no free slot: 0 of 0 in use"]);
    expect(host.pool.started).toBe(1);
  });

  it("runs here when the request forbids push-down", async () => {
    const host = await openCounter();
    const answer = await host.call({ functionName: "count", forbidPushDown: true });
    expect(tell(answer)).toBe("0 here 1");
    expect(reasons(answer)).toEqual(["compute: forbidden by the request"]);
  });

  it.each([
    [true, "0 here 1"],
    [false, "0 there 1"],
  ])(
    "of a called or spawned function runs here when the request to its caller forbids push-down: %s",
    async (forbidPushDown, told) => {
      const host = await openCounter();
      await host.define("caller", async (guest) => {
        const { returnValue, text } = await guest.call("count");
        guest.output(`${returnValue} ${text} ${await guest.spawn("count")}`);
        return 0;
      });
      const answer = tell(await host.call({ functionName: "caller", forbidPushDown }));
      expect(answer).toContain(told);
      await expect.poll(() => host.versions("n")).toHaveLength(2);
      expect(host.pool.started).toBe(forbidPushDown ? 3 : 5);
    },
  );

  it("H17: that is lost is run again here, and what it had logged, the first step included, is adopted", async () => {
    const host = await openCounter([FOREVER]);
    const asked = host.call({ functionName: "count" });
    await settled();
    expect(await host.versions("n")).toEqual(["1"]);
    thePart(host).kill("workerLost");
    expect(tell(await asked)).toBe("0 here 1");
    expect(await host.versions("n")).toEqual(["1"]);
  });

  it("F20: that is lost when a peer has finished the call, and it is collected, does not begin it a second time", async () => {
    const host = await openCounter([FOREVER]);
    const asked = host.told({ functionName: "count" });
    await settled();
    const peer = await host.finishElsewhere();
    thePart(host).kill("workerLost");
    expect(await asked).toBe("failed: RESULT_EXPIRED");
    expect(await host.versions("n")).toEqual(["1"]);
    await peer.invocations.drain(0);
  });

  it("F13: that is lost after it moved the initial cursor makes its caller restart from the pins it logged", async () => {
    const host = await openCounter([FOREVER]);
    await host.put("n", "5");
    const asked = host.call({ functionName: "count" });
    await host.put("n", "10");
    await settled();
    expect(await host.versions("n")).toEqual(["5", "10", "11"]);
    thePart(host).kill("workerLost");
    expect(tell(await asked)).toMatch(/ 11$/);
    expect(await host.versions("n")).toEqual(["5", "10", "11"]);
  });

  it("whose trap is the call's own: logged, and told again", async () => {
    const host = await ScriptedHost.open({ partSlots: 1 });
    await host.define("traps", {
      main: (guest) => guest.part("x", 0),
      parts: [
        async (guest) => {
          guest.put("x", "1");
          return guest.trap("in the part");
        },
      ],
    });
    expect(await host.told({ functionName: "traps", key: "k" })).toBe("trap in the part");
    const again = await host.crash();
    expect(await again.told({ functionName: "traps", key: "k" })).toBe("trap in the part");
    expect(await again.versions("x")).toEqual(["1"]);
  });

  it("that logged the first step makes its caller a logged one: what ends the caller is no final failure", async () => {
    const host = await openCounter([FOREVER]);
    const asked = host.call({ functionName: "count" });
    await settled();
    theCaller(host).kill("wallTime");
    expect(tell(await asked)).toBe("0 there 1");
    expect(await host.versions("n")).toEqual(["1"]);
    expect(host.pool.running.size).toBe(0);
  });

  it("that has logged nothing leaves its caller unlogged: what ends the caller ends the call", async () => {
    const host = await ScriptedHost.open({ partSlots: 1 });
    await host.define("reads", {
      main: (guest) => guest.part("x", 0),
      parts: [
        async (guest) => {
          await guest.get("x");
          return FOREVER;
        },
      ],
    });
    const client = new AbortController();
    const gone = host.call({ functionName: "reads", signal: client.signal });
    await settled();
    client.abort();
    expect(tell(await gone)).toBe("failed: CANCELLED");
    const killed = host.call({ functionName: "reads" });
    await settled();
    theCaller(host).kill("wallTime");
    expect(tell(await killed)).toBe("failed: TIME_LIMIT");
    expect(host.pool.running.size).toBe(0);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
  });

  it("H28: goes on when the client goes away after the part has logged the first step", async () => {
    const gate = Promise.withResolvers<void>();
    const host = await openCounter([gate.promise]);
    const client = new AbortController();
    const asked = host.call({ functionName: "count", signal: client.signal });
    await settled();
    client.abort();
    gate.resolve();
    expect(tell(await asked)).toBe("0 there 1");
    expect(await host.versions("n")).toEqual(["1"]);
  });

  it("whose reply comes after its caller was ended is dropped", async () => {
    const gate = Promise.withResolvers<void>();
    const host = await openCounter([gate.promise]);
    await host.put("n", "0");
    const asked = host.call({ functionName: "count", key: "k" });
    await settled();
    const part = thePart(host);
    // The part does not hear of its cancellation in time.
    part.cancel = () => {};
    theCaller(host).displace();
    await settled();
    expect(host.pool.started).toBe(2);
    gate.resolve();
    expect(tell(await asked)).toBe("0 there 1");
    expect(await host.versions("n")).toEqual(["0", "1"]);
    expect(host.pool.started).toBe(4);
  });

  it("that is cancelled while it is being prepared does not run", async () => {
    const host = await openCounter();
    const gate = Promise.withResolvers<void>();
    const call = host.call({ functionName: "count", key: "k" });
    const { functions } = host;
    const artefact = functions.artefact.bind(functions);
    let asked = 0;
    functions.artefact = async (...args) => {
      asked += 1;
      // The first is the caller's, the second the part's.
      if (asked === 2) {
        await gate.promise;
      }
      return artefact(...args);
    };
    await settled();
    theCaller(host).displace();
    gate.resolve();
    expect(tell(await call)).toBe("0 there 1");
    expect(host.pool.started).toBe(3);
  });

  it("whose input cannot be read there, where it is when there is room for it, is run again here", async () => {
    const host = await openCounter();
    const { blobs } = host.test;
    const open = blobs.open.bind(blobs);
    await host.define("reads", {
      main: (guest) => guest.part("n", 0),
      parts: [
        async (guest) => {
          guest.output(`${guest.input.length} ${guest.start.part === undefined ? "here" : "there"}`);
          return 0;
        },
      ],
    });
    blobs.open = async (...args) => {
      if ([...host.pool.running].some(({ start }) => start.part !== undefined)) {
        throw new NeapError("DISK_FAILED", "the disk is gone");
      }
      return open(...args);
    };
    const answer = await host.call({ functionName: "reads", input: "y".repeat(100_000) });
    expect(tell(answer)).toBe("0 100000 here");
    expect(reasons(answer)).toEqual(["compute: lost: DISK_FAILED: the disk is gone"]);
  });

  it("F1: of a session that has ended is ended with it, also when nobody can cancel it", async () => {
    const storage = (pool: StoragePool) => ({ name: pool.name, run: pool.run.bind(pool), cancel() {} });
    const host = await openCounter([FOREVER], 4, storage);
    const asked = host.call({ functionName: "count" });
    await settled();
    await host.reconnect();
    expect(tell(await asked)).toBe("0 there 1");
    expect(host.pool.running.size).toBe(0);
    expect(await host.versions("n")).toEqual(["1"]);
  });
});
