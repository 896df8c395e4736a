/** Any life of a shard's index: what is appended to it, and what it holds then. */
import fc from "fast-check";
import { ByteWriter } from "../../state/bytes.ts";
import { hasCode } from "../../state/errors.ts";
import { type InstanceId, type LogBookId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, type Tag } from "../../state/ids.ts";
import type { Cell } from "../../state/logbook/cells.ts";
import { encodeCollection } from "../../state/logbook/collection.ts";
import { type CellWrite, type NewRecord, RecordKind, trimRecord } from "../../state/logbook/index.ts";
import type { Instance } from "../../state/logbook/instances.ts";
import { encodeLock, encodeUnlock } from "../../state/logbook/lock-record.ts";
import { encodeMode } from "../../state/logbook/modes.ts";
import { Outbox } from "../../state/logbook/outbox.ts";
import { writePinHead } from "../../state/logbook/pin-record.ts";
import { Sequencer } from "../../state/logbook/sequencer.ts";
import type { ShardIndex } from "../../state/logbook/shard-index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../state/logbook/step-record.ts";
import { noFaults } from "../../state/ports.ts";
import { LOCK_BREAKS_TAG, MODES_TAG, modeTag } from "../../state/tags.ts";
import type { ManualTime } from "./manual-time.ts";
import type { MemoryBlobs } from "./memory-blobs.ts";
import type { MemoryJournal } from "./memory-journal.ts";
import { at, none, tagOf } from "./open-shard.ts";

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
    const { id, floor, expiring, garbage, instances, trims, cells, scopes } = book;
    const { unfinished, ended, retained } = instances;
    const lists = [[...unfinished.values()], [...ended.values()].sort((a, b) => a.done - b.done), retained].map((list) =>
      list.map(instance),
    );
    const streams = [...book.streams].sort(([a], [b]) => (a < b ? -1 : 1));
    const superseded = [...book.superseded].sort();
    const awaitingResume = [...book.awaitingResume].sort();
    const held = [...book.locks.held].sort(([a], [b]) => (a < b ? -1 : 1));
    const holders = Array.from(book.locks.byInstance, ([id, tags]) => [id, ...[...tags].sort()]).sort();
    const locks = [held, holders, [...book.locks.streams].sort()];
    const inCells = [...cells.byKey].sort(([a], [b]) => (a < b ? -1 : 1));
    const byScope = Array.from(scopes.byName, ([name, scope]) => [name, scope, [...scope.unsettled]] as const);
    const snapshots = [...cells.snapshots.byInstance].sort(([a], [b]) => (a < b ? -1 : 1));
    const unlogged = [...book.unlogged].sort(([a], [b]) => a - b);
    const kept = [inCells, snapshots, unlogged, [...cells.ending].sort()];
    const places = [kept, scopes.defaultMode, byScope.sort(([a], [b]) => (a < b ? -1 : 1))];
    const trimmed = {
      ...trims,
      byTag: [...trims.byTag].sort(([a], [b]) => (a < b ? -1 : 1)),
    };
    const live = streams
      .flatMap(([, stream]) => [...(stream.earlier ?? []), stream.last])
      .concat(inCells.flatMap(([, cell]) => entriesOf(cell)))
      .filter((seqnum) => seqnum > 0);
    const kinds = live.map((seqnum) => [seqnum, index.store.kindOf(seqnum), index.store.read(seqnum)]);
    return { id, names, streams, floor, superseded, awaitingResume, expiring, garbage, lists, locks, trimmed, places, kinds };
  });
  return { tail: index.tail, timeMs: index.timeMs, epoch: index.epoch, books: books.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

function entriesOf({ entry, earlier = [] }: Cell): SeqNum[] {
  return [...earlier.map((one) => one.entry), entry];
}

/** Of each kind, counted anew: the records that some stream or cell holds, and their bytes. */
export function heldByKind(index: ShardIndex): { readonly records: number; readonly sizeBytes: number }[] {
  const held = new Set<SeqNum>();
  for (const { streams, cells } of index.books.values()) {
    for (const stream of streams.values()) {
      for (const seqnum of [...(stream.earlier ?? []), stream.last]) {
        held.add(seqnum);
      }
    }
    for (const entry of [...cells.byKey.values()].flatMap(entriesOf)) {
      held.add(entry);
    }
  }
  held.delete(NO_SEQNUM);
  return Object.values(RecordKind).map((kind) => {
    const sizes = [...held].filter((seqnum) => index.kindOf(seqnum) === kind).map((seqnum) => index.store.sizeBytes(seqnum));
    return { records: sizes.length, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) };
  });
}

