import { describe, expect, it, test } from "vitest";
import { GuestError, httpReadArgs, httpReadReply, Operation } from "../../../../host/abi/operations.ts";
import type { InvocationContext } from "../../../../host/invocation/context.ts";
import { OutsideOperations } from "../../../../host/invocation/outside-operations.ts";
import { NeapError } from "../../../../state/errors.ts";
import type { InstanceId, SeqNum } from "../../../../state/ids.ts";
import { kindName, MODES } from "../../../../state/logbook/index.ts";
import { Drafts } from "../../../../state/objects/index.ts";
import { noFaults } from "../../../../state/ports.ts";
import { Fenced, StepStream } from "../../../../state/protocols/index.ts";
import type { Transactions } from "../../../../state/txn/index.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedEgress } from "../../../support/scripted-egress.ts";
import type { Script } from "../../../support/scripted-guest.ts";
import { atPoint, ScriptedHost, type ScriptedHostParts, settled, TENANT } from "../../../support/scripted-host.ts";

const NO_BYTES = new Uint8Array(0);
const FOREVER = new Promise<never>(() => {});
const URL = "http://bank/charge";
const ASK = { functionName: "ask", key: "k" };

/** Asks, keeps what came of it in an object, and tells it. */
const ask: Script = async (guest) => {
  const came = await guest.http("POST", URL, { headers: "X-A: b", body: "10" });
  guest.put("came", came);
  guest.output(came);
  return 0;
};

async function open(script: Script = ask, parts: ScriptedHostParts = {}): Promise<ScriptedHost> {
  const host = await ScriptedHost.open(parts);
  await host.define("ask", script);
  return host;
}

/** Another process goes on after a crash that took what was not durable. */
async function recovered(host: ScriptedHost, egress = host.egress): Promise<ScriptedHost> {
  const again = await host.crash({ egress });
  again.invocations.startRecovery(10_000);
  await settled();
  return again;
}

const keysOf = ({ sent }: ScriptedEgress) => sent.map(({ idempotencyKey }) => idempotencyKey);

/** The call under the key, as a process finds it that has not made it. */
async function elsewhere(host: ScriptedHost) {
  const instance = (await host.records())
    .find(({ tags }) => tags.some((tag) => tag.startsWith("k/")))
    ?.tags[0]?.slice(2) as InstanceId;
  const context = { egress: host.egress, faults: noFaults } as Pick<InvocationContext, "egress" | "faults"> as InvocationContext;
  return { context, instance, records: await host.steps(instance) };
}

async function kindsOf(host: ScriptedHost): Promise<string[]> {
  return (await elsewhere(host)).records.map(({ kind }) => kindName(kind));
}

