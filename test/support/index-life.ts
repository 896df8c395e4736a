/** Any life of a shard's index: what is appended to it, and what it holds then. */
import fc from "fast-check";
import type { LogBookId, SeqNum, Tag } from "../../state/ids.ts";
import { encodeCollection } from "../../state/logbook/collection.ts";
import { type NewRecord, RecordKind } from "../../state/logbook/index.ts";
import type { Instance } from "../../state/logbook/instances.ts";
import { Outbox } from "../../state/logbook/outbox.ts";
import { Sequencer } from "../../state/logbook/sequencer.ts";
import type { ShardIndex } from "../../state/logbook/shard-index.ts";
import { noFaults } from "../../state/ports.ts";
import type { ManualTime } from "./manual-time.ts";
import type { MemoryBlobs } from "./memory-blobs.ts";
import type { MemoryJournal } from "./memory-journal.ts";
import { none, tagOf } from "./open-shard.ts";

export const BOOKS = ["alice", "bob"] as LogBookId[];
const session = { isOver: false };

/** Everything that follows from the log, as plain data. What has no order that anybody may rely on is sorted. */
export function dump(index: ShardIndex): unknown {
  const instance = (one: Instance): unknown => ({
    ...one,
    holder: undefined,
    caller: one.caller?.id,
    children: one.children.map((child) => child.id),
  });
  const books = [...index.books.values()].map((book) => {
    const names: string[] = [];
    book.names.visit("", "", (name) => names.push(name) > 0);
    const { id, floor, expiring, garbage, instances } = book;
    const { unfinished, ended, retained } = instances;
    const lists = [[...unfinished.values()], ended.toSorted((a, b) => a.done - b.done), retained].map((list) =>
      list.map(instance),
    );
    const streams = [...book.streams].sort(([a], [b]) => (a < b ? -1 : 1));
    const superseded = [...book.superseded].sort();
    const live = streams.flatMap(([, stream]) => [...(stream.earlier ?? []), stream.last]);
    const kinds = live.map((seqnum) => [seqnum, index.store.kindOf(seqnum), index.store.read(seqnum)]);
    return { id, names, streams, floor, superseded, expiring, garbage, lists, kinds };
  });
  return { tail: index.tail, timeMs: index.timeMs, epoch: index.epoch, books: books.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

const small = fc.nat(3);
export const actionArbitrary = fc.record({
  book: fc.constantFrom(...BOOKS),
  kind: fc.constantFrom("write", "delete", "init", "keyed", "invoke", "done", "attempt", "parked", "resumed", "gc", "gc", "time"),
  a: small,
  b: small,
  pinned: fc.boolean(),
});

export type Action = typeof actionArbitrary extends fc.Arbitrary<infer T> ? T : never;

export function recordOf({ kind, a, b }: Action, blob: NewRecord["blobs"] & {}): NewRecord | undefined {
  const own = tagOf(`i/${a}`);
  const other: Record<string, [NewRecord["kind"], Tag[]]> = {
    write: [RecordKind.write, [own, tagOf(`o/${b}`)]],
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
  return found === undefined ? undefined : { kind: found[0], tags: found[1], data: new Uint8Array([a, b]), blobs: blob };
}

/** Appends to an index what actions say. */
export class IndexLife {
  readonly index: ShardIndex;
  readonly #sequencer: Sequencer;
  readonly #outbox: Outbox;
  readonly #time: ManualTime;
  readonly #blobs: MemoryBlobs;

  constructor(index: ShardIndex, journal: MemoryJournal, time: ManualTime, blobs: MemoryBlobs) {
    this.index = index;
    this.#time = time;
    this.#blobs = blobs;
    this.#outbox = new Outbox(journal, index.store, time, index.tail);
    const outbox = this.#outbox;
    const parts = { journal, index, outbox, blobs, clock: time, timers: time, faults: noFaults, undurableMaxBytes: 1 << 20 };
    this.#sequencer = new Sequencer(parts);
  }

  async act(action: Action): Promise<void> {
    const { index } = this;
    const book = index.book(action.book);
    const record = recordOf(action, action.pinned ? [await this.#blobs.put(none)] : []);
    if (record !== undefined) {
      const request = action.pinned ? { ...record, initialCursor: index.tail } : record;
      await this.#sequencer.append(book, { records: [request] }, session);
    } else if (action.kind === "time") {
      this.#time.advance(1_000 * action.a);
    } else {
      const watermark = Math.min(index.tail, book.instances.readsFrom()) as SeqNum;
      const retainSinceMs = this.#sequencer.timeMs() - 1_000;
      this.#sequencer.orderOwn(book, { kind: RecordKind.gc, tags: [], data: encodeCollection({ watermark, retainSinceMs }) });
    }
  }

  whenDurable(): Promise<void> {
    return this.#outbox.whenDurable(this.index.tail);
  }
}
