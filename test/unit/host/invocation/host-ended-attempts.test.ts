import { describe, expect, it } from "vitest";
import { pinAgain } from "../../../../host/invocation/pinned-reads.ts";
import { FOREVER, killAll, theGuest } from "../../../support/guest-ends.ts";
import { HttpFixture } from "../../../support/http-fixture.ts";
import { type ScriptedCall, ScriptedHost, settled, TENANT, tell } from "../../../support/scripted-host.ts";

describe("F17: what the host did to an attempt is no result", () => {
  it("a call that was ended before it logged anything has failed, and nothing happened", async () => {
    const host = await ScriptedHost.open();
    await host.define("stuck", async (guest) => {
      await guest.get("x");
      return FOREVER;
    });
    const asked = host.call({ functionName: "stuck" });
    await settled();
    theGuest(host).kill("wallTime");
    const answer = await asked;
    expect(tell(answer)).toBe("failed: TIME_LIMIT");
    expect(await host.steps(answer.instance)).toEqual([]);
  });

  it("a logged root whose attempts are all ended is parked, and the client is told that the outcome is pending", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("stuck", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      return stuck ? FOREVER : 4;
    });
    const asked = host.call({ functionName: "stuck", key: "k" });
    await settled();
    await killAll(host, asked);
    const answer = await asked;
    expect(tell(answer)).toBe("parked: 3 attempts were ended by the host: killed by the test: wallTime");
    expect(host.pool.started).toBe(3);
    expect(await host.versions("x")).toEqual(["1"]);
    expect(await host.invocations.statusOfInstance(answer.instance, TENANT)).toMatchObject({ kind: "parked" });
    expect(await host.invocations.unfinished(TENANT)).toMatchObject([{ instance: answer.instance, parked: true }]);

    stuck = false;
    host.invocations.startRecovery(10_000);
    await settled();
    expect(host.pool.started).toBe(3);
    await host.invocations.resume(answer.instance, TENANT);
    expect(await host.told({ functionName: "stuck", key: "k" })).toBe("4 ");
    expect(await host.versions("x")).toEqual(["1"]);
    await host.invocations.drain(0);
  });

  it("what is not parked cannot be resumed: over HTTP it is told what it is instead, and nothing changes", async () => {
    const host = await ScriptedHost.open();
    await host.define("stuck", async (guest) => {
      guest.put("x", "1");
      return guest.input === "done" ? 0 : FOREVER;
    });
    const begin = (request: Omit<ScriptedCall, "functionName">) =>
      host.call({ functionName: "stuck", answer: "accepted", ...request });
    const { instance: done } = await host.call({ functionName: "stuck", input: "done" });
    const [{ instance: runs }, { instance: waits }, { instance: ended }] = [
      await begin({ input: "runs" }),
      await begin({ input: "waits", delayMs: 1000 }),
      await begin({ input: "ends" }),
    ];
    await host.invocations.cancel(ended, TENANT);
    const http = await HttpFixture.start({ invocations: host.invocations });
    const tail = await host.book.tail();
    for (const [instance, status, code, text] of [
      [done, 409, "NOT_PARKED", `instance ${done} is done, only one that is parked can be resumed`],
      [runs, 409, "NOT_PARKED", `instance ${runs} is running, only one that is parked can be resumed`],
      [waits, 409, "NOT_PARKED", `instance ${waits} is delayed, only one that is parked can be resumed`],
      [ended, 409, "NOT_PARKED", `instance ${ended} is cancelled, only one that is parked can be resumed`],
      ["1-nobody", 404, "UNKNOWN_INSTANCE", `no instance of ${TENANT} has the id "1-nobody"`],
    ] as const) {
      const answer = await http.send("POST", `/v1/tenants/${TENANT}/instances/${instance}/resume`);
      expect([answer.status, JSON.parse(answer.text)]).toEqual([status, expect.objectContaining({ code, detail: text })]);
    }
    expect(await host.book.tail()).toBe(tail);
    await http.close();
    await host.invocations.drain(0);
  });

  it("a parked call stays parked, with its reason, when an attempt at another node pins what it has read", async () => {
    const host = await ScriptedHost.open();
    await host.define("stuck", async (guest) => {
      guest.put("x", "1");
      return FOREVER;
    });
    const asked = host.call({ functionName: "stuck", key: "k" });
    await settled();
    await killAll(host, asked);
    const { instance } = await asked;
    await pinAgain(host.session, TENANT, instance, (await host.steps(instance)).length);
    const reason = "3 attempts were ended by the host: killed by the test: wallTime";
    expect(await host.invocations.statusOfInstance(instance, TENANT)).toMatchObject({ kind: "parked", reason });
    expect(await host.told({ functionName: "stuck", key: "k" })).toBe(`parked: ${reason}`);
  });

  it("a parked call can be resumed through any node, and stays parked over a restart", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("stuck", async (guest) => {
      guest.put("x", "1");
      return stuck ? FOREVER : 4;
    });
    const park = async (key: string) => {
      const asked = host.call({ functionName: "stuck", key });
      await settled();
      await killAll(host, asked);
      return (await asked).instance;
    };
    const [first, second] = [await park("a"), await park("b")];
    stuck = false;
    const other = await ScriptedHost.open({ test: host.test, pool: host.pool });
    other.invocations.startRecovery(10_000);
    await settled();
    await other.invocations.resume(first, TENANT);
    expect(await other.told({ functionName: "stuck", key: "a" })).toBe("4 ");
    await other.invocations.drain(0);

    const restarted = await host.crash();
    restarted.invocations.startRecovery(10_000);
    await settled();
    expect(await restarted.invocations.statusOfInstance(second, TENANT)).toMatchObject({ kind: "parked" });
    expect(restarted.pool.started).toBe(0);
    await restarted.invocations.drain(0);
  });

  it("H7: a displaced attempt is made again, as often as it takes, and no step is doubled", async () => {
    const host = await ScriptedHost.open();
    await host.define("count", async (guest) => {
      await guest.update("n", (old) => `${Number(old ?? 0) + 1}`);
      await guest.sleep(0);
      await guest.get("n");
      return guest.input === String(host.pool.started) ? 0 : FOREVER;
    });
    const asked = host.told({ functionName: "count", input: "8" });
    for (let i = 0; i < 7; i += 1) {
      await settled();
      theGuest(host).displace();
    }
    expect(await asked).toBe("0 ");
    expect(await host.versions("n")).toEqual(["1"]);
  });

  it("an overloaded pool ends no logged call: it is tried again until there is room", async () => {
    const host = await ScriptedHost.open();
    await host.define("write", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      return guest.input === String(host.pool.started) ? 0 : FOREVER;
    });
    const asked = host.told({ functionName: "write", input: "5" });
    for (let i = 0; i < 4; i += 1) {
      while (host.pool.running.size === 0) {
        await settled();
      }
      await settled();
      theGuest(host).kill("overloaded");
    }
    expect(await asked).toBe("0 ");
    expect(await host.versions("x")).toEqual(["1"]);
  });

  it("one that is too large for this host is not tried again: it fails, and what is logged is parked", async () => {
    const host = await ScriptedHost.open();
    await host.define("grow", async (guest) => {
      if (guest.input === "logged") {
        guest.put("x", "1");
        await guest.get("x");
      }
      return FOREVER;
    });
    for (const [input, told] of [
      ["", /^failed: CALL_TOO_LARGE/],
      ["logged", /^parked: killed by the test/],
    ] as const) {
      const started = host.pool.started;
      const asked = host.told({ functionName: "grow", input });
      await settled();
      theGuest(host).kill("tooLarge");
      expect(await asked).toMatch(told);
      expect(host.pool.started).toBe(started + 1);
    }
  });

  it("a host that stops leaves a logged call to its next start", async () => {
    const host = await ScriptedHost.open();
    let stuck = true;
    await host.define("write", async (guest) => {
      guest.put("x", "1");
      await guest.get("x");
      return stuck ? FOREVER : 0;
    });
    const asked = host.told({ functionName: "write", key: "k" });
    await settled();
    await host.pool.close();
    expect(await asked).toMatch(/^pending: the host is stopping/);
    await host.test.shard.whenDurable(await host.book.tail());
    stuck = false;
    const again = await host.crash();
    again.invocations.startRecovery(10_000);
    expect(await again.told({ functionName: "write", key: "k" })).toBe("0 ");
    expect(await again.versions("x")).toEqual(["1"]);
    await again.invocations.drain(0);
  });
});