describe("F15: a request to the outside is two steps", () => {
  it("one before it leaves and one with what came of it, and a replay gets that and sends nothing", async () => {
    let kills = 1;
    const host = await open(async (guest) => {
      const came = await guest.http("GET", URL);
      guest.put("came", came);
      await guest.get("came");
      if (kills > 0) {
        kills -= 1;
        guest.kill("workerLost");
        return FOREVER;
      }
      guest.output(`${came} ${await guest.httpPart(0)}`);
      return 0;
    });
    expect(await host.told(ASK)).toBe(`0 200 GET ${URL} 1 Content-Type: text/plain`);
    expect(host.pool.started).toBe(2);
    expect(host.egress.sent).toHaveLength(1);
    expect(await kindsOf(host)).toEqual(["init", "outside", "outsideDone", "write", "done"]);
  });

  it("F8: it leaves when that one, and all that was read before, is durable", async () => {
    const journal = new MemoryJournal();
    const host = await open(
      async (guest) => {
        await guest.http("POST", URL, { body: (await guest.get("x")) ?? "" });
        return 0;
      },
      { test: await openTestShard({ journal }) },
    );
    journal.automatic = false;
    await host.put("x", "undurable");
    const asked = host.told({ functionName: "ask" });
    await settled();
    expect(host.egress.sent).toEqual([]);
    while (journal.flush()) {
      await settled();
    }
    expect(host.egress.sent.map(({ body }) => Buffer.from(body).toString())).toEqual(["undurable"]);
    await settled();
    while (journal.flush()) {
      await settled();
    }
    expect(await asked).toBe("0 ");
  });

  it("F1: of a history that an owner's crash took away nothing leaves", async () => {
    const journal = new MemoryJournal();
    const host = await open(ask, { test: await openTestShard({ journal }) });
    await host.test.shard.whenDurable(await host.book.tail());
    journal.automatic = false;
    const asked = host.told({ functionName: "ask" });
    await settled();
    await host.restartOwner();
    expect(await asked).toBe(`0 200 POST ${URL} 1`);
    expect(host.egress.sent).toHaveLength(1);
  });

  it("F3: under Halfmoon-write it waits for the log-free writes before it, too", async () => {
    const host = await open(async (guest) => {
      guest.put("x", "1");
      await guest.http("POST", URL);
      return 0;
    });
    await host.choose("", "halfmoon-write");
    const journal = host.test.journal as MemoryJournal;
    let durable = "";
    host.egress.answer = async () => {
      const left = await openTestShard({ journal: journal.crash() });
      const { record } = await left.shard.book(TENANT).readCell("x", Number.MAX_SAFE_INTEGER as never);
      durable = record === null ? "absent" : "there";
      return { status: 200, headers: [], body: "" };
    };
    expect(await host.told({ functionName: "ask" })).toBe("0 ");
    expect(durable).toBe("there");
  });
});

describe("F15: a crash of the host", () => {
  it("before the first step is durable: nothing has left, and the client's retry sends it", async () => {
    const journal = new MemoryJournal();
    const host = await open(ask, { test: await openTestShard({ journal }) });
    await host.test.shard.whenDurable(await host.book.tail());
    journal.automatic = false;
    void host.told(ASK).catch(() => {});
    await settled();
    const again = await recovered(host);
    expect(host.egress.sent).toEqual([]);
    expect(await again.told(ASK)).toBe(`0 200 POST ${URL} 1`);
  });

  it("after the first step, before it left: it is sent", async () => {
    const sent: number[] = [];
    const host = await open(ask, {
      faults: atPoint("outside:before", () => {
        sent.push(host.egress.sent.length);
        throw new NeapError("OWNER_UNAVAILABLE", "the test's crash");
      }),
    });
    void host.told(ASK).catch(() => {});
    await settled();
    expect(sent).toEqual([0]);
    const again = await recovered(host, new ScriptedEgress());
    expect(await again.told(ASK)).toBe(`0 200 POST ${URL} 1`);
    expect(await kindsOf(again)).toEqual(["init", "outside", "outsideDone", "write", "done"]);
  });

  it.each([
    ["after it left", "while the other side works"],
    ["after the answer", "before that is logged"],
  ])("it is sent again with the same key, and what came of it is there once: %s, %s", async (when) => {
    const journal = new MemoryJournal();
    const faults = atPoint("outside:after", () => {
      journal.automatic = false;
    });
    const host = await open(ask, { test: await openTestShard({ journal }), faults });
    const { egress } = host;
    const { answer } = egress;
    if (when === "after it left") {
      egress.answer = () => FOREVER;
    }
    void host.told(ASK).catch(() => {});
    await settled();
    expect(egress.sent).toHaveLength(1);
    egress.answer = answer;
    const again = await recovered(host);
    expect(await again.told(ASK)).toBe(`0 200 POST ${URL} 2`);
    expect(await again.object("came")).toBe(`200 POST ${URL} 2`);
    expect(keysOf(egress)[1]).toBe(keysOf(egress)[0]);
    expect(egress.sent).toHaveLength(2);
    expect(await kindsOf(again)).toEqual(["init", "outside", "outsideDone", "write", "done"]);
  });

  it("after it left, where it is to be sent once: nobody knows, and the function is told so", async () => {
    const host = await open(async (guest) => {
      guest.output(await guest.http("POST", URL, { once: true }));
      return 0;
    });
    host.egress.answer = () => FOREVER;
    void host.told(ASK).catch(() => {});
    await settled();
    const again = await recovered(host);
    expect(await again.told(ASK)).toBe(`0 EGRESS_UNKNOWN_OUTCOME whether POST ${URL} has left is not known`);
    expect(host.egress.sent).toHaveLength(1);
  });

  it("keys differ between requests of a call, and between calls", async () => {
    const host = await open(async (guest) => {
      await guest.http("GET", URL);
      await guest.http("GET", URL);
      return 0;
    });
    await host.told({ functionName: "ask" });
    await host.told({ functionName: "ask" });
    expect(new Set(keysOf(host.egress)).size).toBe(4);
  });
});

