import { describe, expect, it } from "vitest";
import type { InstanceId } from "../../../../state/ids.ts";
import { theGuest } from "../../../support/guest-ends.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

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

describe("F31: a call that is cancelled between two states of its run ends at once", () => {
  /** A host under the manual clock, whose function reads all there is, writes and sleeps. */
  async function sleepingHost(sleepMs: number) {
    const test = await openTestShard();
    const host = await ScriptedHost.open({ test, timers: test.time });
    await host.define("sleeper", async (guest) => {
      for (const key of await guest.list("")) {
        await guest.get(key);
      }
      guest.put("x", "1");
      await guest.sleep(sleepMs);
      return 0;
    });
    return host;
  }

  /** Cancels the call, then opens the gate at which its run has stopped. */
  async function cancelAt(gate: PromiseWithResolvers<void>, host: ScriptedHost, asked: Promise<string>): Promise<string> {
    expect(host.pool.running.size).toBe(0);
    const [one] = await host.invocations.unfinished(TENANT);
    await host.invocations.cancel(one?.instance as InstanceId, TENANT);
    gate.resolve();
    return Promise.race([asked, settled().then(() => "goes on")]);
  }

  it("while what its last attempt has read is pinned", async () => {
    const host = await sleepingHost(1_000_000);
    // More than a record holds.
    for (let i = 0; i < 20; i += 1) {
      await host.put(`${i}`, "x".repeat(4_000));
    }
    const gate = Promise.withResolvers<void>();
    const { blobs } = host.test;
    const create = blobs.create.bind(blobs);
    blobs.create = async (name) => {
      await gate.promise;
      return create(name);
    };
    const asked = host.told({ functionName: "sleeper", key: "k" });
    await settled();
    expect(await cancelAt(gate, host, asked)).toBe("trap cancelled");
  });

  it("while its next attempt is prepared", async () => {
    const host = await sleepingHost(5_000);
    const gate = Promise.withResolvers<void>();
    const asked = host.told({ functionName: "sleeper", key: "k" });
    await settled();
    const { functions } = host;
    const artefact = functions.artefact.bind(functions);
    functions.artefact = async (...which) => {
      await gate.promise;
      return artefact(...which);
    };
    theGuest(host).displace();
    await settled();
    expect(await cancelAt(gate, host, asked)).toBe("trap cancelled");
  });
});
