import { describe, expect, it } from "vitest";
import { FOREVER } from "../../../support/guest-ends.ts";
import { ScriptedHost, settled, tell } from "../../../support/scripted-host.ts";

/** With the function "random", which writes "a" and goes no further; `doOtherwise`: all that run begin anew, and it writes "b". */
async function openRandom(): Promise<{ host: ScriptedHost; doOtherwise: () => void }> {
  const host = await ScriptedHost.open();
  let other = false;
  await host.define("random", async (guest) => {
    guest.put("x", other ? "b" : "a");
    await guest.get("x");
    return other ? 0 : FOREVER;
  });
  const doOtherwise = () => {
    other = true;
    for (const guest of host.pool.running) {
      guest.displace();
    }
  };
  return { host, doOtherwise };
}

describe("F17: what the guest did is a result", () => {
  it("a trap after a step is logged, and told again without running the guest", async () => {
    const host = await ScriptedHost.open();
    await host.define("traps", async (guest) => {
      guest.put("x", "1");
      return guest.trap("division by zero");
    });
    expect(await host.told({ functionName: "traps", key: "k" })).toBe("trap division by zero");
    const again = await host.crash();
    expect(await again.told({ functionName: "traps", key: "k" })).toBe("trap division by zero");
    expect(again.pool.started).toBe(0);
    expect(await again.versions("x")).toEqual(["1"]);
  });

  it("a trap before any step is answered and leaves nothing behind", async () => {
    const host = await ScriptedHost.open();
    await host.define("traps", async (guest) => guest.trap("at once"));
    const answer = await host.call({ functionName: "traps" });
    expect(tell(answer)).toBe("trap at once");
    expect(await host.steps(answer.instance)).toEqual([]);
  });

  it("comes after every operation before it, also posted ones", async () => {
    const host = await ScriptedHost.open();
    await host.define("writes", async (guest) => {
      for (let i = 0; i < 50; i += 1) {
        guest.put("x", `${i}`);
      }
      return 7;
    });
    expect(await host.told({ functionName: "writes" })).toBe("7 ");
    expect(await host.versions("x")).toHaveLength(50);
  });

  it("F32: a replay that does something else is parked and says what", async () => {
    const { host, doOtherwise } = await openRandom();
    const asked = host.told({ functionName: "random" });
    await settled();
    doOtherwise();
    expect(await asked).toMatch(/^parked: NOT_DETERMINISTIC: step 1 was write/);
    expect(await host.versions("x")).toEqual(["a"]);
  });

  it("F32: a called function that does something else ends for its caller, which says what", async () => {
    const { host, doOtherwise } = await openRandom();
    await host.define("caller", async (guest) => {
      const { returnValue, text } = await guest.call("random");
      guest.output(`${returnValue} ${text}`);
      return 0;
    });
    const asked = host.told({ functionName: "caller" });
    await settled();
    doOtherwise();
    const told = /^0 1 ended by the host: NOT_DETERMINISTIC: step 1 was write \[\w+:\w+\], a replay asks for write \[\w+:\w+\]/;
    expect(await asked).toMatch(told);
    expect(await host.versions("x")).toEqual(["a"]);
  });
});