test.each(MODES)(
  "F15: under %s a request is two steps, and a killed attempt's is not sent again when its answer is logged",
  async (mode) => {
    let kills = 1;
    const host = await open(async (guest) => {
      const came = await guest.http("POST", URL);
      if (kills > 0) {
        kills -= 1;
        guest.kill("workerLost");
        return FOREVER;
      }
      guest.output(came);
      return 0;
    });
    await host.choose("", mode);
    expect(await host.told(ASK)).toBe(`0 200 POST ${URL} 1`);
    expect(await kindsOf(host)).toEqual(["init", "outside", "outsideDone", "done"]);
  },
);

describe("what comes of a request", () => {
  it("F17: a failure is an outcome: the function goes on with it, in a replay too", async () => {
    let kills = 1;
    const host = await open(async (guest) => {
      const came = await guest.http("GET", URL);
      if (kills > 0) {
        kills -= 1;
        guest.kill("workerLost");
        return FOREVER;
      }
      guest.output(came);
      return 0;
    });
    host.egress.answer = () => {
      throw new NeapError("EGRESS_TIMEOUT", "too slow");
    };
    expect(await host.told(ASK)).toBe("0 EGRESS_TIMEOUT too slow");
    expect(host.egress.sent).toHaveLength(1);
  });

  it("a body that is too long for a record is a blob, and a replay reads it too", async () => {
    const LONG = `${"x".repeat(3_000_000)}end`;
    let kills = 1;
    const host = await open(async (guest) => {
      const came = await guest.http("GET", URL);
      if (kills > 0) {
        kills -= 1;
        guest.kill("workerLost");
        return FOREVER;
      }
      guest.output(`${came.length} ${came.slice(-3)}`);
      return 0;
    });
    host.egress.answer = () => ({ status: 200, headers: [], body: LONG });
    expect(await host.told(ASK)).toBe(`0 ${LONG.length + 4} end`);
    expect(host.egress.sent).toHaveLength(1);
  });

  it("a request that can never be sent is refused with a reason", async () => {
    const host = await open(async (guest) => {
      const came = [
        await guest.http("CONNECT", URL),
        await guest.http("GET", "ftp://x"),
        await guest.http("GET", "http://u:p@x/"),
        await guest.http("GET", URL, { headers: "no colon" }),
        await guest.http("GET", URL, { headers: "Host: x" }),
        await guest.http("GET", URL, { headers: "X: a\rb" }),
        await guest.http("GET", URL, { body: "x" }),
      ];
      guest.output(came.join("\n"));
      return 0;
    });
    const told = await host.told({ functionName: "ask" });
    expect(told.split("\n").map((line) => /EGRESS_BAD_REQUEST .*(method|URL|colon|header|body)/.test(line))).toEqual(
      Array(7).fill(true),
    );
    expect(host.egress.sent).toEqual([]);
  });

  it("in a transaction, also in one of the caller, it is refused, and nothing leaves", async () => {
    const host = await open(async (guest) => {
      guest.output(await guest.http("GET", URL));
      return 0;
    });
    await host.define("caller", async (guest) => {
      await guest.transaction();
      guest.output(`${await guest.http("GET", URL)} ${(await guest.call("ask")).text}`);
      await guest.abort();
      return 0;
    });
    expect(await host.told({ functionName: "caller" })).toBe("0 -40 -40");
    expect(host.egress.sent).toEqual([]);
  });

  it("is told from the log where another process goes on with the call", async () => {
    const host = await open();
    expect(await host.told(ASK)).toBe(`0 200 POST ${URL} 1`);
    const { context, instance, records } = await elsewhere(host);
    const pins = { initialCursor: 0 as SeqNum, timeMs: 0, seed: NO_BYTES, nonce: NO_BYTES };
    const steps = new StepStream(host.book, instance, { kind: "pinned", pins }, records.slice(1));
    const drafts = new Drafts(host.session.blobs);
    const transactions = { open: null } as Transactions;
    const outside = new OutsideOperations({
      context,
      shard: host.session,
      drafts,
      tenant: TENANT,
      steps,
      transactions,
      wallTimeMs: 1,
    });
    const read = (part: number) => outside.perform(Operation.httpRead, httpReadArgs.encode({ part, offset: 0 }));
    expect((await read(1))?.code).toBe(GuestError.notFound);
    steps.skipToEnd();
    expect(Buffer.from(httpReadReply.decode((await read(1))?.bytes ?? NO_BYTES).slice).toString()).toBe(`POST ${URL} 1`);
  });

  it("of nothing nothing can be read", async () => {
    const host = await open(async (guest) => (await guest.httpCode(1)) + 2);
    expect(await host.told({ functionName: "ask" })).toBe("1 ");
  });
});

