import { describe, expect, it } from "vitest";
import { cancelRecord, childOf } from "../../../../host/invocation/cancellation.ts";
import type { InstanceId } from "../../../../state/ids.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { textOf } from "../../../support/call-bytes.ts";
import { atPoint, ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});

/** A host whose functions `gated` end when the test says so, with their input, in the order it says. */
async function openGated(parts: Parameters<typeof ScriptedHost.open>[0] = {}) {
  const host = await ScriptedHost.open(parts);
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const gate = (name: string) => {
    const found = gates.get(name) ?? Promise.withResolvers<void>();
    gates.set(name, found);
    return found;
  };
  await host.define("gated", async (guest) => {
    guest.put(`begun ${guest.input}`, "1");
    await gate(guest.input).promise;
    guest.put(`done ${guest.input}`, "1");
    guest.output(guest.input);
    return 0;
  });
  return { host, open: (name: string) => gate(name).resolve() };
}

async function recovered(host: ScriptedHost): Promise<ScriptedHost> {
  await host.test.shard.whenDurable(await host.book.tail());
  const again = await host.crash();
  again.invocations.startRecovery(10_000);
  await settled();
  return again;
}

async function kindsOf(host: ScriptedHost, instance: InstanceId): Promise<number[]> {
  return (await host.steps(instance)).map(({ kind }) => kind);
}

async function childrenOf(host: ScriptedHost, caller: InstanceId): Promise<InstanceId[]> {
  return (await host.steps(caller)).filter(({ kind }) => kind === RecordKind.invoke).map(childOf);
}

