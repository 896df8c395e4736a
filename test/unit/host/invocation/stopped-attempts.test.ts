import { describe, expect, it } from "vitest";
import { theGuest } from "../../../support/guest-ends.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

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
