import { expect, it } from "vitest";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

const FOREVER = new Promise<never>(() => {});

it("[30] a read behind a sync sees a write that had ended before it, in the first run and in a replay", async () => {
  const host = await ScriptedHost.open();
  const seen: string[] = [];
  await host.define("f", async (guest) => {
    const before = await guest.get("x");
    await host.put("x", "2");
    const still = await guest.get("x");
    guest.sync();
    seen.push(`${before} ${still} ${await guest.get("x")}`);
    return seen.length < 2 ? FOREVER : 0;
  });
  await host.put("x", "1");
  const told = host.told({ functionName: "f" });
  await settled();
  await host.put("x", "3");
  for (const guest of host.pool.running) {
    guest.displace();
  }
  expect(await told).toBe("0 ");
  expect(seen).toEqual(["1 1 2", "1 1 2"]);
});

it("[36] writes behind a fence carry a newer cursor: sync and fence are steps, at a place of their own", async () => {
  const host = await ScriptedHost.open();
  await host.define("f", async (guest) => {
    guest.put("x", "1");
    guest.fence();
    guest.put("y", "1");
    guest.sync();
    return 0;
  });
  const { instance } = await host.call({ functionName: "f" });
  const { done, fence, init, sync, write } = RecordKind;
  expect((await host.steps(instance)).map(({ kind }) => kind)).toEqual([init, write, fence, write, sync, done]);
});
