import { describe, expect, it } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { guestTag, objectTag } from "../../../../state/tags.ts";
import { textOf } from "../../../support/call-bytes.ts";
import { eventually } from "../../../support/eventually.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import type { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

const { append: APPEND, observe: OBSERVE, conflict: CONFLICT, done: DONE, init: INIT } = RecordKind;

const opened = async (): Promise<ScriptedHost> =>
  ScriptedHost.open({ partSlots: 4, test: await openTestShard({ options: { garbageMin: 1 } }) });

/**
 * Runs a function whose first attempt is ended by the host just before its end; what it saw is its output. Returns what both attempts
 * saw, and the kinds of its records.
 */
async function twice(
  host: ScriptedHost,
  see: (guest: ScriptedGuest, say: (text: string) => void) => Promise<void>,
  between: () => Promise<unknown> = async () => {},
): Promise<{ seen: string[]; kinds: number[] }> {
  const seen: string[] = [];
  let attempts = 0;
  await host.define("see", async (guest) => {
    const lines: string[] = [];
    attempts += 1;
    const attempt = attempts;
    await see(guest, (text) => lines.push(text));
    seen.push(lines.join(", "));
    if (attempt === 1) {
      await between();
      guest.kill("wallTime");
    }
    return 0;
  });
  const answer = await host.call({ functionName: "see", key: "k" });
  expect(answer.kind).toBe("completed");
  return { seen, kinds: (await host.steps(answer.instance)).map(({ kind }) => kind) };
}

const add = (host: ScriptedHost, tag: string, text: string) =>
  host.told({ functionName: "add", input: `${tag} ${text}` }).then((told) => Number(told.split(" ").at(-1)));

async function withFeed(): Promise<ScriptedHost> {
  const host = await opened();
  await host.define("add", async (guest) => {
    const [tag = "", text = ""] = guest.input.split(" ");
    guest.output(await guest.append(tag, text));
    return 0;
  });
  await host.define("trim", async (guest) => {
    const [upTo = "0", tag = ""] = guest.input.split(" ");
    guest.trim(tag, Number(upTo));
    return 0;
  });
  return host;
}

