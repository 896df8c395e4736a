/**
 * The latest values of objects that are not kept as versions: a view of the entries that wrote them (F3).
 *
 * L1. A cell has the highest version of all its entries, whatever their order in the journal.
 * L2. A delete leaves a cell with its version, until no writer of an older one can be left (F3).
 */
import type { SeqNum } from "../ids.ts";

/**
 * The order of writes of a cell, compared field by field: seqnum of a step of the writer (or of the entry itself), 1 for a child that
 * has only its caller's step, number of the write under that step. An entry that is its own version has role and counter 0.
 */
export interface CellVersion {
  readonly seqnum: SeqNum;
  readonly role: 0 | 1;
  readonly counter: number;
}

export interface Cell {
  readonly version: CellVersion;
  /** The journal position of the entry that has the value. */
  readonly entry: SeqNum;
  /** Since when the object has had a cell. */
  readonly since: SeqNum;
}

export class Cells {
  readonly byKey = new Map<string, Cell>();
  /** Cells that may go once the floor is above them: deletes, and what versions have replaced. */
  readonly ending = new Set<string>();

  get size(): number {
    return this.byKey.size;
  }

  get(key: string): Cell | undefined {
    return this.byKey.get(key);
  }

  /** @returns the entry whose place it takes */
  put(key: string, version: CellVersion, entry: SeqNum, position: SeqNum): SeqNum | undefined {
    const before = this.byKey.get(key);
    this.byKey.set(key, { version, entry, since: before?.since ?? position });
    this.ending.delete(key);
    return before?.entry;
  }

  remove(key: string): void {
    this.byKey.delete(key);
    this.ending.delete(key);
  }
}

export function compareVersions(a: CellVersion, b: CellVersion): number {
  return a.seqnum - b.seqnum || a.role - b.role || a.counter - b.counter;
}

/** The version of an entry that is one of its own. */
export function ownVersion(seqnum: SeqNum): CellVersion {
  return { seqnum, role: 0, counter: 0 };
}
