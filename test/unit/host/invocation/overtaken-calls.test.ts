import { describe, expect, it } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import { ScriptedHost, tell } from "../../../support/scripted-host.ts";

describe("a call that others overtake again and again before it has logged anything", () => {
  it("F11: gets to its end although each time the versions it reads are collected", async () => {
    const host = await ScriptedHost.open({ test: await openTestShard({ options: { garbageMin: 1 } }) });
    await host.define("slow", async (guest) => {
      await guest.get("y");
      await host.put("x", `${host.pool.started}`);
      await host.put("x", `${host.pool.started}`);
      await host.test.shard.collect();
      guest.output(`${await guest.get("x")}`);
      return 0;
    });
    const answer = await host.call({ functionName: "slow" });
    const last = host.pool.started;
    expect(tell(answer)).toBe(`0 ${last - 1}`);
    const kinds = (await host.steps(answer.instance)).map(({ kind }) => kind);
    expect(kinds).toEqual([RecordKind.init, RecordKind.done]);
  });

  it("F10: gets to its end although each time somebody else changes the object first", async () => {
    const host = await ScriptedHost.open();
    let others = 20;
    await host.define("slow", async (guest) => {
      for (;;) {
        const { text, version } = await guest.readForUpdate("n");
        if (others > 0) {
          others -= 1;
          await host.put("n", `${others}`);
        }
        if (await guest.compareAndSet("n", version, `${Number(text ?? 0) + 100}`)) {
          return 0;
        }
      }
    });
    expect(await host.told({ functionName: "slow" })).toBe("0 ");
    expect((await host.versions("n")).slice(-2)).toEqual(["0", "100"]);
    expect(host.pool.started).toBe(9);
  });
});
