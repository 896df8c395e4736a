import fc from "fast-check";
import { expect, test } from "vitest";
import { type LogBookId, MAX_SEQNUM, type SeqNum, type Tag } from "../../../../state/ids.ts";
import { encodeCollection } from "../../../../state/logbook/collection.ts";
import { type CellWrite, type NewRecord, RecordKind } from "../../../../state/logbook/index.ts";
import type { Instance } from "../../../../state/logbook/instances.ts";
import { encodeMode } from "../../../../state/logbook/modes.ts";
import { Outbox } from "../../../../state/logbook/outbox.ts";
import { RecordStore } from "../../../../state/logbook/record-store.ts";
import { Sequencer } from "../../../../state/logbook/sequencer.ts";
import { ShardIndex } from "../../../../state/logbook/shard-index.ts";
import { noFaults } from "../../../../state/ports.ts";
import { MODES_TAG, modeTag } from "../../../../state/tags.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { MemoryBlobs } from "../../../support/memory-blobs.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { at, none, tagOf } from "../../../support/open-shard.ts";

const BOOKS = ["alice", "bob"] as LogBookId[];
const session = { isOver: false };

/** Counted anew: records of each kind that some stream or cell holds, and their bytes. */
function heldByKind(index: ShardIndex): { records: number; sizeBytes: number }[] {
  const held = new Set<SeqNum>();
  for (const { streams, cells } of index.books.values()) {
    for (const stream of streams.values()) {
      for (const seqnum of [...(stream.earlier ?? []), stream.last]) {
        held.add(seqnum);
      }
    }
    for (const { entry } of cells.byKey.values()) {
      held.add(entry);
    }
  }
  return Object.values(RecordKind).map((kind) => {
    const sizes = [...held].filter((seqnum) => index.kindOf(seqnum) === kind).map((seqnum) => index.store.sizeBytes(seqnum));
    return { records: sizes.length, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) };
  });
}