describe("F36: the streams of a tenant's functions", () => {
  it("an append is one record in the instance's stream and the guest's, and happens once over attempts", async () => {
    const host = await withFeed();
    const { seen, kinds } = await twice(host, async (guest, say) => {
      say(await guest.append("a b", "x"));
      guest.post("a", "y");
      say((await guest.logTail("a")).length.toString());
    });
    expect(seen[0]).toBe(seen[1]);
    expect(kinds).toEqual([INIT, APPEND, APPEND, OBSERVE, DONE]);
    expect((await host.book.readStream(guestTag("a"), 0)).length).toBe(2);
    expect((await host.book.readStream(guestTag("b"), 0)).length).toBe(1);
  });

  it("are never those of the host, whatever a guest calls them", async () => {
    const host = await withFeed();
    await host.put("k", "object");
    for (const name of ["o/k", "i/x", "../o/k", "u/k"]) {
      await add(host, name, "mine");
      expect((await host.book.readStream(guestTag(name), 0)).length).toBe(1);
    }
    expect(await host.versions("k")).toEqual(["object"]);
    await host.told({ functionName: "trim", input: `${Number.MAX_SAFE_INTEGER}` });
    await host.test.shard.collect();
    expect((await host.book.readPrev(objectTag("k"), await host.book.tail())).record).not.toBeNull();
  });

  it("reads at or below the cursor append nothing and stay the same in a replay, whatever is appended and trimmed meanwhile", async () => {
    const host = await withFeed();
    const first = await add(host, "a", "1");
    const second = await add(host, "a", "2");
    const { seen, kinds } = await twice(
      host,
      async (guest, say) => {
        say(await guest.logPrev("a", second));
        say(await guest.logNext("a", 0));
        say(await guest.logPrev("a", first - 1));
        guest.put("step", "1");
        say(await guest.logNext("a", first + 1));
        say(await guest.logPrev("a", first));
      },
      async () => {
        await add(host, "a", "3");
        await host.told({ functionName: "trim", input: `${second} a` });
        await host.test.shard.collect();
      },
    );
    expect(seen).toEqual(Array(2).fill(`${second} 2, ${first} 1, none, ${second} 2, ${first} 1`));
    expect(kinds).toEqual([INIT, RecordKind.write, DONE]);
    await host.test.shard.collect();
    await expect(host.book.readPrev(guestTag("a"), second as never)).rejects.toMatchObject({ code: "TRIMMED" });
  });

  it("F13: a read at the initial cursor fixes it, also when an update would rather begin with a fresh one", async () => {
    const host = await withFeed();
    const first = await add(host, "a", "1");
    let isTrimmed = false;
    const { seen } = await twice(host, async (guest, say) => {
      say(await guest.logNext("a", 0));
      if (!isTrimmed) {
        isTrimmed = true;
        await host.told({ functionName: "trim", input: `${first} a` });
      }
      await guest.update("n", (old) => `${old ?? ""}x`);
    });
    expect(seen).toEqual(Array(2).fill(`${first} 1`));
  });

  it("reads beyond the cursor are steps that log where they looked, and answer the same in a replay", async () => {
    const host = await withFeed();
    const { seen, kinds } = await twice(
      host,
      async (guest, say) => {
        say(await guest.logNext("a", 0));
        await add(host, "a", "x");
        say(`${(await guest.logNext("a", 0)).split(" ")[1]}`);
        say((await guest.logTail("a")).length.toString());
        say((await guest.logPrev("a", Number.MAX_SAFE_INTEGER)).split(" ")[1] ?? "");
        say(await guest.logAwait("none", 5_000, 0));
      },
      () => host.told({ functionName: "trim", input: `${Number.MAX_SAFE_INTEGER}` }),
    );
    expect(seen[1]).toBe(seen[0]);
    expect(seen[0]?.split(", ").slice(0, 2)).toEqual(["none", "x"]);
    expect(kinds).toEqual([INIT, OBSERVE, OBSERVE, OBSERVE, OBSERVE, OBSERVE, DONE]);
  });

  it("F10: a refused append is logged with the winner, which a replay finds again although it is trimmed and collected since", async () => {
    const host = await withFeed();
    const winner = await add(host, "a", "winner");
    const { seen, kinds } = await twice(
      host,
      async (guest, say) => {
        say(await guest.append("a", "lost", [{ tag: "a", by: "length", value: 0 }]));
        say(await guest.append("a", "lost", [{ tag: "a", by: "last", value: 0 }]));
        say(await guest.append("a", "lost", [{ tag: "a", by: "length", value: 7 }]));
        say(await guest.append("b", "won", [{ tag: "a", by: "last", value: winner }]));
      },
      async () => {
        await host.told({ functionName: "trim", input: `${winner} a` });
        await host.test.shard.collect();
      },
    );
    expect(seen[0]?.split(", ").slice(0, 3)).toEqual([`conflict 0 ${winner} winner`, `conflict 0 ${winner} winner`, "gap 0 1"]);
    expect(seen[1]).toBe(seen[0]);
    expect(kinds).toEqual([INIT, CONFLICT, CONFLICT, CONFLICT, APPEND, DONE]);
  });

  it("a winner that was trimmed before is gone in the first run and in every replay, collected or not", async () => {
    const host = await withFeed();
    const winner = await add(host, "a", "winner");
    await host.told({ functionName: "trim", input: `${winner} a` });
    const { seen } = await twice(
      host,
      async (guest, say) => {
        say(await guest.append("a", "lost", [{ tag: "a", by: "length", value: 0 }]));
        say(await guest.logNext("a", 0));
      },
      () => host.test.shard.collect(),
    );
    expect(seen).toEqual(Array(2).fill(`conflict 0 gone, trimmed ${winner}`));
  });

  it("an attempt that has logged nothing logs its refusal too, instead of trying again", async () => {
    const host = await withFeed();
    const winner = await add(host, "a", "winner");
    await host.define("elect", async (guest) => {
      guest.output(await guest.append("a", "me", [{ tag: "a", by: "length", value: 0 }]));
      return 0;
    });
    const started = host.pool.started;
    const answer = await host.call({ functionName: "elect" });
    expect(answer.kind === "completed" && textOf(answer.result.output)).toBe(`conflict 0 ${winner} winner`);
    expect(host.pool.started).toBe(started + 1);
    expect((await host.steps(answer.instance)).map(({ kind }) => kind)).toEqual([INIT, CONFLICT, DONE]);
  });

  it("[52] a closed stream refuses appends with the record that closed it; a posted one has no effect", async () => {
    const host = await withFeed();
    await add(host, "a", "1");
    const { seen, kinds } = await twice(host, async (guest, say) => {
      say((await guest.append("a", "end", [], true)).split(" ")[0] ?? "");
      say((await guest.append("a", "late")).replace(/0 \d+/, "0 n"));
      guest.post("a", "later");
      say((await guest.logTail("a")).closed.toString());
    });
    expect(seen).toEqual(Array(2).fill("appended, closed 0 n end, true"));
    expect(kinds).toEqual([INIT, RecordKind.close, CONFLICT, CONFLICT, OBSERVE, DONE]);
    expect((await host.book.readStream(guestTag("a"), 0)).length).toBe(2);
  });

  it("[8] a waiting read answers with the record when it comes; a stopped attempt stops waiting", async () => {
    const host = await withFeed();
    await host.define("wait", async (guest) => {
      guest.output(await guest.logAwait("a", 0, 1_000));
      return 0;
    });
    const asked = host.told({ functionName: "wait", key: "k" });
    await settled();
    const [guest] = host.pool.running;
    const { started } = host.pool;
    guest?.kill("wallTime");
    await eventually("the next attempt", () => host.pool.started > started);
    await settled();
    const seqnum = await add(host, "a", "here");
    expect(await asked).toBe(`0 ${seqnum} here`);
  });

  it("[8] waits no longer than half of the call's time limit", async () => {
    const host = await withFeed();
    await host.define("wait", async (guest) => {
      guest.output(await guest.logAwait("a", 0, 2 ** 31 - 1));
      return 0;
    });
    const asked = host.told({ functionName: "wait" });
    await settled();
    host.test.time.advance(10_000);
    expect(await asked).toBe("0 none");
  });

  it("F8: an answer that rests on a record which is not durable waits for it", async () => {
    const host = await withFeed();
    await host.define("read", async (guest) => {
      guest.output(await guest.logNext("a", 0));
      return 0;
    });
    // The function itself is durable: what the answer waits for is the record.
    await host.session.whenDurable(await host.book.tail());
    host.test.journal.automatic = false;
    const adding = add(host, "a", "1");
    await settled();
    const reading = host.told({ functionName: "read" });
    let isAnswered = false;
    void reading.then(() => {
      isAnswered = true;
    });
    await settled();
    expect(isAnswered).toBe(false);
    while (host.test.journal.flush()) {
      await settled();
    }
    expect(await reading).toBe(`0 ${await adding} 1`);
  });

  it("are there inside of a storage part as outside", async () => {
    const host = await withFeed();
    await host.define("part", {
      main: async (guest) => {
        const value = await guest.part("n", 0);
        guest.output(`${guest.memory.get("seen")} ${(await guest.logTail("a")).length}`);
        return value;
      },
      parts: [
        async (guest) => {
          const appended = (await guest.append("a", "x")).split(" ")[0];
          const read = (await guest.logNext("a", 0)).split(" ")[1];
          const refused = (await guest.append("a", "y", [{ tag: "a", by: "length", value: 0 }])).split(" ")[0];
          guest.memory.set("seen", `${guest.start.part === undefined ? "here" : "there"} ${appended} ${read} ${refused}`);
          return 0;
        },
      ],
    });
    expect(await host.told({ functionName: "part" })).toBe("0 there appended x conflict 1");
  });
});
