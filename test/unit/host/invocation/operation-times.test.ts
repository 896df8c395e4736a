import { expect, it } from "vitest";
import type { CallTrace } from "../../../../host/invocation/index.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

async function host(): Promise<ScriptedHost> {
  const test = await openTestShard({ journal: new MemoryJournal() });
  const made = await ScriptedHost.open({ test, timers: test.time });
  await made.define("child", async (guest) => {
    await guest.get("y");
    return 0;
  });
  await made.define("work", async (guest) => {
    await guest.get("x");
    guest.put("x", "1");
    await guest.call("child");
    return 0;
  });
  return made;
}

async function traceOf(on: ScriptedHost, request: Parameters<ScriptedHost["call"]>[0]): Promise<CallTrace> {
  const answer = await on.call(request);
  if (answer.kind !== "completed") {
    throw new Error(`the call is ${answer.kind}`);
  }
  return answer.trace;
}

it("a traced call has the times of its own operations in order, posted ones too, and none of a called function's", async () => {
  const { operations = [] } = await traceOf(await host(), { functionName: "work", traceOperations: true });
  expect(operations.map(({ kind }) => kind)).toEqual(["objectRead", "objectWrite", "callStart", "callAwait"]);
});

it("an operation's time is that until its reply, by the host's clock", async () => {
  const made = await host();
  await made.define("sleeper", async (guest) => {
    await guest.sleep(30);
    return 0;
  });
  const asked = traceOf(made, { functionName: "sleeper", traceOperations: true });
  await settled();
  made.test.time.advance(30);
  expect(await asked).toMatchObject({ operations: [{ kind: "sleep", durationMs: 30 }] });
});

it("a call that did not ask has no times, nor has one that is answered from the log", async () => {
  const made = await host();
  expect(await traceOf(made, { functionName: "work" })).not.toHaveProperty("operations");
  await traceOf(made, { functionName: "work", key: "k" });
  expect(await traceOf(made, { functionName: "work", key: "k", traceOperations: true })).not.toHaveProperty("operations");
});

it("after an attempt that was ended there are the operations of the next one alone", async () => {
  const made = await host();
  let attempts = 0;
  await made.define("ended", async (guest) => {
    await guest.get("x");
    attempts += 1;
    if (attempts === 1) {
      for (const running of made.pool.running) {
        running.displace();
      }
    }
    return 0;
  });
  const { operations = [] } = await traceOf(made, { functionName: "ended", traceOperations: true });
  expect(operations.map(({ kind }) => kind)).toEqual(["objectRead"]);
});
