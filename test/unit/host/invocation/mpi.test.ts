import { describe, expect, it } from "vitest";
import { mpiAbortArgs, mpiJoinReply, mpiTakeArgs, mpiTakeReply, Operation } from "../../../../host/abi/operations.ts";
import type { Script, ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

const NOTHING = new Uint8Array(0);
const FOREVER = new Promise<never>(() => {});

const join = async (guest: ScriptedGuest) => mpiJoinReply.decode((await guest.request(Operation.mpiJoin, NOTHING)).bytes);
const leave = (guest: ScriptedGuest) => guest.request(Operation.mpiLeave, NOTHING);

async function send(guest: ScriptedGuest, to: number, text: string): Promise<void> {
  await guest.request(Operation.mpiSend, Buffer.concat([Buffer.from([to, 0]), Buffer.from(text)]));
}

/** What has come, in one line for each. */
async function take(guest: ScriptedGuest, waits = true): Promise<string[]> {
  const { bytes } = await guest.request(Operation.mpiTake, mpiTakeArgs.encode(waits));
  return mpiTakeReply.decode(bytes).map(({ from, frame }) => `${from} ${Buffer.from(frame)}`);
}

type Main = (guest: ScriptedGuest, rank: number, size: number) => Promise<number | undefined>;

/** A rank that begins and ends as it shall. */
const asRank =
  (main: Main): Script =>
  async (guest) => {
    const { rank, size } = await join(guest);
    const value = await main(guest, rank, size);
    if (size > 1) {
      await leave(guest);
    }
    return value ?? 0;
  };

async function openWith(script: Script, parts: Parameters<typeof ScriptedHost.open>[0] = {}): Promise<ScriptedHost> {
  const host = await ScriptedHost.open(parts);
  await host.define("ranks", script);
  return host;
}

const open = (main: Main) => openWith(asRank(main));

const call = (host: ScriptedHost, worldSize: number, key = "k") => host.told({ functionName: "ranks", worldSize, key });

/** The guest that is the rank. */
function rankOf(host: ScriptedHost, rank: number): ScriptedGuest {
  const found = [...host.pool.running][rank];
  if (found === undefined) {
    throw new Error(`rank ${rank} does not run`);
  }
  return found;
}

describe("a world", () => {
  it("has ranks with the same input, that send each other frames; rank 0 is the call", async () => {
    const host = await open(async (guest, rank, size) => {
      await send(guest, (rank + 1) % size, `${guest.input} of ${rank}`);
      guest.output((await take(guest)).join());
      return 0;
    });
    expect(await host.told({ functionName: "ranks", worldSize: 3, input: "hello" })).toBe("0 2 hello of 2");
    expect(host.pool.started).toBe(3);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
  });

  it("gives frames in the order in which each rank has sent them, and none when none is there", async () => {
    const host = await open(async (guest, rank) => {
      if (rank === 1) {
        for (let at = 0; at < 5; at += 1) {
          await send(guest, 0, `${at}`);
        }
        await take(guest);
        return 0;
      }
      const taken: string[] = [];
      while (taken.length < 5) {
        taken.push(...(await take(guest)));
      }
      expect(await take(guest, false)).toEqual([]);
      await send(guest, 1, "end");
      guest.output(taken.join());
      return 0;
    });
    expect(await call(host, 2)).toBe("0 1 0,1 1,1 2,1 3,1 4");
  });

  it("takes room for all ranks with the first: the others ask for none", async () => {
    const host = await open(async () => {
      await settled();
      return 0;
    });
    const told = call(host, 3);
    await settled();
    expect(Array.from(host.pool.running, ({ start }) => start.ranks)).toEqual([3, 0, 0]);
    expect(await told).toBe("0 ");
    expect(await host.told({ functionName: "ranks" })).toBe("0 ");
  });

  it("W1: begins with all ranks or with none", async () => {
    const host = await openWith(
      asRank(async () => 0),
      { limits: { tenantMaxCalls: 2, tenantMaxThreads: 4 } },
    );
    void call(host, 3);
    await settled();
    expect(host.pool.started).toBe(1);
    const outcome = host.call({ functionName: "ranks", worldSize: 5 });
    await expect(outcome).rejects.toThrow("the call is to have 5 ranks, tenant acme may have 4 (tenantMaxThreads)");
  });

  it("W1: lets no rank go on before all have come", async () => {
    let arrive = () => {};
    const late = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const order: string[] = [];
    let begun = 0;
    const host = await openWith(async (guest) => {
      begun += 1;
      if (begun === 3) {
        await late;
        order.push("the last one comes");
      }
      await join(guest);
      order.push("goes on");
      await leave(guest);
      return 0;
    });
    const told = call(host, 3);
    await settled();
    expect(order).toEqual([]);
    arrive();
    expect(await told).toBe("0 ");
    expect(order).toEqual(["the last one comes", "goes on", "goes on", "goes on"]);
  });

  it("W4: what a rank has written before it sends, the receiver reads", async () => {
    const host = await open(async (guest, rank) => {
      if (rank === 0) {
        guest.put("x", "new");
        await send(guest, 1, "written");
        return 0;
      }
      const before = await guest.get("x");
      await take(guest);
      guest.put("seen", `${before} ${await guest.get("x")}`);
      return 0;
    });
    await host.put("x", "old");
    expect(await call(host, 2)).toBe("0 ");
    expect(await host.object("seen")).toBe("old new");
  });

  it("is of one rank in a call without a size, and in one that a function calls", async () => {
    const host = await open(async (guest, rank, size) => {
      guest.output(`${rank} of ${size}`);
      return 0;
    });
    await host.define("caller", async (guest) => {
      guest.output((await guest.call("ranks")).text);
      return 0;
    });
    expect(await host.told({ functionName: "ranks" })).toBe("0 0 of 1");
    expect(await host.told({ functionName: "caller", worldSize: 3 })).toBe("0 0 of 1");
    expect(host.pool.started).toBe(3);
  });

  it("of one rank is run again as any call", async () => {
    let runs = 0;
    const host = await open(async (guest) => {
      runs += 1;
      guest.put("x", "once");
      await guest.sleep(0);
      await (runs === 1 ? FOREVER : null);
      return 0;
    });
    const told = call(host, 1);
    await settled();
    rankOf(host, 0).displace();
    expect(await told).toBe("0 ");
    expect([runs, await host.versions("x")]).toEqual([2, ["once"]]);
  });

  it("keeps storage parts where the rank is", async () => {
    const host = await ScriptedHost.open({ partSlots: 4 });
    await host.define("ranks", {
      main: asRank(async (guest) => {
        await guest.part("x", 0);
        return 0;
      }),
      parts: [async () => 0],
    });
    await host.put("x", "value");
    const answer = await host.call({ functionName: "ranks", worldSize: 2 });
    expect(answer.kind === "completed" && answer.trace.parts.map(({ reason }) => reason)).toEqual([
      "is a rank of a world",
      "is a rank of a world",
    ]);
  });
});

it("is refused where ranks would share memory: messages are all that they have in common", async () => {
  const host = await ScriptedHost.open();
  await host.define("ranks", async () => 0, { regions: "used" });
  expect(await host.told({ functionName: "ranks", worldSize: 2 })).toBe("failed: NOT_SUPPORTED");
  expect(host.pool.started).toBe(0);
});

describe("W2, W3: a rank that is lost ends its world, and nothing of it is run again", () => {
  /** Each rank writes, and waits for a message that does not come. */
  const waits: Main = async (guest, rank) => {
    guest.put(`x${rank}`, "written");
    await take(guest);
    return 0;
  };

  async function lostBy(lose: (host: ScriptedHost) => Promise<void> | void): Promise<string> {
    const host = await open(waits);
    const told = call(host, 3);
    await settled();
    await lose(host);
    const text = await told;
    expect(host.pool.started).toBe(3);
    for (const rank of [0, 1, 2]) {
      expect(await host.versions(`x${rank}`)).toEqual(["written"]);
    }
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
    expect(await call(host, 3)).toBe(text);
    return text;
  }

  it("by the host's limits", async () => {
    expect(await lostBy((host) => rankOf(host, 2).kill("wallTime"))).toBe(
      "trap WORLD_LOST: rank 2 of 3 was ended: killed by the test: wallTime",
    );
    expect(await lostBy((host) => rankOf(host, 0).kill("cpuTime"))).toBe(
      "trap WORLD_LOST: rank 0 of 3 was ended: killed by the test: cpuTime",
    );
  });

  it("with its worker, or displaced", async () => {
    expect(await lostBy((host) => rankOf(host, 1).kill("workerLost"))).toContain("rank 1 of 3 was ended");
    expect(await lostBy((host) => rankOf(host, 1).displace())).toBe("trap WORLD_LOST: rank 1 of 3 was interrupted");
  });

  it("with the session", async () => {
    expect(await lostBy((host) => host.reconnect())).toContain("trap WORLD_LOST: rank ");
  });

  it("when it is cancelled, and the others with it", async () => {
    const host = await open(waits);
    void call(host, 3).catch(() => {});
    await settled();
    const [root] = await host.invocations.unfinished(TENANT);
    await host.invocations.cancel(root?.instance ?? ("" as never), TENANT);
    await settled();
    expect([host.pool.running.size, host.pool.started]).toEqual([0, 3]);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
  });

  const OWN_DOING: readonly (readonly [does: string, main: (guest: ScriptedGuest) => Promise<number>, text: string])[] = [
    ["traps", async (guest) => guest.trap("unreachable"), "rank 1 of 2 failed: unreachable"],
    ["returns another value than 0", async () => 7, "rank 1 of 2 returned 7"],
    [
      "aborts",
      async (guest) => {
        await guest.request(Operation.mpiAbort, mpiAbortArgs.encode(5));
        return 0;
      },
      "rank 1 of 2 called MPI_Abort with 5",
    ],
  ];

  it.each(OWN_DOING)("by its own doing: it %s", async (_does, main, text) => {
    const host = await openWith(async (guest) => {
      const { rank } = await join(guest);
      if (rank === 1) {
        return main(guest);
      }
      await take(guest);
      return 0;
    });
    expect(await call(host, 2)).toBe(`trap WORLD_LOST: ${text}`);
    expect(host.pool.started).toBe(2);
  });

  it("that ends without MPI_Finalize, or without MPI_Init", async () => {
    const withoutEnd = await openWith(async (guest) => {
      const { rank } = await join(guest);
      if (rank === 0) {
        await take(guest);
      }
      return 0;
    });
    expect(await call(withoutEnd, 2)).toBe("trap WORLD_LOST: rank 1 of 2 ended without MPI_Finalize");
    let begun = 0;
    const withoutBegin = await openWith(async (guest) => {
      begun += 1;
      if (begun === 1) {
        await join(guest);
        await leave(guest);
      }
      return 0;
    });
    expect(await call(withoutBegin, 2)).toBe("trap WORLD_LOST: rank 1 of 2 ended without MPI_Finalize");
  });

  it("after it has left: the call fails, as its answer would rest on half of it", async () => {
    const host = await openWith(async (guest) => {
      const { rank } = await join(guest);
      await leave(guest);
      return rank === 1 ? guest.trap("late") : 0;
    });
    expect(await call(host, 2)).toBe("trap WORLD_LOST: rank 1 of 2 failed: late");
  });

  it("rank 0 by its own doing: its trap is the answer", async () => {
    const host = await open(async (guest, rank) => {
      if (rank === 0) {
        guest.trap("first");
      }
      await take(guest);
      return 0;
    });
    expect(await call(host, 2)).toBe("trap first");
    expect(host.pool.running.size).toBe(0);
  });

  it("with the host: after a crash the call ends so, whoever asks is told, and what was written stays", async () => {
    const host = await open(waits);
    void call(host, 3).catch(() => {});
    await settled();
    await host.test.shard.whenDurable(await host.book.tail());
    const again = await host.crash();
    again.invocations.startRecovery(10_000);
    expect(await call(again, 3)).toBe("trap WORLD_LOST: rank 0 of 3 was interrupted: messages of its world are gone");
    await settled();
    for (const rank of [0, 1, 2]) {
      expect(await again.versions(`x${rank}`)).toEqual(["written"]);
    }
    expect([again.pool.running.size, await again.invocations.unfinished(TENANT)]).toEqual([0, []]);
  });

  it("but not before MPI_Init: until then a call is run again as any other", async () => {
    let runs = 0;
    const host = await openWith(async (guest) => {
      runs += 1;
      guest.put("x", "once");
      await guest.sleep(0);
      await (runs === 1 ? FOREVER : null);
      const { rank } = await join(guest);
      guest.output(`${rank}`);
      await leave(guest);
      return 0;
    });
    const told = call(host, 2);
    await settled();
    rankOf(host, 0).displace();
    expect(await told).toBe("0 0");
    expect(await host.versions("x")).toEqual(["once", "once"]);
  });
});

it("the same key with another number of ranks is another call", async () => {
  const host = await open(async () => 0);
  expect(await call(host, 2)).toBe("0 ");
  await expect(call(host, 3)).rejects.toThrow("was used with another input or command line");
});
