/** What a guest waits for with and without run-ahead: each step's own flush, or none. */
import { describe, expect, it } from "vitest";
import type { Mode } from "../../../../state/logbook/index.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { openTestShard } from "../../../support/open-shard.ts";
import type { ScriptedGuest } from "../../../support/scripted-guest.ts";
import { ScriptedHost, settled } from "../../../support/scripted-host.ts";

interface Scene {
  readonly mode: Mode;
  readonly runAhead: boolean;
  /** What the guest waits for; whether a read-only object `x` exists beforehand: it does. */
  readonly work: (guest: ScriptedGuest) => Promise<unknown>;
}

/** How many flushes there are until the guest has its reply, and whether the call is answered with 0 in the end. */
async function flushesUntilReply({ mode, runAhead, work }: Scene): Promise<number> {
  const journal = new MemoryJournal();
  const host = await ScriptedHost.open({ test: await openTestShard({ journal }), runAhead, partSlots: 1 });
  await host.choose("", mode);
  let replied = false;
  const main = async (guest: ScriptedGuest) => {
    await work(guest);
    replied = true;
    return 0;
  };
  await host.define("child", async (guest) => {
    guest.put("y", "2");
    return 0;
  });
  await host.define("work", {
    main,
    parts: [
      async (guest) => {
        guest.put("x", "2");
        await guest.get("x");
        return 0;
      },
    ],
  });
  await host.put("x", "1");
  await host.test.shard.whenDurable(await host.book.tail());
  journal.automatic = false;
  const told = host.told({ functionName: "work" });
  let flushes = 0;
  await settled();
  while (!replied && journal.flush()) {
    flushes += 1;
    await settled();
  }
  expect(replied).toBe(true);
  journal.automatic = true;
  journal.flush();
  expect(await told).toBe("0 ");
  return flushes;
}

describe.each<[string, Mode, Scene["work"], number]>([
  ["a logged read", "halfmoon-write", (guest) => guest.get("x"), 1],
  ["three logged reads", "boki", async (guest) => [await guest.get("x"), await guest.get("y"), await guest.get("x")], 3],
  ["an update after its read", "halfmoon-read", (guest) => guest.update("x", () => "2"), 1],
  [
    "two posted writes, and a read in line behind them",
    "halfmoon-read",
    (guest) => {
      guest.put("x", "2");
      guest.put("y", "2");
      return guest.get("x");
    },
    2,
  ],
  [
    "a posted write of a cell after its anchor, and a logged read behind it",
    "halfmoon-write",
    (guest) => {
      guest.put("x", "2");
      return guest.get("x");
    },
    3,
  ],
  [
    "a posted write without a log, and a read behind it",
    "unsafe",
    (guest) => {
      guest.put("x", "2");
      return guest.get("x");
    },
    1,
  ],
  ["a called function: invoke, its write, its DONE", "halfmoon-read", (guest) => guest.call("child"), 3],
  ["a write of a storage part, and a read behind it", "halfmoon-read", (guest) => guest.part("x", 0), 1],
])("%s under %s", (_, mode, work, flushes) => {
  it("waits for each step's flush with --run-ahead false", async () => {
    expect(await flushesUntilReply({ mode, runAhead: false, work })).toBe(flushes);
  });

  it("waits for none with run-ahead", async () => {
    expect(await flushesUntilReply({ mode, runAhead: true, work })).toBe(0);
  });
});

it("a read that appends nothing waits for no flush, run-ahead or not", async () => {
  const scene = { mode: "halfmoon-read", work: (guest: ScriptedGuest) => guest.get("x") } as const;
  expect(await flushesUntilReply({ ...scene, runAhead: false })).toBe(0);
});
