import { describe, expect, it } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});

async function openHost(): Promise<ScriptedHost> {
  const host = await ScriptedHost.open();
  await host.define("add", async (guest) => {
    const [key = "", amount = "0"] = guest.input.split(" ");
    const sum = Number((await guest.get(key)) ?? 0) + Number(amount);
    guest.put(key, `${sum}`);
    guest.output(`${sum}`);
    return 0;
  });
  return host;
}

describe("F37: functions called inside a transaction run in it", () => {
  it("they see its moment and what it wrote, and only the one who began it commits", async () => {
    const host = await openHost();
    await host.define("caller", async (guest) => {
      await guest.transaction();
      guest.put("x", "1");
      const first = await guest.call("add", "x 10");
      const before = host.versions("x");
      const second = await guest.call("add", "x 100");
      guest.put("y", `${await guest.get("x")}`);
      guest.output(`${first.text} ${second.text} ${(await before).length} ${await guest.commit()}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 11 111 0 committed");
    expect([await host.versions("x"), await host.versions("y")]).toEqual([["111"], ["111"]]);
  });

  it("what they read counts: the commit is refused when others change it", async () => {
    const host = await openHost();
    await host.define("look", async (guest) => {
      guest.output(`${await guest.get("limit")} ${(await guest.list("room/")).length}`);
      return 0;
    });
    for (const change of ["limit", "room/1"]) {
      await host.define("caller", async (guest) => {
        await guest.transaction();
        const { text } = await guest.call("look");
        await host.put(change, "other");
        guest.put("seen", text);
        guest.output(await guest.commit());
        return 0;
      });
      expect(await host.told({ functionName: "caller" })).toBe(change === "limit" ? "0 object limit" : "0 list");
    }
    expect(await host.versions("seen")).toEqual([]);
  });

  it("one that goes on when its caller has ended the transaction reads nothing of another moment: it is ended", async () => {
    const host = await ScriptedHost.openIn("halfmoon-write");
    await host.put("x", "before");
    const gate = Promise.withResolvers<void>();
    const seen: unknown[] = [];
    await host.define("late", async (guest) => {
      await gate.promise;
      seen.push(await guest.get("x"));
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      const call = await guest.callStart("late", "");
      await guest.abort();
      await host.put("x", "after");
      gate.resolve();
      const { returnValue, text } = await guest.callAwait(call);
      guest.output(`${returnValue} ${text}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe(
      "0 1 TRANSACTION_OVER: the transaction that the function was called in has ended before it",
    );
    expect(seen).toEqual([]);
  });

  it("through several levels, and their writes are there at one moment", async () => {
    const host = await openHost();
    await host.define("middle", async (guest) => {
      guest.put("middle", "1");
      const { text } = await guest.call("add", "deep 5");
      guest.output(`${text} ${await guest.get("deep")}`);
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction("snapshot");
      const { text } = await guest.call("middle");
      guest.output(`${text} ${await guest.get("deep")} ${await guest.commit()}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 5 5 5 committed");
    expect([await host.versions("middle"), await host.versions("deep")]).toEqual([["1"], ["5"]]);
  });

  it("one that begins its own, commits or aborts is refused by a code, and goes on", async () => {
    const host = await openHost();
    await host.define("child", async (guest) => {
      guest.output(`${await guest.transaction()} ${await guest.commit()} ${await guest.abort()}`);
      guest.put("x", "1");
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      const { text } = await guest.call("child");
      guest.output(`${text} ${await guest.commit()}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 -40 -41 -41 committed");
    expect(await host.versions("x")).toEqual(["1"]);
  });

  it("one that traps takes its own writes with it, and not the transaction", async () => {
    const host = await openHost();
    await host.define("child", async (guest) => {
      guest.put("child", "1");
      await guest.get("x");
      return guest.trap("no");
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      guest.put("x", "1");
      const { returnValue, text } = await guest.call("child");
      guest.output(`${returnValue} ${text} ${await guest.get("child")} ${await guest.commit()}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 1 no null committed");
    expect([await host.versions("x"), await host.versions("child")]).toEqual([["1"], []]);
  });

  it("a commit waits for no call: it is refused until all are awaited, so that none is lost in silence", async () => {
    const host = await openHost();
    await host.define("caller", async (guest) => {
      await guest.transaction();
      const both = [guest.callStart("add", "a 1"), guest.callStart("add", "b 2")];
      await guest.callAwait(both[0] ?? 0);
      const early = await guest.commit();
      await guest.callAwait(both[1] ?? 0);
      await guest.callAwait(both[1] ?? 0);
      guest.output(`${early} ${await guest.commit()}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 -42 committed");
    expect([await host.versions("a"), await host.versions("b")]).toEqual([["1"], ["2"]]);
  });

  it("a commit is refused when a called function left calls of its own unawaited, unless it failed", async () => {
    const host = await openHost();
    await host.define("child", async (guest) => {
      guest.callStart("add", "a 1");
      await guest.sleep(0);
      return guest.input === "trap" ? guest.trap("broken") : 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      await guest.call("child", "trap");
      guest.output(`${await guest.commit()} `);
      await guest.transaction();
      await guest.call("child");
      guest.output(`${await guest.commit()} ${await guest.abort()}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 committed -42 0");
    expect(await host.versions("a")).toEqual([]);
  });

  it("what one has read whose output was too long counts: the commit is refused when others change it", async () => {
    const host = await openHost();
    await host.define("child", async (guest) => {
      guest.output(`${await guest.get("x")}`);
      guest.kill("outputTooLarge");
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      await guest.call("child");
      await host.put("x", "other");
      guest.put("y", "1");
      guest.output(await guest.commit());
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 object x");
  });

  it.each([
    ["x", "0 1 object x"],
    ["elsewhere", "0 1 object elsewhere"],
    ["unread", "0 1 committed"],
  ])("what one has read that ends with PROTOCOL_MISMATCH counts: others change %s", async (changed, told) => {
    const host = await openHost();
    await host.put("x", "1");
    await host.define(
      "other",
      async (guest) => {
        guest.put("elsewhere", "1");
        return 0;
      },
      { protocol: "halfmoon-write" },
    );
    await host.call({ functionName: "other" });
    await host.define("child", async (guest) => {
      guest.put("dropped", "1");
      await guest.get("x");
      await guest.get("elsewhere");
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      const { returnValue } = await guest.call("child");
      await host.put(changed, "other");
      guest.put("y", "1");
      guest.output(`${returnValue} ${await guest.commit()}`);
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe(told);
    expect(await host.versions("dropped")).toEqual([]);
  });

  it("what a call of an aborted transaction did is not part of the next one", async () => {
    const host = await openHost();
    await host.define("caller", async (guest) => {
      await guest.transaction();
      const handle = guest.callStart("add", "a 1");
      await guest.abort();
      await guest.transaction();
      await guest.callAwait(handle);
      guest.put("b", "1");
      guest.output(await guest.commit());
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 committed");
    expect([await host.versions("a"), await host.versions("b")]).toEqual([[], ["1"]]);
  });

  it("one that overflows the transaction leaves it overflown", async () => {
    const host = await openHost();
    await host.define("child", async (guest) => {
      for (let i = 0; i < 200; i += 1) {
        guest.put(`${guest.input}/${i}`, "");
      }
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction("snapshot");
      await guest.call("child", "a");
      await guest.call("child", "b");
      guest.output(await guest.commit());
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 -5 301 objects written, 300 may be");
    expect(await host.versions("a/0")).toEqual([]);
  });

  it("long values and many writes travel as blobs, there and back", async () => {
    const host = await openHost();
    const text = "x".repeat(50_000);
    await host.define("child", async (guest) => {
      guest.output(`${(await guest.get("long"))?.length} ${(await guest.get("n/40"))?.length}`);
      guest.put("back", text);
      for (let i = 0; i < 40; i += 1) {
        guest.put(`back/${i}`, "y".repeat(4000));
      }
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction("readAtomic");
      guest.put("long", text);
      for (let i = 0; i <= 40; i += 1) {
        guest.put(`n/${i}`, "y".repeat(4000));
      }
      const { text: seen } = await guest.call("child");
      guest.output(
        `${seen} ${(await guest.get("back"))?.length} ${await guest.commit()} ${(await guest.get("back/39"))?.length}`,
      );
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 50000 4000 50000 committed 4000");
  });

  it("[56] is the same in a replay on another host, with children that are done and one that is not", async () => {
    const host = await openHost();
    let stuck = true;
    await host.define("slow", async (guest) => {
      const seen = await guest.get("x");
      await (stuck ? FOREVER : Promise.resolve());
      guest.put("slow", `${seen}`);
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      await guest.call("add", "x 5");
      await guest.call("slow");
      guest.output(await guest.commit());
      return 0;
    });
    void host.call({ functionName: "caller", key: "k" });
    await settled();
    await host.test.shard.whenDurable(await host.book.tail());
    stuck = false;
    const again = await host.crash();
    again.invocations.startRecovery(10_000);
    await settled();
    expect(await again.told({ functionName: "caller", key: "k" })).toBe("0 committed");
    expect([await again.versions("x"), await again.versions("slow")]).toEqual([["5"], ["5"]]);
  });

  it("a call started before the transaction, or after it, is outside", async () => {
    const host = await openHost();
    await host.define("caller", async (guest) => {
      const before = guest.callStart("add", "a 1");
      await guest.transaction();
      await guest.callAwait(before);
      const { length } = await host.versions("a");
      guest.output(`${length} ${await guest.get("a")} ${await guest.abort()} ${(await guest.call("add", "b 1")).text}`);
      return 0;
    });
    const { instance } = await host.call({ functionName: "caller" });
    const kinds = (await host.steps(instance)).map(({ kind }) => kind);
    expect(kinds).toEqual([RecordKind.init, RecordKind.invoke, RecordKind.begin, RecordKind.invoke, RecordKind.done]);
    expect([await host.versions("a"), await host.versions("b")]).toEqual([["1"], ["1"]]);
  });
});