describe("[38]: select", () => {
  it("gives the call that has ended first, and the others can still be awaited in any order", async () => {
    const { host, open } = await openGated();
    await host.define("caller", async (guest) => {
      const handles = ["a", "b", "c"].map((name) => guest.callStart("gated", name));
      const first = await guest.select(...handles);
      open("a");
      open("c");
      const texts = [];
      for (const handle of handles.toReversed()) {
        texts.push((await guest.callAwait(handle)).text);
      }
      guest.output(`${first} ${texts.join("")}`);
      return 0;
    });
    const asked = host.told({ functionName: "caller" });
    await settled();
    open("b");
    expect(await asked).toBe("0 1 cba");
    for (const name of ["a", "b", "c"]) {
      expect(await host.versions(`done ${name}`), name).toEqual(["1"]);
    }
  });

  it("a replay takes the logged branch, whoever would be first then", async () => {
    const { host, open } = await openGated();
    let stuck = true;
    await host.define("caller", async (guest) => {
      const handles = ["a", "b"].map((name) => guest.callStart("gated", name));
      const first = await guest.select(...handles);
      guest.put("chosen", `${first}`);
      await guest.get("chosen");
      return stuck ? FOREVER : first;
    });
    void host.call({ functionName: "caller", key: "k" });
    await settled();
    open("b");
    await settled();
    expect(await host.versions("chosen")).toEqual(["1"]);
    // Both have ended when the replay asks.
    open("a");
    await settled();
    expect(await host.versions("done a")).toEqual(["1"]);
    stuck = false;
    const again = await recovered(host);
    expect(await again.told({ functionName: "caller", key: "k" })).toBe("1 ");
    expect(await again.versions("chosen")).toEqual(["1"]);
  });

  it("the caller sees what the chosen call wrote", async () => {
    const { host, open } = await openGated();
    await host.define("caller", async (guest) => {
      const handles = ["a", "b"].map((name) => guest.callStart("gated", name));
      await guest.select(...handles);
      guest.output(`${await guest.get("done a")}`);
      return 0;
    });
    const asked = host.told({ functionName: "caller" });
    await settled();
    open("a");
    expect(await asked).toBe("0 1");
  });

  it("counts a function that there is not as ended, and refuses a handle never given", async () => {
    const { host } = await openGated();
    await host.define("caller", async (guest) => {
      const handles = [guest.callStart("gated", "a"), guest.callStart("nobody", "")];
      guest.output(`${await guest.select(...handles)} ${await guest.select(7)} ${await guest.cancelCall(handles[1] ?? 0)}`);
      return await guest.cancelCall(9);
    });
    expect(await host.told({ functionName: "caller" })).toBe("-2 1 -2 0");
  });

  it("gives its sandbox back when it waits for long, and goes on with the first", async () => {
    const { host, open } = await openGated({ limits: { wallTimeMs: 20 } });
    await host.define("gated", async (guest) => {
      await guest.sleep(30);
      return 4;
    });
    await host.define("caller", async (guest) => {
      const handle = guest.callStart("gated", "");
      return (await guest.select(handle)) + 40 + (await guest.callAwait(handle)).returnValue;
    });
    const asked = host.told({ functionName: "caller" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    host.test.time.advance(30);
    expect(await asked).toBe("44 ");
    open("a");
  });
});

describe("F31: cancel", () => {
  it("ends a running child: its attempt is stopped, its result is that it was cancelled, and nothing of it counts later", async () => {
    const { host, open } = await openGated();
    await host.define("caller", async (guest) => {
      const handle = guest.callStart("gated", "a");
      await settled();
      const answers = [await guest.cancelCall(handle), await guest.cancelCall(handle)];
      const { returnValue, text } = await guest.callAwait(handle);
      guest.output([...answers, returnValue, text].join(" "));
      return 0;
    });
    const answer = await host.call({ functionName: "caller" });
    expect(answer.kind === "completed" && textOf(answer.result.output)).toBe("1 1 1 cancelled");
    open("a");
    await settled();
    expect(host.pool.running.size).toBe(0);
    expect(await host.versions("begun a")).toEqual(["1"]);
    expect(await host.versions("done a")).toEqual([]);
    const [child] = await childrenOf(host, answer.instance);
    expect(await kindsOf(host, child as InstanceId)).toEqual([RecordKind.invoke, RecordKind.write, RecordKind.cancel]);
  });

  it("a DONE that was first stands and is told, in a replay too", async () => {
    const { host, open } = await openGated();
    let stuck = true;
    await host.define("caller", async (guest) => {
      const handle = guest.callStart("gated", "a");
      await guest.callAwait(handle);
      const cancelled = await guest.cancelCall(handle);
      guest.put("cancelled", `${cancelled} ${(await guest.callAwait(handle)).text}`);
      await guest.get("cancelled");
      return stuck ? FOREVER : 0;
    });
    void host.call({ functionName: "caller", key: "k" });
    open("a");
    await settled();
    stuck = false;
    const again = await recovered(host);
    expect(await again.told({ functionName: "caller", key: "k" })).toBe("0 ");
    expect(await again.versions("cancelled")).toEqual(["0 a"]);
  });

  it("of a peer on another node is noticed at its next step", async () => {
    const { host, open } = await openGated();
    const other = await ScriptedHost.open({ test: host.test, pool: host.pool });
    const asked = host.told({ functionName: "gated", input: "a", key: "k" });
    await settled();
    const [one] = await host.invocations.unfinished(TENANT);
    const status = await other.invocations.cancel(one?.instance as InstanceId, TENANT);
    expect(status).toMatchObject({ kind: "completed", result: { cancelled: true } });
    open("a");
    expect(await asked).toBe("trap cancelled");
    expect(await host.versions("done a")).toEqual([]);
  });

  it("from outside ends a call that sleeps, one that is parked, and tells the result of one that is done", async () => {
    const host = await ScriptedHost.open({ limits: { wallTimeMs: 20 } });
    await host.define("sleeper", async (guest) => {
      guest.put("x", "1");
      await guest.sleep(1_000_000_000);
      return 0;
    });
    const asked = host.told({ functionName: "sleeper", key: "s" });
    await settled();
    const [sleeping] = await host.invocations.unfinished(TENANT);
    await host.invocations.cancel(sleeping?.instance as InstanceId, TENANT);
    expect(await asked).toBe("trap cancelled");

    await host.define("stuck", async (guest) => {
      guest.put("x", "2");
      return FOREVER;
    });
    const stuck = host.told({ functionName: "stuck", key: "p" });
    for (let i = 1; i <= 3; i += 1) {
      while (host.pool.started < 1 + i || host.pool.running.size === 0) {
        await settled();
      }
      await settled();
      [...host.pool.running][0]?.kill("wallTime");
    }
    expect(await stuck).toMatch(/^parked/);
    const [parked] = await host.invocations.unfinished(TENANT);
    expect(parked).toMatchObject({ parked: true });
    await host.invocations.cancel(parked?.instance as InstanceId, TENANT);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);

    await host.define("quick", async () => 5);
    const { instance } = await host.call({ functionName: "quick", key: "q" });
    expect(await host.invocations.cancel(instance, TENANT)).toMatchObject({ kind: "completed", result: { returnValue: 5 } });
    await expect(host.invocations.cancel("1-nobody" as InstanceId, TENANT)).rejects.toMatchObject({ code: "UNKNOWN_INSTANCE" });
  });

  it("wins or loses against the call's own steps, and never both: whatever the order, the stream has one end", async () => {
    for (let nth = 1; nth <= 4; nth += 1) {
      let cancel = () => {};
      const host = await ScriptedHost.open();
      await host.define("steps", async (guest) => {
        for (let i = 1; i <= 3; i += 1) {
          guest.put("x", `${i}`);
          if (i === nth) {
            cancel();
          }
          await guest.get("x");
        }
        return 0;
      });
      const cancelled: Promise<unknown>[] = [];
      cancel = () => {
        cancelled.push(host.invocations.unfinished(TENANT).then(([one]) => one && host.invocations.cancel(one.instance, TENANT)));
      };
      const answer = await host.call({ functionName: "steps", key: "k" });
      await Promise.all(cancelled);
      const kinds = await kindsOf(host, answer.instance);
      const ends = kinds.filter((kind) => kind === RecordKind.done || kind === RecordKind.cancel);
      expect(ends, `cancelled at write ${nth}`).toHaveLength(1);
      expect(kinds.at(-1)).toBe(ends[0]);
      const wasCancelled = answer.kind === "completed" && answer.result.trap === "cancelled";
      expect(wasCancelled).toBe(ends[0] === RecordKind.cancel);
    }
  });
});

describe("F40: calls that were started and not awaited, at their caller's end", () => {
  it("go on to their end, unless they were started bound: those are cancelled, before the caller's answer", async () => {
    const { host, open } = await openGated();
    await host.define("caller", async (guest) => {
      guest.callStart("gated", "free");
      guest.callStartBound("gated", "bound");
      const joined = guest.callStartBound("gated", "joined");
      open("joined");
      guest.output((await guest.callAwait(joined)).text);
      return 0;
    });
    const answer = await host.call({ functionName: "caller" });
    expect(answer.kind === "completed" && textOf(answer.result.output)).toBe("joined");
    const [free, bound, joined] = (await childrenOf(host, answer.instance)) as [InstanceId, InstanceId, InstanceId];
    const cancel = (await host.steps(bound)).at(-1);
    const done = (await host.steps(answer.instance)).at(-1);
    expect(cancel?.kind).toBe(RecordKind.cancel);
    expect([done?.kind, cancel?.seqnum]).toEqual([RecordKind.done, (done?.seqnum ?? 0) + 1]);
    expect((await kindsOf(host, joined)).at(-1)).toBe(RecordKind.done);
    open("free");
    open("bound");
    await settled();
    expect((await kindsOf(host, free)).at(-1)).toBe(RecordKind.done);
    expect(await host.versions("done free")).toEqual(["1"]);
    expect(await host.versions("done bound")).toEqual([]);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
  });

  it("the loser of a select runs to its end, and is there once", async () => {
    const { host, open } = await openGated();
    await host.define("caller", async (guest) =>
      guest.select(guest.callStart("gated", "slow"), guest.callStart("gated", "fast")),
    );
    const asked = host.told({ functionName: "caller" });
    await settled();
    open("fast");
    expect(await asked).toBe("1 ");
    open("slow");
    await settled();
    expect(await host.versions("done slow")).toEqual(["1"]);
  });

  it("a bound call whose caller was cancelled is cancelled with it, down the tree", async () => {
    const { host, open } = await openGated();
    await host.define("middle", async (guest) => (await guest.callAwait(guest.callStartBound("gated", "leaf"))).returnValue);
    await host.define("caller", async (guest) => (await guest.callAwait(guest.callStartBound("middle"))).returnValue);
    const asked = host.told({ functionName: "caller", key: "k" });
    await settled();
    const [root] = await host.invocations.unfinished(TENANT);
    await host.invocations.cancel(root?.instance as InstanceId, TENANT);
    expect(await asked).toBe("trap cancelled");
    open("leaf");
    await settled();
    expect(host.pool.running.size).toBe(0);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
    expect(await host.versions("done leaf")).toEqual([]);
  });

  it("a bound call whose caller the host gives up on is cancelled with it", async () => {
    const { host, open } = await openGated();
    await host.define("middle", async (guest) => (await guest.callAwait(guest.callStartBound("gated", "leaf"))).returnValue, {
      retry: { attemptsMax: 1, backoffMs: 0, backoffMaxMs: 0, causes: [] },
    });
    await host.define("caller", async (guest) => (await guest.call("middle")).returnValue);
    const asked = host.told({ functionName: "caller" });
    await settled();
    [...host.pool.running][1]?.kill("wallTime");
    expect(await asked).toBe("1 ");
    open("leaf");
    await settled();
    expect(await host.versions("done leaf")).toEqual([]);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
  });

  it("a bound call whose caller asked for what its protocol cannot give is cancelled with it", async () => {
    const { host, open } = await openGated();
    await host.define("put", async (guest) => void guest.put("x", "1"), { protocol: "halfmoon-write" });
    await host.call({ functionName: "put" });
    await host.define("caller", async (guest) => {
      guest.callStartBound("gated", "leaf");
      await guest.get("x");
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toMatch(/^trap PROTOCOL_MISMATCH/);
    open("leaf");
    await settled();
    expect(await host.versions("done leaf")).toEqual([]);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
  });

  it("a bound call that the host died before cancelling is cancelled by the next one, not run", async () => {
    const { host, open } = await openGated();
    await host.define("caller", async (guest) => {
      await guest.callAwait(guest.callStartBound("gated", "leaf"));
      return 0;
    });
    const asked = host.told({ functionName: "caller", key: "k" });
    await settled();
    const [root] = await host.invocations.unfinished(TENANT);
    const caller = root?.instance as InstanceId;
    const [leaf] = await childrenOf(host, caller);
    // Only the record: what else belongs to a cancellation is left undone, as by a crash.
    const cancelled = await host.steps(leaf as InstanceId);
    expect(cancelled.at(-1)?.kind).toBe(RecordKind.write);
    await host.book.append({ records: [cancelRecord(caller)] });
    const again = await recovered(host);
    open("leaf");
    await settled();
    expect((await kindsOf(again, leaf as InstanceId)).at(-1)).toBe(RecordKind.cancel);
    expect(await again.versions("done leaf")).toEqual([]);
    expect(await again.told({ functionName: "caller", key: "k" })).toBe("trap cancelled");
    void asked;
  });
});

describe("calls over crashes", () => {
  it("[37]: after the join a caller reads what the child wrote, in a replay as well", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("writer", async (guest) => {
      guest.put("shared", "by the child");
      return 0;
    });
    await host.define("caller", async (guest) => {
      const before = await guest.get("shared");
      await guest.call("writer");
      guest.put("seen", `${before}, ${await guest.get("shared")}`);
      await guest.get("seen");
      return stuck ? FOREVER : 0;
    });
    void host.call({ functionName: "caller", key: "k" });
    await settled();
    stuck = false;
    const again = await recovered(host);
    expect(await again.told({ functionName: "caller", key: "k" })).toBe("0 ");
    expect(await again.versions("seen")).toEqual(["null, by the child"]);
  });

  it("[38]: parallel children happen once each, and the order of the joins changes nothing", async () => {
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
      [1, 2, 0],
    ]) {
      const host = await ScriptedHost.open();
      await host.define("add", async (guest) => {
        guest.output(await guest.update("sum", (old) => `${Number(old ?? 0) + Number(guest.input)}`));
        return 0;
      });
      await host.define("caller", async (guest) => {
        const handles = ["1", "10", "100"].map((input) => guest.callStart("add", input));
        for (const index of order) {
          await guest.callAwait(handles[index] ?? 0);
        }
        guest.output(`${await guest.get("sum")}`);
        return 0;
      });
      expect(await host.told({ functionName: "caller" })).toBe("0 111");
      expect(await host.versions("sum")).toHaveLength(3);
    }
  });

  it("[39]: a caller that is run again while the child runs joins the one child", async () => {
    const { host, open } = await openGated();
    await host.define("caller", async (guest) => (await guest.call("gated", "a")).returnValue + 3);
    const asked = host.told({ functionName: "caller" });
    await settled();
    for (let i = 0; i < 3; i += 1) {
      [...host.pool.running].find(({ input }) => input === "")?.displace();
      await settled();
    }
    open("a");
    expect(await asked).toBe("3 ");
    expect(await host.versions("begun a")).toEqual(["1"]);
    expect(await host.versions("done a")).toEqual(["1"]);
  });

  it("[40]: a replay over completed children takes their results from the log", async () => {
    const host = await ScriptedHost.open();
    let runs = 0;
    await host.define("child", async (guest) => {
      runs += 1;
      guest.output(`run ${runs}`);
      return 0;
    });
    await host.define("caller", async (guest) => {
      const texts = [(await guest.call("child")).text, (await guest.call("child")).text];
      guest.put("texts", texts.join());
      await guest.get("texts");
      return host.pool.started < 4 ? FOREVER : 0;
    });
    const asked = host.told({ functionName: "caller" });
    await settled();
    [...host.pool.running][0]?.displace();
    expect(await asked).toBe("0 ");
    expect(runs).toBe(2);
    expect(await host.versions("texts")).toEqual(["run 1,run 2"]);
  });

  it("[41]: a tree of calls that crashes at each append in turn adds up to what it does without a crash", async () => {
    for (let nth = 1; nth <= 24; nth += 1) {
      let crash = () => {};
      const host = await ScriptedHost.open({ faults: atPoint("dispatch:after", () => crash(), nth) });
      await defineTree(host);
      await host.test.shard.whenDurable(await host.book.tail());
      const { promise: crashed, resolve } = Promise.withResolvers<"crashed">();
      crash = () => resolve("crashed");
      const asked = host.told({ functionName: "tree", input: "3", key: "k" });
      let last = host;
      if ((await Promise.race([asked, crashed])) === "crashed") {
        last = await host.crash();
        last.invocations.startRecovery(10_000);
      }
      expect(await last.told({ functionName: "tree", input: "3", key: "k" }), `crash at ${nth}`).toBe("0 15");
      expect(await last.versions("leaves"), `crash at ${nth}`).toHaveLength(8);
      await last.invocations.drain(0);
    }
  });
});

/** A binary tree of calls: each node counts itself and its children; leaves add to one object. */
async function defineTree(host: ScriptedHost): Promise<void> {
  await host.define("tree", async (guest) => {
    const depth = Number(guest.input);
    if (depth === 0) {
      await guest.update("leaves", (old) => `${Number(old ?? 0) + 1}`);
      guest.output("1");
      return 0;
    }
    const handles = [guest.callStart("tree", `${depth - 1}`), guest.callStart("tree", `${depth - 1}`)];
    let sum = 1;
    for (const handle of handles) {
      sum += Number((await guest.callAwait(handle)).text);
    }
    guest.output(`${sum}`);
    return 0;
  });
}
