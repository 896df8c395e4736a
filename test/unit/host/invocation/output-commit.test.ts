import { beforeEach, describe, expect, it } from "vitest";
import type { InstanceId } from "../../../../state/ids.ts";
import { MODES, RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { ObjectStore } from "../../../../state/objects/index.ts";
import { keyTag, STEP_TAG_PREFIX } from "../../../../state/tags.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

const DELETED = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0));

let journal: MemoryJournal;
let host: ScriptedHost;

/** A host whose records become durable only when the test says so. */
beforeEach(async () => {
  const opening = new MemoryJournal();
  const test = await openTestShard({ journal: opening });
  host = await ScriptedHost.open({ test });
  await host.define("write", async (guest) => {
    guest.put("x", guest.input);
    return 0;
  });
  await host.define("read", async (guest) => {
    guest.output((await guest.get("x")) ?? "absent");
    return 0;
  });
  await host.define("list", async (guest) => {
    guest.output((await guest.list("")).join(","));
    return 0;
  });
  await host.put("x", "old");
  await test.shard.whenDurable(await host.book.tail());
  opening.automatic = false;
  journal = opening;
});

/** Whether `asked` is answered before the disk has what it rests on; then lets the disk catch up. */
async function leavesEarly(asked: Promise<unknown>): Promise<boolean> {
  let answered = false;
  void asked.then(() => {
    answered = true;
  });
  await settled();
  const early = answered;
  while (journal.flush()) {
    await settled();
  }
  await asked;
  return early;
}

describe("F8: nothing leaves before everything it rests on is durable", () => {
  it("the answer of a call that wrote", async () => {
    expect(await leavesEarly(host.call({ functionName: "write", input: "new" }))).toBe(false);
  });

  it("the answer of a read-only call that saw an undurable version", async () => {
    await host.put("x", "new");
    const asked = host.told({ functionName: "read" });
    expect(await leavesEarly(asked)).toBe(false);
    expect(await asked).toBe("0 new");
  });

  it("but a read-only call whose versions are durable causes no flush, and waits for none", async () => {
    await host.put("y", "new");
    const asked = host.told({ functionName: "read" });
    await settled();
    expect(await Promise.race([asked, "waits"])).toBe("0 old");
    expect(journal.flush()).toBe(false);
  });

  it("a list that leaves an object out because of an undurable delete", async () => {
    await host.define("delete", async (guest) => {
      guest.delete("x");
      return 0;
    });
    const deleted = host.call({ functionName: "delete" });
    await settled();
    const asked = host.told({ functionName: "list" });
    expect(await leavesEarly(asked)).toBe(false);
    expect(await asked).toBe("0 ");
    await deleted;
  });

  it("the status of a call whose DONE is not durable", async () => {
    const call = host.call({ functionName: "write", input: "new", callId: 7 });
    await settled();
    const asked = host.invocations.status(7, TENANT);
    expect(await leavesEarly(asked)).toBe(false);
    expect((await asked).kind).toBe("completed");
    await call;
  });

  it("the graph, and the list of unfinished calls", async () => {
    const gate = Promise.withResolvers<void>();
    await host.define("waiting", async () => {
      await gate.promise;
      return 0;
    });
    const call = host.call({ functionName: "waiting", callId: 7 });
    await settled();
    expect(await leavesEarly(host.invocations.graph(7, TENANT))).toBe(false);
    const second = host.call({ functionName: "waiting", callId: 8 });
    await settled();
    expect(await leavesEarly(host.invocations.unfinished(TENANT))).toBe(false);
    gate.resolve();
    await leavesEarly(Promise.all([call, second]));
  });

  it("the timeline of a call whose last step is not durable", async () => {
    const call = host.call({ functionName: "write", input: "new", key: "k" });
    await settled();
    const { records } = await host.book.readStream(keyTag("write", "k"), 0);
    const instance = records[0]?.tags[0]?.slice(STEP_TAG_PREFIX.length) as InstanceId;
    const asked = host.invocations.timeline(instance, TENANT);
    expect(await leavesEarly(asked)).toBe(false);
    const told = (await asked).map(({ position, kind, tags }) => [position, kind, ...tags]);
    expect(told).toEqual([
      [0, "init", "k/write/k"],
      [1, "write", "o/x"],
      [2, "done"],
    ]);
    await call;
  });

  it("that there is no such call, as a collection may have let go of it", async () => {
    const nobody = "1-nobody" as InstanceId;
    for (const ask of ["status", "timeline"] as const) {
      await host.put("x", ask);
      const { invocations } = host;
      const asked = ask === "status" ? invocations.statusOfInstance(nobody, TENANT) : invocations.timeline(nobody, TENANT);
      expect(await leavesEarly(asked), ask).toBe(false);
    }
  });

  it("the status of a call that is parked, not durably yet", async () => {
    await host.define("stuck", async (guest) => {
      guest.put("x", "1");
      return new Promise<never>(() => {});
    });
    const call = host.call({ functionName: "stuck", callId: 7 });
    await settled();
    expect(await leavesEarly(host.test.shard.whenDurable(await host.book.tail()))).toBe(false);
    while ((await host.test.shard.unfinished(TENANT))[0]?.parked !== true) {
      for (const guest of host.pool.running) {
        guest.kill("wallTime");
      }
      await settled();
    }
    const asked = host.invocations.status(7, TENANT);
    expect(await leavesEarly(asked)).toBe(false);
    expect((await asked).kind).toBe("parked");
    await call;
  });

  it("absence, also when a collection has let go of the undurable delete that it rests on", async () => {
    const test = await openTestShard({ options: { garbageMin: 1 } });
    host = await ScriptedHost.open({ test });
    ({ journal } = test);
    await host.define("read", async (guest) => {
      guest.output((await guest.get("x")) ?? "absent");
      return 0;
    });
    await host.put("x", "old");
    await test.shard.whenDurable(await host.book.tail());
    journal.automatic = false;
    const objects = new ObjectStore(host.source, 100);
    const removed = objects.remove(TENANT, "x");
    await settled();
    await host.put("y", "1");
    await host.put("y", "2");
    const collected = test.shard.collect();
    await settled();
    const asked = host.told({ functionName: "read" });
    expect(await leavesEarly(Promise.race([asked, objects.get(TENANT, "x")]))).toBe(false);
    expect(await asked).toBe("0 absent");
    await Promise.all([removed, collected]);
  });

  it("the answer of a function whose upload is not durable", async () => {
    await host.define("pure", async () => 0);
    expect(await leavesEarly(host.call({ functionName: "pure" }))).toBe(false);
  });

  it("the acknowledgement of an asynchronous call", async () => {
    expect(await leavesEarly(host.call({ functionName: "write", input: "new", answer: "accepted" }))).toBe(false);
  });

  it("the stored answer for a duplicate, and the refusal of another input under the key", async () => {
    const first = host.call({ functionName: "write", input: "new", key: "k" });
    await settled();
    const same = host.told({ functionName: "write", input: "new", key: "k" });
    const other = host.call({ functionName: "write", input: "other", key: "k" }).catch((error) => error.code);
    const asked = Promise.all([same, other]);
    let answered = false;
    void Promise.race([same, other]).then(() => {
      answered = true;
    });
    await settled();
    expect(answered).toBe(false);
    await leavesEarly(asked);
    expect(await asked).toEqual(["0 ", "IDEMPOTENCY_MISMATCH"]);
    await first;
  });

  it("an object, a list of objects and the answer to a write, as the outside sees them", async () => {
    const objects = new ObjectStore(host.source, 100);
    await host.put("x", "new");
    expect(await leavesEarly(objects.get(TENANT, "x"))).toBe(false);
    const removed = objects.remove(TENANT, "x");
    await settled();
    expect(await leavesEarly(objects.get(TENANT, "x"))).toBe(false);
    expect(await removed).toBe(true);
    await host.put("y", "1");
    expect(await leavesEarly(objects.list(TENANT, "", "", 10))).toBe(false);
    const put = objects.put(TENANT, "x", chunks("2"), 100);
    expect(await leavesEarly(put)).toBe(false);
  });

  it("F1: an answer that rested on what an owner's crash took away is not given: the call is begun anew", async () => {
    await host.put("x", "lost");
    const asked = host.told({ functionName: "read" });
    await settled();
    await host.restartOwner();
    expect(await asked).toBe("0 old");
  });

  it("F1: a write whose record an owner's crash took away is done again before it is acknowledged", async () => {
    const asked = host.told({ functionName: "write", input: "again" });
    await settled();
    await host.restartOwner();
    expect(await asked).toBe("0 ");
    expect(await host.versions("x")).toEqual(["old", "again"]);
  });
});

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    yield Buffer.from(text);
  }
}

