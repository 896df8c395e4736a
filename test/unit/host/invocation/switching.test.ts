/** Scopes are switched from one protocol to another while calls go on. */
import { describe, expect, it } from "vitest";
import { type LogBook, MODES, type Mode } from "../../../../state/logbook/index.ts";
import { objectTag } from "../../../../state/tags.ts";
import { gate } from "../../../support/gate.ts";
import type { Script } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

const SWITCHES: readonly (readonly [Mode, Mode])[] = [
  ["halfmoon-read", "halfmoon-write"],
  ["halfmoon-write", "halfmoon-read"],
  ["halfmoon-read", "boki"],
  ["unsafe", "halfmoon-read"],
  ["boki", "halfmoon-write"],
];

const get: Script = async (guest) => {
  guest.output(`${await guest.get(guest.input)}`);
  return 0;
};

const put: Script = async (guest) => {
  const [key = "", text = ""] = guest.input.split("=");
  guest.put(key, text);
  return 0;
};

async function open(mode: Mode): Promise<ScriptedHost> {
  const host = await ScriptedHost.openIn(mode);
  await host.define("get", get);
  await host.define("put", put);
  return host;
}

/** The seqnums of an object's newest write in its two places. */
async function places(book: LogBook, key: string): Promise<{ versions: number | undefined; home: string }> {
  const { records } = await book.readStream(objectTag(key), 0);
  const { home } = await book.readCell(key, await book.tail());
  return { versions: records.at(-1)?.seqnum, home };
}

describe.each(SWITCHES)("from %s to %s", (from, to) => {
  it("every object, also a deleted one, is what it was, before, during and after", async () => {
    const host = await open(from);
    for (const input of ["a=1", "b=1", "b=2", "c=1"]) {
      await host.call({ functionName: "put", input });
    }
    await host.define("delete", async (guest) => {
      guest.delete("c");
      return 0;
    });
    await host.call({ functionName: "delete" });
    const all = () => Promise.all(["a", "b", "c", "d"].map((input) => host.told({ functionName: "get", input })));
    const before = await all();
    await host.beginSwitch("", to);
    expect(await all()).toEqual(before);
    await host.call({ functionName: "put", input: "d=during" });
    expect(await host.switched("")).toBe(true);
    expect(await all()).toEqual(["0 1", "0 2", "0 null", "0 during"]);
    await host.call({ functionName: "put", input: "a=after" });
    expect(await all()).toEqual(["0 after", "0 2", "0 null", "0 during"]);
    // The journal alone says all that.
    await host.test.shard.whenDurable(await host.book.tail());
    const next = await host.crash();
    expect(await next.told({ functionName: "get", input: "a" })).toBe("0 after");
    expect(await next.told({ functionName: "get", input: "d" })).toBe("0 during");
  });

  it("[47] a replay after END keeps the protocol that its instance began with", async () => {
    const host = await open(from);
    await host.put("x", "1");
    let runs = 0;
    const begun = gate();
    await host.define("f", async (guest) => {
      runs += 1;
      const read = await guest.get("x");
      guest.put("y", `${read}+`);
      await settled();
      begun.open();
      if (runs === 1) {
        await new Promise(() => {});
      }
      guest.output(`${await guest.get("y")}`);
      return 0;
    });
    const call = host.told({ functionName: "f", key: "k" });
    await begun.opened;
    await host.beginSwitch("", to);
    // Its host is lost; the switch waits for it (F18), whoever takes it up.
    for (const guest of host.pool.running) {
      guest.kill("workerLost");
    }
    expect(await call).toBe("0 1+");
    expect(await host.switched("")).toBe(true);
    expect(await host.told({ functionName: "f", key: "k" })).toBe("0 1+");
    expect(await host.told({ functionName: "get", input: "y" })).toBe("0 1+");
  });

  it("[48] two transitional writers leave the same value, at the same seqnum, in both places", async () => {
    const host = await open(from);
    await host.put("x", "0");
    const hold = gate();
    await host.define("old", async (guest) => {
      guest.put("other", "1");
      await settled();
      await hold.opened;
      return 0;
    });
    const old = host.call({ functionName: "old", key: "k" });
    await settled();
    await host.beginSwitch("", to);
    for (let i = 0; i < 10; i += 1) {
      await Promise.all(["a", "b", "c"].map((text) => host.call({ functionName: "put", input: `x=${text}${i}` })));
      const { versions, home } = await places(host.book, "x");
      expect(home).toBe("both");
      expect((await host.book.readCell("x", await host.book.tail())).record?.seqnum).toBe(versions);
    }
    hold.open();
    await old;
    expect(await host.switched("")).toBe(true);
  });

  it("[44] a transitional instance that is cut off after each of its operations does each of them once", async () => {
    for (let cut = 0; cut <= 4; cut += 1) {
      const host = await open(from);
      await host.put("x", "1");
      const hold = gate();
      await host.define("old", async (guest) => {
        guest.put("other", "1");
        await settled();
        await hold.opened;
        return 0;
      });
      void host.call({ functionName: "old", key: "old" }).catch(() => {});
      await settled();
      await host.beginSwitch("", to);
      let runs = 0;
      const stop = gate();
      await host.define("f", async (guest) => {
        runs += 1;
        const isFirst = runs === 1;
        const operations = [
          async () => guest.output(`${await guest.get("x")}`),
          async () => guest.put("x", "2"),
          async () => guest.output(` ${await guest.get("x")}`),
          async () => guest.delete("gone"),
        ];
        for (const [i, operation] of operations.entries()) {
          if (isFirst && i === cut) {
            break;
          }
          await operation();
        }
        if (isFirst) {
          await settled();
          stop.open();
          await new Promise(() => {});
        }
        return 0;
      });
      void host.call({ functionName: "f", key: "k" }).catch(() => {});
      await stop.opened;
      await host.test.shard.whenDurable(await host.book.tail());
      hold.open();
      const next = await host.crash();
      next.invocations.startRecovery(5);
      expect(await next.told({ functionName: "f", key: "k" })).toBe("0 1 2");
      await expect.poll(async () => (await next.test.shard.unfinished(TENANT)).length, { timeout: 10_000 }).toBe(0);
      // W1: the switch goes on by itself after the crash.
      expect(await next.switched("")).toBe(true);
      expect(await next.told({ functionName: "get", input: "x" })).toBe("0 2");
    }
  });
});

