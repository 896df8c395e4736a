/**
 * The latest values of objects that are not kept as versions: a view of the entries that wrote them (F3).
 *
 * L1. A cell has the highest version of all its entries, whatever their order in the journal.
 * L2. A delete leaves a cell with its version, until no writer of an older one can be left (F3).
 * L3. What a cell held at the moment that an open transaction reads at is kept until that has ended (F37): of each cell one entry for
 *     each such moment at most, however often it is written.
 */
import { invariant } from "../errors.ts";
import type { SeqNum } from "../ids.ts";
import { Snapshots } from "./snapshots.ts";

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
  /** What it held before, oldest first, as far as transactions read it; left out when none does. */
  readonly earlier?: readonly EarlierEntry[];
}

export interface EarlierEntry {
  readonly version: CellVersion;
  readonly entry: SeqNum;
}

export class Cells {
  readonly byKey = new Map<string, Cell>();
  /** Cells that may go once the floor is above them: deletes, and what versions have replaced; and those with earlier entries. */
  readonly ending = new Set<string>();
  readonly snapshots = new Snapshots();

  get size(): number {
    return this.byKey.size;
  }

  get(key: string): Cell | undefined {
    return this.byKey.get(key);
  }

  /** @param drop  called for each entry that the cell lets go of */
  put(key: string, version: CellVersion, entry: SeqNum, position: SeqNum, drop: (entry: SeqNum) => void): void {
    const before = this.byKey.get(key);
    const earlier = before === undefined ? undefined : this.#earlierOf(before, entry, drop);
    this.#set(key, { version, entry, since: before?.since ?? position }, earlier);
    if (earlier === undefined) {
      this.ending.delete(key);
    } else {
      this.ending.add(key);
    }
  }

  /** What stays of a cell that gets another entry. */
  #earlierOf(before: Cell, entry: SeqNum, drop: (entry: SeqNum) => void): readonly EarlierEntry[] | undefined {
    if (before.entry === entry) {
      // A switch has given it a version of its own.
      drop(entry);
      return before.earlier;
    }
    if (before.earlier === undefined && !this.snapshots.hasBetween(before.entry, entry)) {
      drop(before.entry);
      return undefined;
    }
    return this.#read([...(before.earlier ?? []), { version: before.version, entry: before.entry }], entry, drop);
  }

  /** Lets go of the earlier entries that no transaction reads any more. */
  prune(key: string, drop: (entry: SeqNum) => void): void {
    const cell = this.byKey.get(key);
    if (cell?.earlier !== undefined) {
      this.#set(key, cell, this.#read(cell.earlier, cell.entry, drop));
    }
  }

  /** Whether `prune` would let go of something. */
  isPrunable({ earlier = [], entry }: Cell): boolean {
    return earlier.some((one, index) => !this.snapshots.hasBetween(one.entry, earlier[index + 1]?.entry ?? entry));
  }

  /**
   * What the cell held as of `at`, at which an open transaction reads; null: no cell was there. A version that became a cell after `at` was
   * the object's value before: its stream may be collected as soon as the cell has another entry.
   */
  heldAt(key: string, at: SeqNum): EarlierEntry | null {
    const cell = this.byKey.get(key);
    if (cell === undefined) {
      return null;
    }
    const held = cell.entry <= at ? cell : cell.earlier?.findLast(({ entry }) => entry <= at);
    invariant(held !== undefined || cell.since > at, "what a cell held at the moment of an open transaction is kept");
    return held ?? null;
  }

  remove(key: string, drop: (entry: SeqNum) => void): void {
    const cell = this.byKey.get(key);
    if (cell !== undefined) {
      for (const { entry } of cell.earlier ?? []) {
        drop(entry);
      }
      drop(cell.entry);
      this.byKey.delete(key);
      this.ending.delete(key);
    }
  }

  #set(key: string, { version, entry, since }: Cell, earlier: readonly EarlierEntry[] | undefined): void {
    this.byKey.set(key, earlier === undefined ? { version, entry, since } : { version, entry, since, earlier });
  }

  /** Those that a transaction reads, if any; the last one was held until `end`. */
  #read(entries: readonly EarlierEntry[], end: SeqNum, drop: (entry: SeqNum) => void): readonly EarlierEntry[] | undefined {
    const read = entries.filter(({ entry }, index) => {
      const isRead = this.snapshots.hasBetween(entry, entries[index + 1]?.entry ?? end);
      if (!isRead) {
        drop(entry);
      }
      return isRead;
    });
    return read.length === 0 ? undefined : read;
  }
}

export function compareVersions(a: CellVersion, b: CellVersion): number {
  return a.seqnum - b.seqnum || a.role - b.role || a.counter - b.counter;
}

export function newerVersion(a: CellVersion | null, b: CellVersion | null): CellVersion | null {
  return a === null || (b !== null && compareVersions(a, b) < 0) ? b : a;
}

/** The version of an entry that is one of its own. */
export function ownVersion(seqnum: SeqNum): CellVersion {
  return { seqnum, role: 0, counter: 0 };
}
