import { describe, expect, it } from "vitest";
import { textOf } from "../../../support/call-bytes.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled, TENANT, tell } from "../../../support/scripted-host.ts";

const RETENTION_MS = 1_000;

/** A host with a function that adds its input to a text, and one that never ends by itself. */
async function openHost(): Promise<ScriptedHost> {
  const host = await ScriptedHost.open({ test: await openTestShard({ options: { retentionMs: RETENTION_MS, garbageMin: 1 } }) });
  await defineAppend(host, "append");
  await defineAppend(host, "append2");
  return host;
}

function defineAppend(host: ScriptedHost, name: string): Promise<void> {
  return host.define(name, async (guest) => {
    guest.output(await guest.update("text", (old) => (old ?? "") + guest.input));
    return 0;
  });
}

const refused = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => "answered",
    (error: { code: string }) => error.code,
  );

describe("an Idempotency-Key", () => {
  it("[23] F20, F30: gives the same answer to the same request, which runs once", async () => {
    const host = await openHost();
    const request = { functionName: "append", input: "a", key: "k" };
    const both = await Promise.all([host.told(request), host.told(request)]);
    expect(both).toEqual(["0 a", "0 a"]);
    expect(await host.told(request)).toBe("0 a");
    expect(await host.versions("text")).toEqual(["a"]);
    expect(host.pool.started).toBe(1);
  });

  it("F30: refuses another input, and is another key for another function", async () => {
    const host = await openHost();
    await host.call({ functionName: "append", input: "a", key: "k" });
    expect(await refused(host.call({ functionName: "append", input: "b", key: "k" }))).toBe("IDEMPOTENCY_MISMATCH");
    expect(await host.told({ functionName: "append2", input: "b", key: "k" })).toBe("0 ab");
    expect(await host.versions("text")).toEqual(["a", "ab"]);
  });

  it("F30: compares inputs that are too long for a record as well", async () => {
    const host = await openHost();
    const long = "x".repeat(100_000);
    await host.define("size", async (guest) => guest.input.length % 1000);
    expect(await host.told({ functionName: "size", input: `${long}y`, key: "k" })).toBe("1 ");
    expect(await host.told({ functionName: "size", input: `${long}y`, key: "k" })).toBe("1 ");
    expect(await refused(host.call({ functionName: "size", input: `${long}z`, key: "k" }))).toBe("IDEMPOTENCY_MISMATCH");
  });

  it("F20: leads to the stored answer after a restart, and to the unfinished call, which the duplicate waits for", async () => {
    const host = await openHost();
    const finished = { functionName: "append", input: "a", key: "finished" };
    await host.call(finished);
    let stuck = true;
    await host.define("sometimes", async (guest) => {
      guest.put("begun", guest.input);
      await (stuck ? new Promise(() => {}) : Promise.resolve());
      return 5;
    });
    const unfinished = { functionName: "sometimes", input: "b", key: "unfinished" };
    void host.call(unfinished);
    await settled();
    await host.test.shard.whenDurable(await host.book.tail());

    const again = await host.crash();
    expect(await again.told(finished)).toBe("0 a");
    expect(again.pool.started).toBe(0);
    stuck = false;
    const asked = again.told(unfinished);
    again.invocations.startRecovery(10_000);
    expect(await asked).toBe("5 ");
    expect(await again.versions("begun")).toEqual(["b"]);
    await again.invocations.drain(0);
  });

  it("F20: names another instance than the key: each use of a key is a stream of its own", async () => {
    const host = await openHost();
    const first = await host.call({ functionName: "append", input: "a", key: "k" });
    const second = await host.call({ functionName: "append", input: "a", key: "k2" });
    expect(first.kind === "completed" && second.kind === "completed" && first.instance !== second.instance).toBe(true);
  });

  it("F20: after the retention it is answered 410, and after its own record has expired it is new", async () => {
    const host = await openHost();
    const request = { functionName: "append", input: "a", key: "k" };
    const first = await host.call(request);
    const pass = async (durationMs: number) => {
      host.test.time.advance(durationMs);
      await host.put("other", `${durationMs}`);
      await host.test.shard.collect();
    };
    await pass(RETENTION_MS - 1);
    expect(await host.told(request)).toBe("0 a");
    await pass(2);
    expect(tell(await host.call(request))).toBe("failed: RESULT_EXPIRED");
    expect(await refused(host.call({ ...request, input: "b" }))).toBe("IDEMPOTENCY_MISMATCH");
    expect(tell(await host.call({ ...request, answer: "accepted" }))).toBe("failed: RESULT_EXPIRED");
    const restarted = await host.crash();
    expect(tell(await restarted.call(request))).toBe("failed: RESULT_EXPIRED");
    await pass(RETENTION_MS);
    expect(await host.told(request)).toBe("0 aa");
    const second = await host.call(request);
    expect(second.instance).not.toBe(first.instance);
  });
});

describe("a call id", () => {
  it("H26: belongs to one request of the tenant: another function or input is refused", async () => {
    const host = await openHost();
    expect(await host.told({ functionName: "append", input: "a", callId: 5 })).toBe("0 a");
    expect(await host.told({ functionName: "append", input: "a", callId: 5 })).toBe("0 a");
    expect(await refused(host.call({ functionName: "append", input: "b", callId: 5 }))).toBe("CALL_ID_TAKEN");
    expect(await refused(host.call({ functionName: "append2", input: "a", callId: 5 }))).toBe("CALL_ID_TAKEN");
    expect(await host.versions("text")).toEqual(["a"]);
  });

  it("is drawn for an accepted call, and leads to its result", async () => {
    const host = await openHost();
    const answer = await host.call({ functionName: "append", input: "a", answer: "accepted" });
    const callId = answer.kind === "accepted" ? answer.callId : 0;
    expect(callId).toBeGreaterThan(0);
    await settled();
    const status = await host.invocations.status(callId, TENANT);
    expect(status.kind === "completed" && textOf(status.result.output)).toBe("a");
  });

  it("F16: an accepted call is durable before it is acknowledged: it runs after a crash right then", async () => {
    const host = await openHost();
    let stuck = true;
    await host.define("later", async (guest) => {
      await (stuck ? new Promise(() => {}) : Promise.resolve());
      guest.put("ran", "once");
      return 0;
    });
    const answer = await host.call({ functionName: "later", answer: "accepted" });
    stuck = false;
    const again = await host.crash();
    again.invocations.startRecovery(10_000);
    await settled();
    const callId = answer.kind === "accepted" ? answer.callId : 0;
    expect((await again.invocations.status(callId, TENANT)).kind).toBe("completed");
    expect(await again.versions("ran")).toEqual(["once"]);
    await again.invocations.drain(0);
  });
});
