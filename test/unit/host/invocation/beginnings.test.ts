import { describe, expect, it } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { FOREVER, theGuest } from "../../../support/guest-ends.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

describe("F28, F29: where and when an execution begins", () => {
  it("sees everything that was acknowledged before the request arrived", async () => {
    const host = await ScriptedHost.open();
    await host.define("read", async (guest) => {
      guest.output(`${await guest.get("x")}`);
      return 0;
    });
    for (let i = 0; i < 5; i += 1) {
      await host.put("x", `${i}`);
      expect(await host.told({ functionName: "read" })).toBe(`0 ${i}`);
    }
  });

  it("an accepted call that runs an hour later sees the objects and the clock of then", async () => {
    const host = await ScriptedHost.open();
    let runs = false;
    await host.define("later", async (guest) => {
      if (!runs) {
        return FOREVER;
      }
      guest.put("answer", `${await guest.get("x")} at ${guest.now()}`);
      return 0;
    });
    await host.put("x", "old");
    const answer = await host.call({ functionName: "later", answer: "accepted" });
    runs = true;
    const again = await host.crash();
    again.test.time.advance(3_600_000);
    await again.put("x", "new");
    again.invocations.startRecovery(10_000);
    await settled();
    expect(await again.versions("answer")).toEqual([`new at ${again.test.time.now()}`]);
    const kinds = (await again.steps(answer.instance)).map(({ kind }) => kind);
    expect(kinds).toEqual([RecordKind.init, RecordKind.write, RecordKind.done]);
    await again.invocations.drain(0);
  });

  it("[21] F13: a replay has the clock and the random bytes of the first run, whatever time it is", async () => {
    const host = await ScriptedHost.open();
    const seen: string[] = [];
    await host.define("roll", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      const { timeMs, seed } = guest.start.pins;
      seen.push(`${timeMs} ${Buffer.from(seed).toString("hex")}`);
      if (seen.length === 1) {
        host.test.time.advance(3_600_000);
        guest.kill("workerLost");
        return new Promise(() => {});
      }
      return 0;
    });
    expect(await host.told({ functionName: "roll" })).toBe("0 ");
    expect(seen).toEqual([seen[0], seen[0]]);
    await host.told({ functionName: "roll" });
    expect(seen[2]).not.toBe(seen[0]);
  });

  it("F24: an unfinished instance is run again with the module it began with", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("versioned", async (guest) => {
      guest.put("x", "first version");
      await guest.get("x");
      return stuck ? FOREVER : 1;
    });
    const asked = host.told({ functionName: "versioned", key: "k" });
    await settled();
    await host.define("versioned", async (guest) => {
      guest.put("x", "second version");
      return 2;
    });
    stuck = false;
    theGuest(host).displace();
    expect(await asked).toBe("1 ");
    expect(await host.told({ functionName: "versioned" })).toBe("2 ");
    expect(await host.versions("x")).toEqual(["first version", "second version"]);
  });
});