/** Everything that follows from the log, as plain data. */
function dump(index: ShardIndex): unknown {
  const instance = (one: Instance): unknown => ({
    ...one,
    holder: undefined,
    caller: one.caller?.id,
    modeOwner: one.modeOwner.id,
    children: one.children.map((child) => child.id),
  });
  const books = [...index.books.values()].map((book) => {
    const names: string[] = [];
    book.names.visit("", "", (name) => names.push(name) > 0);
    const { id, streams, floor, superseded, expiring, garbage, instances, cells, scopes } = book;
    const lists = [[...instances.unfinished.values()], instances.ended, instances.retained].map((list) => list.map(instance));
    const inCells = [...cells.byKey.values()].map((cell) => cell.entry);
    const live = [...streams.values()].flatMap((stream) => [...(stream.earlier ?? []), stream.last]).concat(inCells);
    const kinds = live.map((seqnum) => [seqnum, index.store.kindOf(seqnum), index.store.read(seqnum)]);
    return { id, names, streams, floor, superseded, expiring, garbage, lists, kinds, cells, scopes };
  });
  expect(Object.values(RecordKind).map((kind) => index.store.live(kind))).toEqual(heldByKind(index));
  return { tail: index.tail, timeMs: index.timeMs, books: books.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

const small = fc.nat(3);
const actionArbitrary = fc.record({
  book: fc.constantFrom(...BOOKS),
  kind: fc.constantFrom(
    "cell",
    "cell",
    "both",
    "uncell",
    "place",
    "begin",
    "end",
    "migrated",
    "write",
    "delete",
    "init",
    "keyed",
    "invoke",
    "done",
    "attempt",
    "parked",
    "resumed",
    "gc",
    "gc",
    "time",
  ),
  a: small,
  b: small,
  pinned: fc.boolean(),
});

type Action = typeof actionArbitrary extends fc.Arbitrary<infer T> ? T : never;

function recordOf({ kind, a, b }: Action, blob: NewRecord["blobs"] & {}): NewRecord | undefined {
  const own = tagOf(`i/${a}`);
  const other: Record<string, [NewRecord["kind"], Tag[]]> = {
    write: [RecordKind.write, [own, tagOf(`o/${b}`)]],
    both: [RecordKind.write, [own, tagOf(`o/${b}`)]],
    uncell: [RecordKind.delete, [own]],
    place: [RecordKind.write, []],
    delete: [RecordKind.delete, [own, tagOf(`o/${b}`)]],
    init: [RecordKind.init, [own]],
    keyed: [RecordKind.init, [own, tagOf(`k/f/${a}`)]],
    invoke: [RecordKind.invoke, a === b ? [own] : [own, tagOf(`i/${b}`)]],
    done: [RecordKind.done, [own]],
    attempt: [RecordKind.attempt, [tagOf(`a/${a}`)]],
    parked: [RecordKind.parked, [tagOf(`a/${a}`)]],
    resumed: [RecordKind.resumed, [tagOf(`a/${a}`)]],
  };
  const found = other[kind];
  if (found === undefined) {
    return undefined;
  }
  const record = { kind: found[0], tags: found[1], data: new Uint8Array([a, b]), blobs: blob };
  if (kind === "both" || kind === "uncell") {
    return { ...record, cell: { key: `${b}`, version: null } };
  }
  return kind === "place" ? { ...record, place: `${b}` } : record;
}

const cellWrite = ({ a, b }: Action): CellWrite => ({
  key: `${b}`,
  version: { seqnum: at(a * 20), role: 0, counter: b },
  kind: RecordKind.write,
  data: new Uint8Array([a, b]),
  initialCursor: MAX_SEQNUM,
});

/** A record of the shard's own about the scope of all objects here. */
function ownRecord({ kind, a }: Action): NewRecord | undefined {
  const mode = a % 2 === 0 ? "halfmoon-read" : "halfmoon-write";
  const tags = [modeTag(""), MODES_TAG];
  switch (kind) {
    case "begin":
      return { kind: RecordKind.mode, tags, data: encodeMode({ mode: null, to: mode, automatic: false }) };
    case "end":
      return { kind: RecordKind.mode, tags, data: encodeMode({ mode, to: null, automatic: false }) };
    case "migrated":
      return { kind: RecordKind.migrated, tags: [], data: none };
    default:
      return undefined;
  }
}

function expectMismatch(error: unknown): undefined {
  expect(error).toMatchObject({ code: "PROTOCOL_MISMATCH" });
}

test("F3, F4, F19: replay of the log gives the index that was there when it was written, collections included", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(actionArbitrary, { maxLength: 120, size: "max" }), async (actions) => {
      const journal = new MemoryJournal();
      const store = new RecordStore(journal, 1 << 20);
      const index = new ShardIndex(store);
      const time = new ManualTime();
      const blobs = new MemoryBlobs();
      const outbox = new Outbox(journal, store, time, index.tail);
      const parts = { journal, index, outbox, blobs, clock: time, timers: time, faults: noFaults, undurableMaxBytes: 1 << 20 };
      const sequencer = new Sequencer(parts);
      const named: SeqNum[] = [];
      for (const action of actions) {
        const book = index.book(action.book);
        const record = recordOf(action, action.pinned ? [await blobs.put(none)] : []);
        const own = ownRecord(action);
        if (own !== undefined) {
          sequencer.orderOwn(book, own);
        } else if (action.kind === "cell") {
          await sequencer.writeCell(book, cellWrite(action), session).catch(expectMismatch);
        } else if (record !== undefined) {
          const request = action.pinned ? { ...record, initialCursor: index.tail } : record;
          const result = await sequencer.append(book, { records: [request] }, session).catch(expectMismatch);
          named.push(result?.kind === "appended" ? result.seqnum : at(0));
        } else if (action.kind === "time") {
          time.advance(1_000 * action.a);
        } else {
          const watermark = Math.min(index.tail, book.instances.readsFrom()) as SeqNum;
          const retainSinceMs = sequencer.timeMs() - 1_000;
          sequencer.orderOwn(book, { kind: RecordKind.gc, tags: [], data: encodeCollection({ watermark, retainSinceMs }) });
        }
      }
      await outbox.whenDurable(index.tail);

      const replayed = new ShardIndex(new RecordStore(journal, 0));
      for (const book of BOOKS) {
        index.book(book);
        replayed.book(book);
      }
      for (const frame of journal.frames()) {
        replayed.replay(frame);
      }
      expect(dump(replayed)).toEqual(dump(index));
      for (const name of blobs.blobs.keys()) {
        expect(replayed.blobs.has(name)).toBe(index.blobs.has(name));
      }
      expect(replayed.blobs.takeDead()).toEqual(index.blobs.takeDead());
    }),
    { numRuns: 300 },
  );
});

test("15 bytes per record are given back when all streams of a chunk's records have let go of them", () => {
  const store = new RecordStore(new MemoryJournal(), 0);
  for (let seqnum = 1; seqnum <= 10_000; seqnum++) {
    store.add(at(seqnum), RecordKind.write, seqnum, 10, 2);
  }
  expect(store.drop(at(1))).toBe(false);
  expect(store.drop(at(1))).toBe(true);
  expect(store.kindOf(at(1))).toBe(RecordKind.write);
  for (let seqnum = 2; seqnum < 4_096; seqnum++) {
    store.drop(at(seqnum));
    store.drop(at(seqnum));
  }
  expect(() => store.kindOf(at(1))).toThrow("collected");
  expect(store.kindOf(at(4_096))).toBe(RecordKind.write);
});
