import { describe, expect, it } from "vitest";
import type { RetryPolicy } from "../../../../host/modules/index.ts";
import type { KillReason } from "../../../../host/sandbox/sandbox.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});

async function openStuck(retry: RetryPolicy | null): Promise<ScriptedHost> {
  const test = await openTestShard();
  const host = await ScriptedHost.open({ test, timers: test.time });
  const stuck = async (guest: { put(key: string, text: string): void; get(key: string): Promise<unknown> }) => {
    guest.put("x", "begun");
    await guest.get("x");
    return FOREVER;
  };
  await host.define("stuck", stuck, { retry });
  return host;
}

async function kill(host: ScriptedHost, reason: KillReason): Promise<void> {
  await settled();
  [...host.pool.running].at(-1)?.kill(reason);
  await settled();
}

describe("F17: a function's retry policy", () => {
  it("says how many attempts there are and how long the pauses between them, doubled each time up to the longest", async () => {
    const causes = ["timeLimit"] as const;
    const host = await openStuck({ attemptsMax: 6, backoffMs: 1_000, backoffMaxMs: 5_000, causes });
    const asked = host.told({ functionName: "stuck", key: "k" });
    for (const [attempt, pauseMs] of [1_000, 2_000, 4_000, 5_000, 5_000].entries()) {
      await kill(host, "wallTime");
      host.test.time.advance(pauseMs - 1);
      await settled();
      expect(host.pool.started, `before the pause after attempt ${attempt + 1} is over`).toBe(attempt + 1);
      host.test.time.advance(1);
      await settled();
      expect(host.pool.started).toBe(attempt + 2);
    }
    await kill(host, "wallTime");
    expect(await asked).toBe("parked: 6 attempts were ended by the host: killed by the test: wallTime");
    const [one] = await host.invocations.unfinished(TENANT);
    expect(await host.invocations.statusOfInstance(one?.instance as never, TENANT)).toMatchObject({
      kind: "parked",
      reason: "6 attempts were ended by the host: killed by the test: wallTime",
    });
  });

  it("says what counts: after any other cause the host gives up at once", async () => {
    const host = await openStuck({ attemptsMax: 9, backoffMs: 0, backoffMaxMs: 0, causes: ["workerLost"] });
    const asked = host.told({ functionName: "stuck", key: "k" });
    await kill(host, "workerLost");
    expect(host.pool.started).toBe(2);
    await kill(host, "stackOverflow");
    expect(await asked).toBe("parked: 2 attempts were ended by the host: killed by the test: stackOverflow");
  });

  it("is pinned when a call begins; without one it is the host's", async () => {
    const host = await openStuck(null);
    const asked = host.told({ functionName: "stuck", key: "k" });
    await kill(host, "wallTime");
    await host.define("stuck", async () => 0, {
      retry: { attemptsMax: 1, backoffMs: 0, backoffMaxMs: 0, causes: [] },
    });
    host.test.time.advance(1_000);
    await kill(host, "wallTime");
    host.test.time.advance(1_000);
    await kill(host, "wallTime");
    expect(await asked).toMatch(/^parked: 3 attempts/);
  });

  it("of a child is that of the called function", async () => {
    const host = await openStuck({ attemptsMax: 1, backoffMs: 0, backoffMaxMs: 0, causes: [] });
    await host.define("caller", async (guest) => {
      guest.output((await guest.call("stuck")).text);
      return 0;
    });
    const asked = host.told({ functionName: "caller" });
    await kill(host, "wallTime");
    expect(await asked).toBe("0 ended by the host: an attempt was ended by the host: killed by the test: wallTime");
  });
});

describe("F17: output above the limit is what the guest did", () => {
  it("it is the result of a call that has logged something, at once and with all its steps", async () => {
    const host = await openStuck(null);
    await host.define("chatty", async (guest) => {
      guest.put("a", "1");
      guest.put("b", "2");
      guest.kill("outputTooLarge");
      return 0;
    });
    const answer = await host.call({ functionName: "chatty", key: "k" });
    expect(answer).toMatchObject({
      kind: "completed",
      result: { returnValue: 1, trap: "OUTPUT_TOO_LARGE: killed by the test: outputTooLarge" },
    });
    expect(host.pool.started).toBe(1);
    expect(await host.versions("a")).toEqual(["1"]);
    expect(await host.versions("b")).toEqual(["2"]);
    expect((await host.steps(answer.instance)).at(-1)?.kind).toBe(RecordKind.done);
    expect(await host.told({ functionName: "chatty", key: "k" })).toMatch(/^trap OUTPUT_TOO_LARGE/);
  });

  it("of a call that has logged nothing it stays the code of the answer", async () => {
    const host = await openStuck(null);
    await host.define("chatty", async (guest) => {
      guest.kill("outputTooLarge");
      return 0;
    });
    expect(await host.told({ functionName: "chatty" })).toBe("failed: OUTPUT_TOO_LARGE");
  });
});
