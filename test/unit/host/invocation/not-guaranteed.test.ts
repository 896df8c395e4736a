/** Counter-examples of docs/guarantees.md: what may happen, and is said to. */
import { describe, expect, it } from "vitest";
import { MODES, type Mode } from "../../../../state/logbook/index.ts";
import { FOREVER } from "../../../support/guest-ends.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

async function openIn(mode: Mode): Promise<ScriptedHost> {
  const host = await ScriptedHost.open();
  await host.choose("", mode);
  return host;
}

describe.each([...MODES])("under %s", (mode) => {
  const times = mode === "unsafe" ? 2 : 1;
  it("a call that is cut off after its write has written once; under unsafe twice, and it has read something else", async () => {
    const host = await openIn(mode);
    const read: (string | null)[] = [];
    let cutOff = true;
    await host.define("count", async (guest) => {
      const old = await guest.get("x");
      read.push(old);
      guest.put("x", `${Number(old) + 1}`);
      await guest.list("x");
      if (cutOff) {
        cutOff = false;
        guest.kill("workerLost");
        return FOREVER;
      }
      return 0;
    });
    await host.put("x", "0");
    expect(await host.told({ functionName: "count", key: "k" })).toBe("0 ");
    expect(await host.object("x")).toBe(`${times}`);
    expect(read).toEqual(["0", `${times - 1}`]);
  });

  it("others may see the first of two writes without the second, and a call that traps keeps what it wrote", async () => {
    const host = await openIn(mode);
    const written = Promise.withResolvers<void>();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    await host.define("two", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      written.resolve();
      await gate;
      return guest.trap("before the second");
    });
    await host.define("look", async (guest) => {
      guest.output(`${await guest.get("x")} ${await guest.get("y")}`);
      return 0;
    });
    const two = host.told({ functionName: "two" });
    await written.promise;
    await settled();
    expect(await host.told({ functionName: "look" })).toBe("0 1 null");
    open();
    expect(await two).toContain("before the second");
    expect(await host.told({ functionName: "look" })).toBe("0 1 null");
  });

  it("another call writes two objects between two reads: under halfmoon-read both are old, else the second is new", async () => {
    const host = await openIn(mode);
    await host.define("read", async (guest) => {
      const x = await guest.get("x");
      await host.put("x", "new");
      await host.put("y", "new");
      guest.output(`${x} ${await guest.get("y")}`);
      return 0;
    });
    await host.put("x", "old");
    await host.put("y", "old");
    expect(await host.told({ functionName: "read" })).toBe(mode === "halfmoon-read" ? "0 old old" : "0 old new");
  });

  it("a write is lost to an update that came before it and did not see it: under halfmoon-write, else it comes later", async () => {
    const host = await openIn(mode);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    await host.define("late", async (guest) => {
      await guest.get("y");
      await gate;
      guest.put("x", "late");
      return 0;
    });
    await host.define("update", async (guest) => {
      await guest.update("x", (old) => `${old} and updated`);
      return 0;
    });
    await host.put("x", "old");
    const late = host.told({ functionName: "late" });
    await settled();
    expect(await host.told({ functionName: "update" })).toBe("0 ");
    open();
    expect(await late).toBe("0 ");
    expect(await host.object("x")).toBe(mode === "halfmoon-write" ? "old and updated" : "late");
  });

  it("two calls that get and then put lose one of the changes, two that update lose none", async () => {
    const host = await openIn(mode);
    let met = 0;
    const both = Promise.withResolvers<void>();
    await host.define("getPut", async (guest) => {
      const old = Number(await guest.get("x"));
      met += 1;
      if (met === 2) {
        both.resolve();
      }
      await both.promise;
      guest.put("x", `${old + 1}`);
      return 0;
    });
    await host.define("update", async (guest) => {
      await guest.update("y", (old) => `${Number(old) + 1}`);
      return 0;
    });
    await Promise.all([host.told({ functionName: "getPut" }), host.told({ functionName: "getPut" })]);
    expect(await host.object("x")).toBe("1");
    await Promise.all([host.told({ functionName: "update" }), host.told({ functionName: "update" })]);
    expect(await host.object("y")).toBe("2");
  });
});
