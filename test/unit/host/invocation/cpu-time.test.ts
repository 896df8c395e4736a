import { describe, expect, it } from "vitest";
import { Operation } from "../../../../host/abi/operations.ts";
import { Trace } from "../../../../host/invocation/context.ts";
import { doneOf, encodeDone, type InstanceDone, initOf } from "../../../../host/invocation/instance-record.ts";
import type { RankCall } from "../../../../host/offload/index.ts";
import { ByteWriter } from "../../../../state/bytes.ts";
import type { InstanceId, SeqNum } from "../../../../state/ids.ts";
import { type LogRecord, RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { stepTag } from "../../../../state/tags.ts";
import { gate } from "../../../support/gate.ts";
import { FOREVER, killAll, theGuest } from "../../../support/guest-ends.ts";
import { ScriptedHost, settled, TENANT } from "../../../support/scripted-host.ts";

interface Answered {
  readonly instance: InstanceId;
  readonly cpuMs: number | null;
}

async function answered(host: ScriptedHost, request: Parameters<ScriptedHost["call"]>[0]): Promise<Answered> {
  const answer = await host.call(request);
  if (answer.kind !== "completed") {
    throw new Error(`the call is ${answer.kind}`);
  }
  return { instance: answer.instance, cpuMs: answer.trace.cpuMs };
}

async function stored(host: ScriptedHost, instance: InstanceId): Promise<number | null> {
  const status = await host.invocations.statusOfInstance(instance, TENANT);
  if (status.kind !== "completed") {
    throw new Error(`the call is ${status.kind}`);
  }
  return status.call.cpuMs;
}

async function theUnfinished(host: ScriptedHost): Promise<{ instance: InstanceId }> {
  const [one] = await host.invocations.unfinished(TENANT);
  if (one === undefined) {
    throw new Error("nothing is unfinished");
  }
  return one;
}

/** As hosts wrote it that did not store CPU time. */
function earlierDone(text: string): Uint8Array {
  const data = new ByteWriter(64).i32(0).text("").u8(0).bytes(Buffer.from(text)).u8(0).take();
  return encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, data);
}

const record = (data: Uint8Array): LogRecord => ({
  seqnum: 5 as SeqNum,
  kind: RecordKind.done,
  timeMs: 6,
  tags: [],
  data,
});

