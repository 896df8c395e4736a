/** An attempt has ended, and what became of some of it is not known: nobody is told then that nothing has happened. */
import { describe, expect, it } from "vitest";
import type { RetryPolicy } from "../../../../host/modules/retry-policy.ts";
import type { CallTaker, PartReply, PartRequest, StoragePool } from "../../../../host/offload/index.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { FOREVER } from "../../../support/guest-ends.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import type { Script, ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled, tell } from "../../../support/scripted-host.ts";

const ONCE = [RecordKind.init, RecordKind.write, RecordKind.done];

const AT_ONCE: RetryPolicy = { attemptsMax: 5, backoffMs: 0, backoffMaxMs: 0, causes: ["workerLost"] };

const count = (guest: ScriptedGuest) => guest.update("n", (old) => `${Number(old ?? 0) + 1}`);

/** Not a part that it waits for. */
async function killTheCall(host: ScriptedHost): Promise<void> {
  const guest = [...host.pool.running].find(({ start }) => start.part === undefined);
  if (guest === undefined) {
    throw new Error("no call is running");
  }
  guest.kill("workerLost");
  await settled();
}

describe("F17: a kill", () => {
  it("of an attempt whose part was lost is not told as that of a call that has done nothing, when a peer has finished it and it is collected", async () => {
    const host = await ScriptedHost.open({ partSlots: 4, test: await openTestShard({ options: { garbageMin: 1 } }) });
    let runs = 0;
    const script: Script = async (guest) => {
      await count(guest);
      runs += 1;
      return runs === 1 ? FOREVER : 0;
    };
    await host.define("count", { main: (guest) => guest.part("n", 0), parts: [script] });
    const asked = host.told({ functionName: "count" });
    await settled();
    const peer = await host.finishElsewhere();
    await killTheCall(host);
    expect(await asked).toBe("failed: RESULT_EXPIRED");
    expect(await host.versions("n")).toEqual(["1"]);
    await peer.invocations.drain(0);
  });
});

describe("F17: what was lost from sight may take its call's first step later", () => {
  it("a storage part: the call is run again, however often it is killed, and happens once", async () => {
    const late = Promise.withResolvers<void>();
    const lost: Promise<unknown>[] = [];
    const storage = (pool: StoragePool): StoragePool =>
      Object.assign(Object.create(pool) as StoragePool, {
        run: async (request: PartRequest): Promise<PartReply> => {
          lost.push(late.promise.then(() => pool.run(request)));
          return { kind: "lost", reason: "the node does not answer", mayGoOn: true };
        },
      });
    const host = await ScriptedHost.open({ partSlots: 4, storage });
    const part: Script = async (guest) => {
      await (guest.start.part === undefined && host.pool.started < 3 ? FOREVER : late.promise);
      await count(guest);
      return 0;
    };
    await host.define("slow", { main: (guest) => guest.part("n", 0), parts: [part] }, { retry: AT_ONCE });
    const asked = host.call({ functionName: "slow" });
    await settled();
    await killTheCall(host);
    await killTheCall(host);
    late.resolve();
    await Promise.all(lost);
    const answer = await asked;
    expect([tell(answer), await host.versions("n")]).toEqual(["0 ", ["1"]]);
    expect((await host.steps(answer.instance)).map(({ kind }) => kind)).toEqual(ONCE);
  });

  it("a call that has moved: it is begun anew here, with a record, and happens once", async () => {
    const late = Promise.withResolvers<void>();
    const host = await ScriptedHost.open();
    const elsewhere = await ScriptedHost.open({ test: host.test, pool: host.pool });
    const moves = Promise.withResolvers<void>();
    const gates: Promise<unknown>[] = [moves.promise, FOREVER, late.promise];
    const counts: Script = async (guest) => {
      await guest.get("x");
      await gates.shift();
      await count(guest);
      return 0;
    };
    await host.define("count", counts, { migratable: true, retry: AT_ONCE });
    const lost: Promise<unknown>[] = [];
    const taker: CallTaker = {
      name: "elsewhere",
      take: async (moved) => {
        lost.push(late.promise.then(() => elsewhere.invocations.ofOthers.take(moved)));
        return { kind: "lost", reason: "the node does not answer" };
      },
    };
    const asked = host.call({ functionName: "count" });
    await settled();
    const drained = host.invocations.drain(60_000, async () => [{ taker, queue: 0, workers: 1 }]);
    await settled();
    moves.resolve();
    await settled();
    expect([lost.length, gates.length]).toEqual([1, 1]);
    await killTheCall(host);
    late.resolve();
    await Promise.all(lost);
    const answer = await asked;
    expect([tell(answer), await host.versions("n")]).toEqual(["0 ", ["1"]]);
    expect((await host.steps(answer.instance)).map(({ kind }) => kind)).toEqual(ONCE);
    await drained;
  });
});
