import { describe, expect, it } from "vitest";
import { type InstanceId, NO_SEQNUM, type SeqNum, type Tag } from "../../../../state/ids.ts";
import { Cells, ownVersion } from "../../../../state/logbook/cells.ts";
import { RecordKind } from "../../../../state/logbook/index.ts";
import { BOOK, openTestShard } from "../../../support/open-shard.ts";

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

  it("is not told when that is over, also of an object that has no cell, nor that there is none", async () => {
    const { shard } = await openTestShard();
    const book = shard.book(BOOK);
    const result = await book.append({ records: [{ kind: RecordKind.append, tags: ["a" as Tag], data: new Uint8Array(1) }] });
    const moment = result.kind === "appended" ? result.seqnum : NO_SEQNUM;
    await expect(book.readCell("x", moment, moment)).rejects.toMatchObject({ code: "TRIMMED" });
    await expect(book.listObjects("", "", moment, 10, moment)).rejects.toMatchObject({ code: "TRIMMED" });
    await shard.close();
  });

  it("was nothing before the object had a cell", () => {
    const cells = new Cells();
    written(cells, 10);
    expect(cells.heldAt("x", at(5))).toBeNull();
    expect(cells.heldAt("y", at(50))).toBeNull();
  });
});
