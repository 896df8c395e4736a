import { describe, expect, it } from "vitest";
import type { InstanceId, SeqNum } from "../../../../state/ids.ts";
import { Cells, ownVersion } from "../../../../state/logbook/cells.ts";

const at = (seqnum: number) => seqnum as SeqNum;
const named = (name: string) => name as InstanceId;

function written(cells: Cells, ...entries: readonly number[]): void {
  for (const entry of entries) {
    cells.put("x", ownVersion(at(entry)), at(entry), at(entry), () => {});
  }
}

describe("F37: what a cell held at the moment of a transaction", () => {
  it("is kept for as long as that is open, however often the cell is written", () => {
    const cells = new Cells();
    written(cells, 10);
    cells.snapshots.begin(named("early"), at(15));
    written(cells, 20, 30);
    expect(cells.heldAt("x", at(15))).toMatchObject({ entry: 10 });
    expect(cells.heldAt("x", at(30))).toMatchObject({ entry: 30 });
  });

  it("is open until it has ended, whatever others read", () => {
    const { snapshots } = new Cells();
    snapshots.begin(named("early"), at(15));
    snapshots.begin(named("late"), at(25));
    snapshots.end(named("late"));
    expect([14, 15, 16, 25, 26].map((moment) => snapshots.isOpen(at(moment)))).toEqual([false, true, false, false, false]);
  });

  it("was nothing before the object had a cell", () => {
    const cells = new Cells();
    written(cells, 10);
    expect(cells.heldAt("x", at(5))).toBeNull();
    expect(cells.heldAt("y", at(50))).toBeNull();
  });
});