it("F15: of two attempts that both send a request one outcome counts, be it a failure of what was done for the other; a retry's own key holds", async () => {
  const host = await open(async (guest) => {
    let [came, tries] = ["", 0];
    while (!came.startsWith("200")) {
      came = await guest.http("POST", URL, { headers: "Idempotency-Key: mine" });
      tries += 1;
    }
    guest.output(`${tries} tries: ${came}`);
    return 0;
  });
  const [first, peers] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const done = new Set<string>();
  host.egress.answer = async ({ headers }) => {
    if (host.egress.sent.length === 1) {
      await first.promise;
      return { status: 500, headers: [], body: "" };
    }
    const isPeers = host.egress.sent.length === 2;
    done.add(String(headers.find(([name]) => name === "Idempotency-Key")?.[1]));
    await (isPeers ? peers.promise : undefined);
    return { status: 200, headers: [], body: `done ${done.size}` };
  };
  const asked = host.told(ASK);
  await settled();
  const [one] = await host.test.shard.unfinished(TENANT);
  const peer = await ScriptedHost.open({ test: host.test, pool: host.pool, egress: host.egress });
  await host.session.release(TENANT, one?.instance as InstanceId);
  peer.invocations.startRecovery(10_000);
  await settled();
  expect(host.egress.sent).toHaveLength(2);
  first.resolve();
  expect(await asked).toBe("0 2 tries: 200 done 1");
  peers.resolve();
  await settled();
  expect(new Set(keysOf(host.egress)).size).toBe(2);
});

it("F31: a call that is cancelled gives up its request at once", async () => {
  const host = await open();
  const reasons: unknown[] = [];
  host.egress.answer = (_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        reasons.push(signal.reason);
        reject(signal.reason);
      });
    });
  const asked = host.told(ASK);
  await settled();
  const [one] = await host.test.shard.unfinished(TENANT);
  await host.invocations.cancel(one?.instance ?? ("" as InstanceId), TENANT);
  expect(await asked).toBe("trap cancelled");
  expect(reasons.map((reason) => reason instanceof Fenced)).toEqual([true]);
});