describe("the CPU time of a call", () => {
  it.each(["lost", "displaced"])(
    "is the same at once, under its key, by its id, and from the next host: that of all attempts of its run, one was %s",
    async (how) => {
      const host = await ScriptedHost.open();
      let runs = 0;
      await host.define("work", async (guest) => {
        runs += 1;
        guest.cpuMs = runs === 1 ? 3 : 4.5;
        guest.put("x", "1");
        await guest.get("x");
        return runs === 1 ? FOREVER : 0;
      });
      const request = { functionName: "work", callId: 7 };
      const asked = answered(host, request);
      await settled();
      if (how === "displaced") {
        theGuest(host).displace();
      } else {
        theGuest(host).kill("workerLost");
      }
      const { instance, cpuMs } = await asked;
      expect(cpuMs).toBe(7.5);
      for (const one of [host, await host.crash()]) {
        expect(await answered(one, request)).toEqual({ instance, cpuMs });
        expect(await stored(one, instance)).toBe(cpuMs);
        expect(await one.invocations.status(7, TENANT)).toMatchObject({ call: { cpuMs } });
      }
      expect(runs).toBe(2);
    },
  );

  it("has in it that of its storage parts and of what it calls; what is called has its own", async () => {
    const host = await ScriptedHost.open({ partSlots: 1 });
    await host.define("leaf", async (guest) => {
      guest.cpuMs = 1;
      return 0;
    });
    await host.define("branch", {
      main: async (guest) => {
        guest.cpuMs = 10;
        await guest.call("leaf");
        await guest.part("x", 0);
        return 0;
      },
      parts: [
        async (guest) => {
          guest.cpuMs = 100;
          return 0;
        },
      ],
    });
    await host.define("root", async (guest) => {
      guest.cpuMs = 1000;
      await guest.call("leaf");
      await guest.call("branch");
      return 0;
    });
    const { cpuMs } = await answered(host, { functionName: "root", callId: 7 });
    expect(cpuMs).toBe(1112);
    const graph = await host.invocations.graph(7, TENANT);
    expect(graph).toMatchObject({
      call: { cpuMs: 1112 },
      chained: [
        { call: { functionName: "leaf", cpuMs: 1 } },
        { call: { functionName: "branch", cpuMs: 111 }, chained: [{ call: { functionName: "leaf", cpuMs: 1 } }] },
      ],
    });
  });

  it("has in it that of ranks at other nodes", async () => {
    const host = await ScriptedHost.open();
    const other = await ScriptedHost.open({ test: host.test, pool: host.pool });
    let ranks = 0;
    await host.define("ranks", async (guest) => {
      ranks += 1;
      guest.cpuMs = 10 ** ranks;
      await guest.request(Operation.mpiJoin, new Uint8Array(0));
      await guest.request(Operation.mpiLeave, new Uint8Array(0));
      return 0;
    });
    const far = {
      name: "other",
      runRank: (call: RankCall) => other.invocations.ofOthers.runRank(call, host.invocations.ofOthers),
    };
    host.invocations.ofOthers.shareRanks(
      () => ({ queue: 9, workers: 1 }),
      async () => [{ taker: other.invocations.ofOthers, ranks: far, queue: 0, workers: 9 }],
    );
    expect((await answered(host, { functionName: "ranks", worldSize: 3, key: "k" })).cpuMs).toBe(1110);
  });

  it("of an attempt that a peer was faster than is the peer's", async () => {
    const host = await ScriptedHost.open();
    const slow = gate();
    let runs = 0;
    await host.define("work", async (guest) => {
      runs += 1;
      guest.cpuMs = runs;
      guest.put("x", "1");
      await guest.get("x");
      await (runs === 1 ? slow.opened : null);
      return 0;
    });
    const asked = answered(host, { functionName: "work", key: "k" });
    await settled();
    const other = await ScriptedHost.open({ test: host.test, pool: host.pool });
    const { instance } = await theUnfinished(host);
    const [first] = await host.steps(instance);
    const init = initOf(first as LogRecord);
    const { epoch } = host.session;
    await other.invocations.run({ tenant: TENANT, instance, init, epoch, begin: { kind: "logged" } }, new Trace());
    slow.open();
    expect(await asked).toEqual({ instance, cpuMs: 2 });
    expect([runs, await stored(host, instance)]).toEqual([2, 2]);
  });

  it.each([
    ["logs nothing", 0, "failed", 3],
    ["is parked", 1, "pending", 9],
  ])("is told of a call that the host ends and that %s: that of all its attempts", async (_, writes, kind, cpuMs) => {
    const host = await ScriptedHost.open();
    await host.define("work", async (guest) => {
      guest.cpuMs = 3;
      if (writes > 0) {
        guest.put("x", "1");
      }
      return FOREVER;
    });
    const asked = host.call({ functionName: "work" });
    await killAll(host, asked);
    expect(await asked).toMatchObject({ kind, cpuMs });
  });

  it("of a call that was cancelled is not stored: who waited for it is told what it took here", async () => {
    const host = await ScriptedHost.open();
    await host.define("work", async (guest) => {
      guest.cpuMs = 5;
      guest.put("x", "1");
      return FOREVER;
    });
    const asked = answered(host, { functionName: "work", key: "k" });
    await settled();
    const { instance } = await theUnfinished(host);
    await host.invocations.cancel(instance, TENANT);
    expect(await asked).toEqual({ instance, cpuMs: 5 });
    expect(await stored(host, instance)).toBeNull();
    expect((await answered(host, { functionName: "work", key: "k" })).cpuMs).toBeNull();
  });

  it("is not known of a call that an earlier host has finished, whose answer stands", async () => {
    const host = await ScriptedHost.open();
    await host.define("work", async () => FOREVER);
    void host.call({ functionName: "work", key: "k" });
    await settled();
    await host.test.shard.whenDurable(await host.book.tail());
    const { instance } = await theUnfinished(host);
    const next = await host.crash();
    const tags = [stepTag(instance)];
    await next.book.append({ records: [{ kind: RecordKind.done, tags, data: earlierDone("then") }] });
    expect(await next.told({ functionName: "work", key: "k" })).toBe("0 then");
    expect((await answered(next, { functionName: "work", key: "k" })).cpuMs).toBeNull();
    expect(await stored(next, instance)).toBeNull();
  });
});

it("a DONE record tells the CPU time where it is known", () => {
  const output = { kind: "inline", bytes: new Uint8Array(Buffer.from("then")) } as const;
  const known: InstanceDone = { returnValue: 0, trap: "", output, transaction: null, cpuMs: 1.5 };
  const unknown = { ...known, cpuMs: null };
  for (const done of [known, unknown]) {
    const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeDone(done));
    expect(doneOf(record(data))).toMatchObject({ cpuMs: done.cpuMs, returnValue: 0 });
  }
  expect(doneOf(record(earlierDone("then")))).toMatchObject({ cpuMs: null, transaction: null });
});