describe.each(MODES)("F8: under %s nothing leaves before everything it rests on is durable", (mode) => {
  const KEY = "s/x";

  beforeEach(async () => {
    journal.automatic = true;
    journal.flush();
    await host.choose("s", mode);
    await host.define("change", async (guest) => {
      if (guest.input === "update") {
        await guest.update(KEY, (old) => `${old}, updated`);
      } else if (guest.input === "write") {
        guest.put(KEY, "written");
      } else {
        guest.delete(KEY);
      }
      return 0;
    });
    await host.define("look", async (guest) => {
      guest.output(guest.input === "list" ? (await guest.list("s/")).join() : `${await guest.get(KEY)}`);
      return 0;
    });
    await host.put(KEY, "old");
    await host.test.shard.whenDurable(await host.book.tail());
    journal.automatic = false;
  });

  it.each(["write", "update", "delete"])("the answer of a call that made a change: %s", async (input) => {
    expect(await leavesEarly(host.call({ functionName: "change", input }))).toBe(false);
  });

  it.each(["get", "list"])(
    "the answer of a call that saw an undurable write, or by an undurable delete nothing: %s",
    async (input) => {
      await host.put(KEY, "new");
      const found = host.told({ functionName: "look", input });
      expect(await leavesEarly(found)).toBe(false);
      expect(await found).toBe(input === "get" ? "0 new" : `0 ${KEY}`);
      await host.book.append({ records: [{ kind: RecordKind.delete, tags: [], place: KEY, data: DELETED }] });
      const missed = host.told({ functionName: "look", input });
      expect(await leavesEarly(missed)).toBe(false);
      expect(await missed).toBe(input === "get" ? "0 null" : "0 ");
    },
  );
});
