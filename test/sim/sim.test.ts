import { beforeAll, describe, expect, it } from "vitest";
import { RecordKind } from "../../state/logbook/index.ts";
import { kindName } from "../../state/logbook/kinds.ts";
import { MODES } from "../../state/logbook/modes.ts";
import { type Counts, REQUIRED } from "./coverage.ts";
import { firstSeed, seedCount } from "./seeds.ts";
import { type Report, simulate } from "./simulation.ts";

/** With fewer seeds what happens seldom need not happen. */
const ENOUGH_SEEDS = 200;
const CALM_SEEDS = 12;
const REPLAYED_SEEDS = 5;

describe("the simulated cluster", () => {
  const firstReports: Report[] = [];
  beforeAll(async () => {
    const from = firstSeed();
    for (let seed = from; seed < from + REPLAYED_SEEDS; seed += 1) {
      firstReports.push(await simulate(seed));
    }
  });

  it("[16] [17] [18] [24] [45] [46] [54] [60] F1, F2, F3, F4, F8, F10, F11, F12, F13, F14, F16, F17, F18, F19, F25, F28, F29, F31, F33, F36, F37: whatever fails, the log and all answers agree", {
    timeout: 600_000,
  }, async () => {
    const from = firstSeed();
    const total = new Map<string, number>();
    for (let seed = from; seed < from + seedCount(); seed += 1) {
      const { failure, counts } = await simulate(seed);
      expect(failure, failure).toBe(undefined);
      addTo(total, counts);
    }
    if (seedCount() >= ENOUGH_SEEDS) {
      expect(neverSeen(total), "what the simulation must have done").toEqual([]);
    }
  });

  it.each(MODES)(
    "[60] F3, F14: where nothing fails, all that is done under %s has one order, that of its times",
    {
      timeout: 120_000,
    },
    async (mode) => {
      const from = firstSeed();
      const total = new Map<string, number>();
      for (let seed = from; seed < from + CALM_SEEDS; seed += 1) {
        const { failure, counts } = await simulate(seed, { mode, isCalm: true });
        expect(failure, failure).toBe(undefined);
        addTo(total, counts);
      }
      expect(total.get(`objects: ${mode}`)).toBeGreaterThan(CALM_SEEDS);
    },
  );

  it("replays a seed exactly, whatever has run in between", async () => {
    for (const report of firstReports) {
      expect(await simulate(report.seed)).toEqual(report);
    }
    expect(new Set(firstReports.map(({ hash }) => hash)).size).toBe(REPLAYED_SEEDS);
  });
});

function addTo(total: Map<string, number>, counts: Counts): void {
  for (const [name, times] of Object.entries(counts)) {
    total.set(name, (total.get(name) ?? 0) + times);
  }
}

/** A stream that is closed for good, locks given back by an abort, and memory regions are left to other tests. */
const UNSEEN: ReadonlySet<string> = new Set(["close", "abort", "snapshot"]);

function neverSeen(total: ReadonlyMap<string, number>): readonly string[] {
  const kinds = Object.values(RecordKind).map(kindName);
  const records = kinds.filter((name) => !UNSEEN.has(name)).map((name) => `record: ${name}`);
  const ways = [...MODES, "transitional"].map((way) => `objects: ${way}`);
  return [...REQUIRED, ...records, ...ways].filter((name) => (total.get(name) ?? 0) === 0);
}
