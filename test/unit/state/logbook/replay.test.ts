import fc from "fast-check";
import { expect, test } from "vitest";
import { type InstanceId, type LogBookId, NO_SEQNUM, type SeqNum, type Tag } from "../../../../state/ids.ts";
import { encodeCollection } from "../../../../state/logbook/collection.ts";
import { type NewRecord, RecordKind, trimRecord } from "../../../../state/logbook/index.ts";
import type { Instance } from "../../../../state/logbook/instances.ts";
import { encodeLock, encodeUnlock } from "../../../../state/logbook/lock-record.ts";
import { Outbox } from "../../../../state/logbook/outbox.ts";
import { RecordStore } from "../../../../state/logbook/record-store.ts";
import { Sequencer } from "../../../../state/logbook/sequencer.ts";
import { ShardIndex } from "../../../../state/logbook/shard-index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../../../state/logbook/step-record.ts";
import { noFaults } from "../../../../state/ports.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { MemoryBlobs } from "../../../support/memory-blobs.ts";
import { MemoryJournal } from "../../../support/memory-journal.ts";
import { at, none, tagOf } from "../../../support/open-shard.ts";

const BOOKS = ["alice", "bob"] as LogBookId[];
const session = { isOver: false };

/** Everything that follows from the log, as plain data. */
function dump(index: ShardIndex): unknown {
  const instance = (one: Instance): unknown => ({
    ...one,
    holder: undefined,
    caller: one.caller?.id,
    children: one.children.map((child) => child.id),
  });
  const books = [...index.books.values()].map((book) => {
    const names: string[] = [];
    book.names.visit("", "", (name) => names.push(name) > 0);
    const { id, streams, floor, superseded, expiring, garbage, instances, trims } = book;
    const locks = [book.locks.held, book.locks.byInstance, book.locks.streams];
    const lists = [[...instances.unfinished.values()], instances.ended, instances.retained].map((list) => list.map(instance));
    const live = [...streams.values()]
      .flatMap((stream) => [...(stream.earlier ?? []), stream.last])
      .filter((seqnum) => seqnum > 0);
    const kinds = live.map((seqnum) => [seqnum, index.store.kindOf(seqnum), index.store.read(seqnum)]);
    return { id, names, streams, floor, superseded, expiring, garbage, lists, locks, kinds, trims };
  });
  return { tail: index.tail, timeMs: index.timeMs, books: books.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

const small = fc.nat(3);
const actionArbitrary = fc.record({
  book: fc.constantFrom(...BOOKS),
  kind: fc.constantFrom(
    ...["write", "delete", "init", "keyed", "invoke", "done", "attempt", "parked", "resumed", "gc", "gc", "time"],
    ...["append", "append", "append", "trim", "trim", "trim all", "close"],
    ...["lock", "lock", "unlock", "broken", "commit", "abort"],
  ),
  a: small,
  b: small,
  pinned: fc.boolean(),
});

type Action = typeof actionArbitrary extends fc.Arbitrary<infer T> ? T : never;

const step = (payload: Uint8Array) => encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, payload);

function recordOf({ kind, a, b, pinned }: Action, blob: NewRecord["blobs"] & {}, tail: SeqNum): NewRecord | undefined {
  const own = tagOf(`i/${a}`);
  const upTo = at(Math.max(0, tail - 3 * b));
  if (kind === "trim" || kind === "trim all") {
    return trimRecord({ tag: kind === "trim" ? tagOf(`u/${a}`) : null, upTo });
  }
  const other: Record<string, [NewRecord["kind"], Tag[]]> = {
    write: [RecordKind.write, [own, tagOf(`o/${b}`)]],
    delete: [RecordKind.delete, [own, tagOf(`o/${b}`)]],
    init: [RecordKind.init, [own]],
    keyed: [RecordKind.init, [own, tagOf(`k/f/${a}`)]],
    invoke: [RecordKind.invoke, a === b ? [own] : [own, tagOf(`i/${b}`)]],
    done: [RecordKind.done, [own]],
    append: [RecordKind.append, [own, tagOf(`u/${a}`), tagOf(`u/x${b}`)]],
    close: [RecordKind.close, [own, tagOf(`u/x${b}`)]],
    attempt: [RecordKind.attempt, [tagOf(`a/${a}`)]],
    parked: [RecordKind.parked, [tagOf(`a/${a}`)]],
    resumed: [RecordKind.resumed, [tagOf(`a/${a}`)]],
    lock: [RecordKind.lock, [own, tagOf(`l/${b}`), tagOf(`h/${b}`)]],
    unlock: [RecordKind.unlock, [own, tagOf(`l/${b}`)]],
    broken: [RecordKind.lockBroken, [tagOf(`l/${b}`), tagOf(`h/${b}`)]],
    commit: [RecordKind.commit, [own]],
    abort: [RecordKind.abort, [own]],
  };
  const found = other[kind];
  const owner = { instance: `${a}` as InstanceId, inTransaction: pinned };
  const data: Record<string, Uint8Array> = {
    lock: step(encodeLock({ ...owner, root: `${a}` as InstanceId, token: NO_SEQNUM })),
    unlock: step(encodeUnlock(owner)),
  };
  return found === undefined
    ? undefined
    : { kind: found[0], tags: found[1], data: data[kind] ?? new Uint8Array([a, b]), blobs: blob };
}

test("F4, F19: replay of the log gives the index that was there when it was written, collections included", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(actionArbitrary, { maxLength: 120, size: "max" }), async (actions) => {
      const journal = new MemoryJournal();
      const store = new RecordStore(journal, 1 << 20);
      const index = new ShardIndex(store, 0);
      const time = new ManualTime();
      const blobs = new MemoryBlobs();
      const outbox = new Outbox(journal, store, time, index.tail);
      const parts = { journal, index, outbox, blobs, clock: time, timers: time, faults: noFaults, undurableMaxBytes: 1 << 20 };
      const sequencer = new Sequencer(parts);
      const named: SeqNum[] = [];
      for (const action of actions) {
        const book = index.book(action.book);
        const record = recordOf(action, action.pinned ? [await blobs.put(none)] : [], index.tail);
        if (record !== undefined) {
          const request = action.pinned ? { ...record, initialCursor: index.tail } : record;
          const result = await sequencer.append(book, { records: [request] }, session);
          named.push(result.kind === "appended" ? result.seqnum : at(0));
        } else if (action.kind === "time") {
          time.advance(1_000 * action.a);
        } else {
          const watermark = Math.min(index.tail, book.instances.readsFrom()) as SeqNum;
          const retainSinceMs = sequencer.timeMs() - 1_000;
          sequencer.orderOwn(book, { kind: RecordKind.gc, tags: [], data: encodeCollection({ watermark, retainSinceMs }) });
        }
      }
      await outbox.whenDurable(index.tail);

      const replayed = new ShardIndex(new RecordStore(journal, 0), 0);
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

test("14 bytes per record are given back when all streams of a chunk's records have let go of them", () => {
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
