import { describe, expect, it } from "vitest";
import { FOREVER } from "../../../support/guest-ends.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

describe("H28: a client that goes away", () => {
  async function openHost() {
    const host = await ScriptedHost.open();
    await host.define("write", async (guest) => {
      await guest.get("x");
      if (guest.input !== "") {
        guest.put("x", guest.input);
      }
      await guest.sleep(0);
      return 0;
    });
    return host;
  }

  it("stops a call that has logged nothing, also one whose module is still being loaded", async () => {
    const host = await openHost();
    await host.define("stuck", async () => FOREVER);
    const client = new AbortController();
    const running = host.told({ functionName: "stuck", signal: client.signal });
    await settled();
    const loading = host.told({ functionName: "write", signal: client.signal });
    client.abort();
    expect(await Promise.all([running, loading])).toEqual(["failed: CANCELLED", "failed: CANCELLED"]);
    expect(host.pool.running.size).toBe(0);
    expect(await host.invocations.unfinished(TENANT)).toEqual([]);
  });

  it("does not stop one that has", async () => {
    const host = await openHost();
    const gate = Promise.withResolvers<void>();
    await host.define("gated", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      await gate.promise;
      guest.put("x", "2");
      return 0;
    });
    const client = new AbortController();
    const asked = host.told({ functionName: "gated", signal: client.signal });
    await settled();
    client.abort();
    gate.resolve();
    expect(await asked).toBe("0 ");
    expect(await host.versions("x")).toEqual(["1", "2"]);
  });

  it("does not stop a keyed one: its INIT is logged", async () => {
    const host = await openHost();
    const client = new AbortController();
    const asked = host.told({ functionName: "write", input: "1", key: "k", signal: client.signal });
    client.abort();
    expect(await asked).toBe("0 ");
  });
});
