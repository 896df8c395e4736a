import { beforeEach, describe, expect, it } from "vitest";
import { MAX_SEQNUM } from "../../../../state/ids.ts";
import { type ControllerOptions, DEFAULT_CONTROLLER_OPTIONS, type Mode, RecordKind } from "../../../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { encodeObjectValue } from "../../../../state/objects/object-record.ts";
import { BOOK, bytes, openTestShard, type TestShard } from "../../../support/open-shard.ts";

let test: TestShard;
const WINDOW_MS = DEFAULT_CONTROLLER_OPTIONS.windowMs;
/** What an append takes here until it is durable. */
const APPEND_MS = 2;

async function open(modes: Partial<ControllerOptions> = {}): Promise<void> {
  test = await openTestShard({ options: { modes: { ...DEFAULT_CONTROLLER_OPTIONS, ...modes } } });
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A second with so many reads and writes of scope "a", on a disk that takes its time. */
async function second(reads: number, writes: number): Promise<void> {
  const book = test.shard.book(BOOK);
  const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue({ kind: "inline", bytes: bytes("1") }));
  for (let i = 0; i < reads; i += 1) {
    await book.readCell("a/x", MAX_SEQNUM);
  }
  test.journal.automatic = false;
  for (let i = 0; i < writes; i += 1) {
    await book.append({ records: [{ kind: RecordKind.write, tags: [], place: "a/x", data }] });
  }
  test.time.advance(WINDOW_MS - APPEND_MS);
  await settled();
  test.time.advance(APPEND_MS);
  test.journal.automatic = true;
  while (test.journal.flush());
  await settled();
}

async function mode(): Promise<{ mode: Mode | null; decision: string | null }> {
  const view = (await test.shard.scopes(BOOK)).find(({ scope }) => scope === "a");
  return { mode: view?.to ?? view?.mode ?? null, decision: view?.decision ?? null };
}

async function automatic(to: Mode): Promise<void> {
  await test.shard.switchMode(BOOK, "a", to, true);
  for (let i = 0; i < 5; i += 1) {
    await test.shard.whenDurable(await test.shard.book(BOOK).tail());
    test.time.advance(20);
    await settled();
  }
}

describe("a scope that may choose by itself", () => {
  beforeEach(() => open());

  it("is switched to the protocol with fewer appends, not before it has dwelt, and says why", async () => {
    await automatic("halfmoon-read");
    for (let i = 0; i < 5; i += 1) {
      await second(10, 190);
    }
    expect(await mode()).toMatchObject({
      mode: "halfmoon-read",
      decision: expect.stringMatching(/^stays halfmoon-read for another \d+ s: 5 % reads/),
    });
    for (let i = 0; i < 30; i += 1) {
      await second(10, 190);
    }
    expect((await mode()).mode).toBe("halfmoon-write");
    for (let i = 0; i < 40; i += 1) {
      await second(190, 10);
    }
    expect((await mode()).mode).toBe("halfmoon-read");
  });

  it("stays between the margins, with too little load, and when there is nothing to save", async () => {
    await automatic("halfmoon-read");
    for (const [reads, writes, decision] of [
      [90, 110, "stays halfmoon-read: 45 % reads"],
      [10, 50, "stays halfmoon-read: 60 operations in 1000 ms, 100 are needed"],
    ] as const) {
      for (let i = 0; i < 40; i += 1) {
        await second(reads, writes);
      }
      expect(await mode()).toEqual({ mode: "halfmoon-read", decision });
    }
  });

  it("is left alone in a protocol that is none of the two, and once somebody has pinned it", async () => {
    await automatic("boki");
    for (let i = 0; i < 40; i += 1) {
      await second(10, 190);
    }
    expect(await mode()).toMatchObject({ mode: "boki", decision: expect.stringContaining("stays boki") });
    await automatic("halfmoon-read");
    await test.shard.switchMode(BOOK, "a", "halfmoon-read", false);
    for (let i = 0; i < 40; i += 1) {
      await second(10, 190);
    }
    expect((await mode()).mode).toBe("halfmoon-read");
  });
});

it("a share that swings around the crossover within the dwell time causes no switch after the first", async () => {
  await open();
  await automatic("halfmoon-read");
  let switches = 0;
  let before = (await mode()).mode;
  for (let i = 0; i < 60; i += 1) {
    await (i % 2 === 0 ? second(10, 190) : second(190, 10));
    const now = (await mode()).mode;
    switches += now === before ? 0 : 1;
    before = now;
  }
  expect(switches).toBeLessThanOrEqual(2);
});

it("a saving below the least one is not worth a switch, and a host can be told to choose nothing", async () => {
  for (const options of [{ savingMinMs: 1_000_000 }, { enabled: false }]) {
    await open(options);
    await automatic("halfmoon-read");
    for (let i = 0; i < 40; i += 1) {
      await second(10, 190);
    }
    expect((await mode()).mode).toBe("halfmoon-read");
  }
});

it("F34: a switch that the disk has no room for is begun when there is some again, and stops nobody", async () => {
  await open({ dwellMs: 0 });
  await automatic("halfmoon-write");
  // What an append takes is known from now on.
  await second(100, 100);
  test.journal.roomBytes = 0;
  await second(200, 0);
  expect(await mode()).toMatchObject({
    mode: "halfmoon-write",
    decision: expect.stringMatching(/^stays halfmoon-write: 100 % reads, .*no room/),
  });
  test.journal.roomBytes = Number.POSITIVE_INFINITY;
  await second(200, 0);
  expect((await mode()).mode).toBe("halfmoon-read");
});
