import { describe, expect, test } from "vitest";
import { type CallTaker, DataMoves, type ReadWatch } from "../../../../host/offload/index.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const STORAGE: CallTaker = { name: "storage", take: async () => ({ kind: "refused", reason: "" }) };

const policy = (more: Partial<ConstructorParameters<typeof DataMoves>[0]> = {}) =>
  new DataMoves({ isOn: true, minBytes: MIB, storage: () => STORAGE, ...more });

/** Reads a MiB at a time, up to `max`. Returns how many until it was told to leave, null when it was not. */
function readsUntilItLeaves(watch: ReadWatch | null, max: number, sizeBytes = MIB): number | null {
  for (let reads = 1; reads <= max; reads += 1) {
    watch?.read(sizeBytes);
    if (watch?.departure() !== null && watch !== null) {
      return reads;
    }
  }
  return null;
}

describe("a call that reads from the storage node", () => {
  test("leaves for it when it is expected to read four times what goes with it", () => {
    expect(readsUntilItLeaves(policy().watch("m", 0), 10)).toBe(3);
    expect(readsUntilItLeaves(policy({ minBytes: 5 * MIB }).watch("m", 0), 10)).toBe(5);
    // Before anything is known of its function, 256 KiB.
    expect(readsUntilItLeaves(policy({ minBytes: 1 }).watch("m", 0), 2_000, KIB)).toBe(1_024);
  });

  test("stays where moving is turned off, and where the storage node is, or is out of reach", () => {
    expect(policy({ isOn: false }).watch("m", 0)).toBeNull();
    expect(policy({ storage: () => null }).watch("m", 0)).toBeNull();
  });

  test("stays when calls of its function end soon after as many bytes", () => {
    const moves = policy();
    moves.learn("m", 4 * MIB);
    const watch = moves.watch("m", 0);
    for (let reads = 0; reads < 3; reads += 1) {
      watch?.read(1.2 * MIB);
    }
    expect(watch?.departure()).toBeNull();
    expect(readsUntilItLeaves(moves.watch("other", 0), 10)).toBe(3);
  });

  test("needs twice as good a reason for each time that it has moved", () => {
    const reads = [0, 1, 2, 3].map((moved) => readsUntilItLeaves(policy().watch("m", moved), 100));
    expect(reads).toEqual([3, 3, 4, 8]);
  });

  test("stays when it turns out to be too large, until it has read twice as much, and so do later calls of its function", () => {
    const moves = policy();
    const watch = moves.watch("m", 0);
    for (let reads = 0; reads < 3; reads += 1) {
      watch?.read(MIB);
    }
    const departure = watch?.departure();
    expect(departure).toMatchObject({ cause: "data", takers: [STORAGE] });
    expect(departure?.accepts(1 * MIB)).toBe(false);
    expect([1, 2].map(() => readsUntilItLeaves(watch, 1))).toEqual([null, null]);
    expect(readsUntilItLeaves(watch, 1)).toBe(1);
    expect(readsUntilItLeaves(moves.watch("m", 0), 10)).toBe(4);
    expect(readsUntilItLeaves(moves.watch("another", 0), 10)).toBe(3);
  });

  test("says how much it has read, and how much it is expected to read", () => {
    const watch = policy().watch("m", 0);
    for (let reads = 0; reads < 4; reads += 1) {
      watch?.read(MIB);
    }
    expect(watch?.departure()?.reason).toBe(`has read ${4 * MIB} bytes in 4 reads, is expected to read ${4 * MIB} more`);
  });
});
