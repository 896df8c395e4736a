import { expect, it } from "vitest";
import { AttemptWait, type Parker } from "../../../../host/invocation/attempt-wait.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { settled } from "../../../support/scripted-host.ts";

const CANNOT_PARK: Parker = { park: () => false, letGo: async () => false, goOn: async () => {} };
const FOREVER = new Promise<never>(() => {});

it.each(["before", "while"])("W1: a wait ends with its attempt, which is stopped %s it waits", async (when) => {
  const wait = new AttemptWait(new ManualTime(), 1_000, CANNOT_PARK);
  if (when === "before") {
    wait.close();
  }
  const waited = wait.for(FOREVER).catch(({ reason }) => reason);
  if (when === "while") {
    wait.close();
  }
  expect(await Promise.race([waited, settled().then(() => "waits")])).toBe("closed");
});