describe("a switch", () => {
  it("[43] waits for an instance of the old mode, however long, and keeps no other call waiting", async () => {
    const host = await open("halfmoon-read");
    const hold = gate();
    await host.define("old", async (guest) => {
      guest.put("x", "old");
      await settled();
      await hold.opened;
      guest.put("x", "old, late");
      return 0;
    });
    const old = host.call({ functionName: "old" });
    await settled();
    await host.beginSwitch("", "halfmoon-write");
    expect(await host.switched("")).toBe(false);
    expect((await host.test.shard.scopes(TENANT))[0]).toMatchObject({ to: "halfmoon-write", waitingFor: 1 });
    for (let i = 0; i < 5; i += 1) {
      await host.call({ functionName: "put", input: `y=${i}` });
      expect(await host.told({ functionName: "get", input: "y" })).toBe(`0 ${i}`);
      expect(await host.told({ functionName: "get", input: "x" })).toBe("0 old");
    }
    hold.open();
    await old;
    expect(await host.told({ functionName: "get", input: "x" })).toBe("0 old, late");
    expect(await host.switched("")).toBe(true);
    expect(await host.told({ functionName: "get", input: "x" })).toBe("0 old, late");
  });

  it("F18: END waits for no attempt that has logged nothing; its first step is stale, and it begins again in the new mode", async () => {
    const host = await open("halfmoon-read");
    await host.put("x", "1");
    let runs = 0;
    const [begun, go] = [gate(), gate()];
    await host.define("f", async (guest) => {
      runs += 1;
      const read = await guest.get("x");
      begun.open();
      await go.opened;
      guest.put("x", `${read}+${runs}`);
      return 0;
    });
    const call = host.told({ functionName: "f" });
    await begun.opened;
    await host.beginSwitch("", "halfmoon-write");
    expect(await host.switched("")).toBe(true);
    await host.call({ functionName: "put", input: "x=2" });
    go.open();
    expect(await call).toBe("0 ");
    expect(await host.told({ functionName: "get", input: "x" })).toBe("0 2+2");
    expect((await places(host.book, "x")).home).toBe("cell");
  });

  it("F18: an unsafe attempt from before the switch, which never logs anything, is refused as well", async () => {
    const host = await open("unsafe");
    const [begun, go] = [gate(), gate()];
    await host.define("f", async (guest) => {
      const read = await guest.get("x");
      begun.open();
      await go.opened;
      guest.put("x", `${read}+`);
      return 0;
    });
    const call = host.told({ functionName: "f" });
    await begun.opened;
    await host.choose("", "halfmoon-read");
    await host.call({ functionName: "put", input: "x=2" });
    go.open();
    expect(await call).toBe("0 ");
    expect(await host.told({ functionName: "get", input: "x" })).toBe("0 2+");
    expect((await places(host.book, "x")).home).toBe("versions");
  });

  it("F18: a child of an instance from before BEGIN uses its caller's mode, and END waits for it", async () => {
    const host = await open("halfmoon-read");
    const [begun, go, child, last] = [gate(), gate(), gate(), gate()];
    await host.define("child", async (guest) => {
      guest.put("x", "child's");
      await settled();
      child.open();
      await last.opened;
      guest.put("x", "child's, late");
      return 0;
    });
    await host.define("caller", async (guest) => {
      guest.put("other", "1");
      await settled();
      begun.open();
      await go.opened;
      guest.callStart("child", "");
      return 0;
    });
    const caller = host.call({ functionName: "caller" });
    await begun.opened;
    await host.beginSwitch("", "halfmoon-write");
    // The caller ends without a join; its child goes on.
    go.open();
    await caller;
    await child.opened;
    // It began after BEGIN and writes as its caller does: versions only.
    expect((await places(host.book, "x")).home).toBe("versions");
    expect(await host.switched("")).toBe(false);
    last.open();
    await settled();
    expect(await host.switched("")).toBe(true);
    expect(await host.told({ functionName: "get", input: "x" })).toBe("0 child's, late");
  });

  it("[46] [45] a crash anywhere in a switch leaves one that goes on; BEGIN alone is no end, and nothing is lost", async () => {
    // Every number of records that may be durable when the owner dies, from BEGIN on.
    for (let durable = 0; durable < 6; durable += 1) {
      const host = await open("halfmoon-read");
      for (let i = 0; i < 600; i += 1) {
        await host.put(`o${i}`, `${i}`);
      }
      await host.test.shard.whenDurable(await host.book.tail());
      host.test.journal.automatic = false;
      await host.test.shard.switchMode(TENANT, "", "halfmoon-write", false);
      void host.test.shard.whenDurable(await host.book.tail());
      for (let i = 0; i < durable; i += 1) {
        host.test.journal.flush();
        await settled();
        host.test.time.advance(20);
        await settled();
        host.test.time.advance(20);
      }
      const next = await host.crash();
      const switching = (await next.test.shard.scopes(TENANT)).find(({ scope }) => scope === "");
      if (switching?.to !== null) {
        expect(await next.switched("")).toBe(true);
      }
      const { mode } = await next.book.modeAt("", await next.book.tail());
      expect(mode).toBe(durable === 0 ? "halfmoon-read" : "halfmoon-write");
      for (const key of ["o0", "o299", "o599"]) {
        expect(await next.told({ functionName: "get", input: key })).toBe(`0 ${key.slice(1)}`);
      }
    }
  });

  it("[48a] an old instance re-reads the same value while transitional ones write it", async () => {
    const host = await open("halfmoon-read");
    await host.put("x", "1");
    const [begun, go] = [gate(), gate()];
    await host.define("old", async (guest) => {
      guest.put("other", "1");
      const read = async () => `${await guest.get("x")} ${await guest.get("new")}`;
      const before = await read();
      begun.open();
      await go.opened;
      // Another object in between: nothing is left of what was read before.
      await guest.get("other");
      guest.output(`${before}, ${await read()}`);
      return 0;
    });
    const old = host.told({ functionName: "old" });
    await begun.opened;
    await host.beginSwitch("", "halfmoon-write");
    for (const key of ["x", "new"]) {
      await host.call({ functionName: "put", input: `${key}=2` });
      expect(await host.told({ functionName: "get", input: key })).toBe("0 2");
    }
    go.open();
    expect(await old).toBe("0 1 null, 1 null");
  });

  it.each<[Mode, Mode]>([
    ["halfmoon-read", "halfmoon-write"],
    ["halfmoon-write", "halfmoon-read"],
  ])("a transitional read takes the newer of versions and cell: an old %s instance writes one of them only", async (from, to) => {
    const host = await open(from);
    await host.put("x", "1");
    const [begun, go, written] = [gate(), gate(), gate()];
    await host.define("old", async (guest) => {
      await guest.get("x");
      guest.put("other", "1");
      await settled();
      begun.open();
      await go.opened;
      guest.put("x", "old's");
      await settled();
      written.open();
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
      return 0;
    });
    const old = host.call({ functionName: "old" });
    await begun.opened;
    await host.beginSwitch("", to);
    expect(await host.told({ functionName: "get", input: "x" })).toBe("0 1");
    go.open();
    await written.opened;
    expect(await host.told({ functionName: "get", input: "x" })).toBe("0 old's");
    await old;
    expect(await host.switched("")).toBe(true);
    expect(await host.told({ functionName: "get", input: "x" })).toBe("0 old's");
  });

  it("[45] ten switches under load lose no update, and each END finds every object where the new mode looks", async () => {
    const host = await open("halfmoon-read");
    await host.define("inc", async (guest) => {
      await guest.get(`own-${guest.input}`);
      await guest.update(`n${Number(guest.input) % 3}`, (old) => `${Number(old ?? 0) + 1}`);
      guest.put(`own-${guest.input}`, "1");
      return 0;
    });
    let calls = 0;
    let stopped = false;
    const client = async () => {
      while (!stopped) {
        calls += 1;
        expect(await host.told({ functionName: "inc", input: `${calls}` })).toBe("0 ");
        await settled();
      }
    };
    const clients = [client(), client(), client(), client()];
    // Unsafe ones would lose updates by themselves.
    const modes = MODES.filter((mode) => mode !== "unsafe");
    for (let i = 1; i <= 10; i += 1) {
      const mode = modes[i % modes.length] ?? "boki";
      await host.choose("", mode);
      const { objects } = await host.book.listObjects("", "", await host.book.tail(), 1000);
      for (const { key } of objects) {
        const { home } = await places(host.book, key);
        expect(["both", mode === "halfmoon-read" ? "versions" : "cell"]).toContain(home);
      }
    }
    stopped = true;
    await Promise.all(clients);
    const counts = await Promise.all(["n0", "n1", "n2"].map(async (key) => Number(await host.object(key))));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(calls);
    expect(calls).toBeGreaterThan(20);
    for (let i = 1; i <= calls; i += 1) {
      expect(await host.told({ functionName: "get", input: `own-${i}` })).toBe("0 1");
    }
  });

  it("is of one scope: others go on as they are", async () => {
    const host = await open("halfmoon-read");
    await host.choose("a", "boki");
    await host.call({ functionName: "put", input: "a/x=1" });
    await host.call({ functionName: "put", input: "b/x=1" });
    await host.call({ functionName: "put", input: "x=1" });
    const homes = await Promise.all(["a/x", "b/x", "x"].map(async (key) => (await places(host.book, key)).home));
    expect(homes).toEqual(["cell", "versions", "versions"]);
    await host.define("list", async (guest) => {
      guest.output(`${await guest.list("")}`);
      return 0;
    });
    expect(await host.told({ functionName: "list" })).toBe("0 a/x,b/x,x");
  });

  it("brings over objects of functions with a protocol of their own when a scope's mode is chosen for the first time", async () => {
    const host = await ScriptedHost.open();
    await host.define("get", get);
    await host.define("versions", put, { protocol: "halfmoon-read" });
    await host.define("cell", put, { protocol: "halfmoon-write" });
    await host.call({ functionName: "versions", input: "s/v=1" });
    await host.call({ functionName: "cell", input: "s/c=1" });
    for (const mode of ["halfmoon-write", "halfmoon-read", "boki", "halfmoon-read"] as const) {
      await host.choose("s", mode);
      expect(await host.told({ functionName: "get", input: "s/v" })).toBe("0 1");
      expect(await host.told({ functionName: "get", input: "s/c" })).toBe("0 1");
    }
  });

  it("refuses a scope that no key can have", async () => {
    const host = await ScriptedHost.open();
    for (const scope of ["a/b", "a\u0000", "x".repeat(2000)]) {
      await expect(host.test.shard.switchMode(TENANT, scope, "boki", false)).rejects.toMatchObject({ code: "BAD_KEY" });
    }
  });
});