const small = fc.nat(3);
export const actionArbitrary = fc.record({
  book: fc.constantFrom(...BOOKS),
  kind: fc.constantFrom(
    ...["write", "delete", "init", "keyed", "invoke", "done", "attempt", "parked", "resumed", "gc", "gc", "time"],
    ...["spawn", "delayed", "cancel", "pin", "resume"],
    ...["append", "append", "append", "trim", "trim", "trim all", "close"],
    ...["lock", "lock", "unlock", "broken", "transaction", "transaction", "commit", "abort"],
    ...["cell", "cell", "both", "uncell", "place", "begin", "end", "migrated"],
  ),
  a: small,
  b: small,
  pinned: fc.boolean(),
});

export type Action = typeof actionArbitrary extends fc.Arbitrary<infer T> ? T : never;

const step = (payload: Uint8Array) => encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, payload);

/** @param tail  of the shard: trims name seqnums at or below it */
export function recordOf({ kind, a, b, pinned }: Action, blob: NewRecord["blobs"] & {}, tail: SeqNum): NewRecord | undefined {
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
    delayed: [RecordKind.delayed, [own, tagOf(`k/f/${b}`)]],
    invoke: [RecordKind.invoke, a === b ? [own] : [own, tagOf(`i/${b}`)]],
    spawn: [RecordKind.spawn, a === b ? [own] : [own, tagOf(`i/${b}`)]],
    done: [RecordKind.done, [own]],
    cancel: [RecordKind.cancel, [own]],
    append: [RecordKind.append, [own, tagOf(`u/${a}`), tagOf(`u/x${b}`)]],
    close: [RecordKind.close, [own, tagOf(`u/x${b}`)]],
    attempt: [RecordKind.attempt, [tagOf(`a/${a}`)]],
    parked: [RecordKind.parked, [tagOf(`a/${a}`)]],
    resumed: [RecordKind.resumed, [tagOf(`a/${a}`)]],
    pin: [RecordKind.pin, [tagOf(`a/${a}`)]],
    resume: [RecordKind.resume, [own]],
    lock: [RecordKind.lock, [own, tagOf(`l/${b}`), tagOf(`h/${b}`)]],
    unlock: [RecordKind.unlock, [own, tagOf(`l/${b}`)]],
    broken: [RecordKind.lockBroken, [tagOf(`l/${b}`), tagOf(`h/${b}`), LOCK_BREAKS_TAG]],
    transaction: [RecordKind.begin, [own]],
    commit: [RecordKind.commit, [own]],
    abort: [RecordKind.abort, [own]],
    both: [RecordKind.write, [own, tagOf(`o/${b}`)]],
    uncell: [RecordKind.delete, [own]],
    place: [RecordKind.write, []],
  };
  const found = other[kind];
  const owner = { instance: `${a}` as InstanceId, inTransaction: pinned };
  const notBefore = new ByteWriter(8).f64(pinned ? 1_000 * b : 0).take();
  const data: Record<string, Uint8Array> = {
    delayed: notBefore,
    spawn: step(notBefore),
    lock: step(encodeLock({ ...owner, root: `${a}` as InstanceId, token: NO_SEQNUM, snapshot: null })),
    unlock: step(encodeUnlock(owner)),
    pin: writePinHead(new ByteWriter(32), { position: 0, written: pinned ? cellVersion({ a, b }, tail) : null }).take(),
  };
  if (found === undefined) {
    return undefined;
  }
  const record = { kind: found[0], tags: found[1], data: data[kind] ?? new Uint8Array([a, b]), blobs: blob };
  if (kind === "both" || kind === "uncell") {
    return { ...record, cell: { key: `${b}`, version: null } };
  }
  return kind === "place" ? { ...record, place: `${b}` } : record;
}

/** No step that a version could begin with is yet to come. */
const cellVersion = ({ a, b }: Pick<Action, "a" | "b">, tail: SeqNum) =>
  ({ seqnum: at(Math.min(a * 20, tail)), role: 0, counter: b }) as const;

const cellWrite = ({ a, b }: Action, tail: SeqNum): CellWrite => ({
  key: `${b}`,
  version: cellVersion({ a, b }, tail),
  kind: RecordKind.write,
  data: new Uint8Array([a, b]),
  initialCursor: MAX_SEQNUM,
  writer: tagOf(`i/${a}`),
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

/** An object may live in its other place: then nothing was ordered. */
function unlessMismatch(error: unknown): void {
  if (!hasCode(error, "PROTOCOL_MISMATCH")) {
    throw error;
  }
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
    const record = recordOf(action, action.pinned ? [await this.#blobs.put(none)] : [], index.tail);
    const own = ownRecord(action);
    if (own !== undefined) {
      this.#sequencer.orderOwn(book, own);
    } else if (action.kind === "cell") {
      await this.#sequencer.writeCell(book, cellWrite(action, index.tail), session).catch(unlessMismatch);
    } else if (record !== undefined) {
      const request = action.pinned ? { ...record, initialCursor: index.tail } : record;
      await new Promise((resolve) => resolve(this.#sequencer.append(book, { records: [request] }, session))).catch(
        unlessMismatch,
      );
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
