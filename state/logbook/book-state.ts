/**
 * The index of one LogBook: a pure fold over its records, the same at replay and while it runs.
 *
 * B1. `apply` never fails and never decides: what may be ordered was decided before (F19).
 * B2. Collection is part of the fold: a GC record takes effect at its position, by the log before it alone (F4). What it lets go of
 *     on disk is deleted by the owner, once the record is durable.
 */
import { f64At } from "../bytes.ts";
import { type InstanceId, type LogBookId, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import {
  DEFAULT_MODE_TAG,
  isGuestTag,
  isObjectTag,
  isStepTag,
  MODE_TAG_PREFIX,
  objectKeyOf,
  objectTag,
  stepTag,
} from "../tags.ts";
import { Cells, type CellVersion, compareVersions, type EarlierEntry, ownVersion } from "./cells.ts";
import { decodeCollection } from "./collection.ts";
import { collect } from "./gc.ts";
import {
  type Beginning,
  type Holder,
  type Instance,
  Instances,
  instanceOfAttemptTag,
  instanceOfStepTag,
  isResultTag,
} from "./instances.ts";
import { RecordKind } from "./kinds.ts";
import type { LockTaking } from "./lock-record.ts";
import { Locks } from "./locks.ts";
import type { CellEntry, Home, NewRecord } from "./logbook.ts";
import { migrate } from "./migration.ts";
import { DEFAULT_MODE, decodeMode } from "./modes.ts";
import { ObjectNames } from "./object-names.ts";
import { Scopes } from "./scopes.ts";
import { decodeStep } from "./step-record.ts";
import { Stream } from "./stream.ts";
import { decodeTrim } from "./trim.ts";
import { Trims } from "./trims.ts";

const NO_TAGS: readonly Tag[] = [];

/** Streams of results whose instances are collected: a reader finds the key and no stream, which means "expired". */
export interface ExpiringTags {
  readonly tags: readonly Tag[];
  /** Of the DONE. */
  readonly done: SeqNum;
  readonly doneMs: number;
}

/** What the index asks of the records it points to. */
export interface IndexedRecords {
  kindOf(seqnum: SeqNum): RecordKind;
  /** One more stream or cell has a record that another one has. */
  hold(seqnum: SeqNum): void;
  /** A stream or a cell lets go of a record: called once for each it was in. */
  drop(seqnum: SeqNum): void;
}

/** The newest of an instance's log-free writes behind one of its steps. */
export interface Unlogged {
  /** Of its step stream. */
  readonly length: number;
  readonly version: CellVersion;
}

export interface Newest {
  readonly home: Home;
  /** 0 for none. */
  readonly seqnum: SeqNum;
}

export class BookState {
  readonly id: LogBookId;
  readonly streams = new Map<Tag, Stream>();
  readonly names = new ObjectNames();
  readonly cells = new Cells();
  readonly scopes = new Scopes();
  readonly instances = new Instances();
  readonly trims = new Trims();
  /** Step streams with a PIN whose next step must be RESUME, or the end of the instance (F25). */
  readonly awaitingResume = new Set<Tag>();
  /** By their first records, instances that have written without a step, and how far their step streams were then (F25). */
  readonly unlogged = new Map<SeqNum, Unlogged>();
  readonly locks = new Locks();
  /** Nothing below may be read or begun at any more (F11). */
  floor: SeqNum = NO_SEQNUM;
  /** Object streams that have something to collect sooner or later. */
  readonly superseded = new Set<Tag>();
  /** In the order of DONE. */
  readonly expiring: ExpiringTags[] = [];
  /** Versions superseded and instances done since the last collection. */
  garbage = 0;
  readonly #records: IndexedRecords;

  constructor(id: LogBookId, records: IndexedRecords) {
    this.id = id;
    this.#records = records;
  }

  /** @param holder  the session that appends; undefined at replay */
  apply(seqnum: SeqNum, record: NewRecord, timeMs: number, holder: Holder | undefined): void {
    const { kind, tags } = record;
    for (let i = 0; i < tags.length; i++) {
      const tag = tags[i] as Tag;
      let stream = this.streams.get(tag);
      if (stream === undefined) {
        stream = this.addStream(tag);
      } else if (isObjectTag(tag)) {
        // One that has more than one stays there until they are collected.
        if (stream.earlier === undefined) {
          this.superseded.add(tag);
        }
        this.garbage++;
      }
      stream.push(seqnum);
    }
    if (record.cell !== undefined || this.scopes.byName.size > 0 || this.cells.size > 0) {
      this.#applyPlaces(seqnum, record);
    }
    if (kind !== RecordKind.write) {
      this.#applyKind(seqnum, record, timeMs, holder);
    }
    if (record.initialCursor !== undefined) {
      const { initialCursor } = record;
      this.#change(instanceOfStepTag(tags[0]), (instance) => instance.pinned(initialCursor));
    }
  }

  /** @param base  records collected from it */
  addStream(tag: Tag, base = 0): Stream {
    const stream = new Stream();
    stream.base = base;
    this.streams.set(tag, stream);
    if (isObjectTag(tag)) {
      if (this.cells.size === 0 || this.cells.get(objectKeyOf(tag)) === undefined) {
        this.names.add(objectKeyOf(tag));
      }
    } else if (isGuestTag(tag)) {
      this.trims.tags.push(tag);
    }
    return stream;
  }

  /** Where the newest write of the object of this tag is. */
  newest(object: Tag): Newest {
    const last = this.streams.get(object)?.last ?? NO_SEQNUM;
    return newestOf(last, this.cells.size === 0 ? undefined : this.cells.get(objectKeyOf(object)));
  }

  /** As `newest`, as of `at`, at which an open transaction reads. */
  newestAt(object: Tag, at: SeqNum): Newest {
    const held = this.cells.size === 0 ? null : this.cells.heldAt(objectKeyOf(object), at);
    return newestOf(this.streams.get(object)?.atOrBefore(at) ?? NO_SEQNUM, held ?? undefined);
  }

  /** @param position  of the record that says so */
  putCell(key: string, version: CellVersion, entry: SeqNum, position: SeqNum): void {
    this.cells.put(key, version, entry, position, (one) => this.#records.drop(one));
    if (this.#records.kindOf(entry) === RecordKind.delete) {
      this.cells.ending.add(key);
    }
    if (this.cells.ending.has(key)) {
      this.garbage++;
    }
  }

  /** What a write means for objects that have, or may get, two places. */
  #applyPlaces(seqnum: SeqNum, { cell, tags }: NewRecord): void {
    for (const tag of tags) {
      if (isObjectTag(tag) && objectKeyOf(tag) !== cell?.key) {
        this.scopes.unsettle(objectKeyOf(tag));
        if (this.cells.get(objectKeyOf(tag)) !== undefined) {
          this.cells.ending.add(objectKeyOf(tag));
        }
      }
    }
    if (cell !== undefined) {
      const object = objectTag(cell.key);
      const hasVersions = this.streams.has(object);
      if (!hasVersions && this.cells.get(cell.key) === undefined) {
        this.names.add(cell.key);
      }
      this.putCell(cell.key, cell.version ?? ownVersion(seqnum), seqnum, seqnum);
      this.#noteUnlogged(cell);
      if (tags.includes(object)) {
        this.scopes.settle(cell.key);
      } else {
        this.scopes.unsettle(cell.key);
        if (hasVersions) {
          this.superseded.add(object);
          this.garbage++;
        }
      }
    }
  }

  #noteUnlogged({ version, writer }: CellEntry): void {
    if (writer === undefined || version === null) {
      return;
    }
    const before = this.unlogged.get(writer.first);
    if (before === undefined || before.length < writer.length || compareVersions(before.version, version) < 0) {
      this.unlogged.set(writer.first, { length: writer.length, version });
    }
  }

  #applyMode(seqnum: SeqNum, { tags, data }: NewRecord, timeMs: number): void {
    const [tag] = tags;
    const record = decodeMode(data);
    this.garbage++;
    if (tag === DEFAULT_MODE_TAG) {
      this.scopes.defaultMode = record.mode ?? DEFAULT_MODE;
    } else if (tag !== undefined) {
      const floor = this.scopes.apply(tag.slice(MODE_TAG_PREFIX.length), record, seqnum, timeMs);
      if (floor > this.floor) {
        this.floor = floor;
      }
    }
  }

  #applyKind(seqnum: SeqNum, record: NewRecord, timeMs: number, holder: Holder | undefined): void {
    const { kind, tags } = record;
    switch (kind) {
      case RecordKind.delete:
        for (const tag of tags) {
          if (isObjectTag(tag)) {
            this.superseded.add(tag);
          }
        }
        return;
      case RecordKind.init:
        this.#beginRoot(seqnum, tags, 0, holder);
        return;
      case RecordKind.delayed:
        this.#beginRoot(seqnum, tags, f64At(record.data, 0), holder);
        return;
      case RecordKind.invoke: {
        const caller = this.#unfinished(instanceOfStepTag(tags[0]));
        // The caller's first step may be this record.
        const modeCursor = caller?.modeCursor || caller?.initialCursor || (record.initialCursor ?? NO_SEQNUM);
        const beginning = { caller, resultTags: NO_TAGS, notBeforeMs: 0, retained: false, readsFromFirst: true, modeCursor };
        this.#begin(tags[1], seqnum, beginning, holder);
        return;
      }
      case RecordKind.spawn: {
        const notBeforeMs = f64At(decodeStep(record.data).payload, 0);
        const beginning = {
          caller: undefined,
          resultTags: NO_TAGS,
          notBeforeMs,
          retained: true,
          readsFromFirst: false,
          modeCursor: NO_SEQNUM,
        };
        this.#begin(tags[1], seqnum, beginning, holder);
        return;
      }
      case RecordKind.done:
      case RecordKind.cancel:
        this.#end(tags[0], seqnum, timeMs);
        return;
      case RecordKind.attempt:
        this.#change(instanceOfAttemptTag(tags[0]), (instance) => instance.attempted(seqnum));
        return;
      case RecordKind.parked:
      case RecordKind.resumed:
        this.#change(instanceOfAttemptTag(tags[0]), (instance) => instance.park(kind === RecordKind.parked, seqnum));
        return;
      case RecordKind.pin:
        this.#change(instanceOfAttemptTag(tags[0]), (instance) => this.#pin(instance));
        return;
      case RecordKind.resume:
        this.#change(instanceOfStepTag(tags[0]), (instance) => this.#resume(instance, seqnum));
        return;
      case RecordKind.close:
        for (const tag of tags) {
          const stream = this.streams.get(tag);
          if (stream !== undefined && !isStepTag(tag)) {
            stream.closed = true;
          }
        }
        return;
      case RecordKind.trim:
        this.trims.add(seqnum, decodeTrim(record.data));
        return;
      case RecordKind.lock:
      case RecordKind.unlock:
        this.#applyLock(seqnum, record, timeMs);
        return;
      case RecordKind.lockBroken:
        this.locks.break(tags[0] as Tag);
        return;
      case RecordKind.begin:
        this.#beginTransaction(instanceOfStepTag(tags[0]), seqnum);
        return;
      case RecordKind.commit:
      case RecordKind.abort:
        this.#endTransaction(instanceOfStepTag(tags[0]) as InstanceId);
        return;
      case RecordKind.mode:
        this.#applyMode(seqnum, record, timeMs);
        return;
      case RecordKind.migrated:
        migrate(this, Buffer.from(record.data).toString(), seqnum, this.#records);
        return;
      case RecordKind.gc:
        collect(this, decodeCollection(record.data), timeMs, this.#records);
    }
  }

  /** The step of a function that found the lock taken has no tag of the lock, and changes nothing. */
  #applyLock(seqnum: SeqNum, { kind, tags, data }: NewRecord, timeMs: number): void {
    const [own, tag] = tags;
    const self = instanceOfStepTag(own);
    if (self === undefined || tag === undefined) {
      return;
    }
    this.garbage++;
    if (kind === RecordKind.lock) {
      const { unfinished } = this.instances;
      const { byInstance: transactions } = this.cells.snapshots;
      const isOpen = ({ instance, inTransaction, snapshot }: LockTaking) => {
        const open = transactions.get(instance);
        return inTransaction ? open !== undefined && open === (snapshot ?? open) : unfinished.has(instance);
      };
      this.locks.take(tag, data, { self, seqnum, timeMs, isOpen });
    } else {
      this.locks.give(tag, data, self);
    }
  }

  #beginRoot(seqnum: SeqNum, tags: readonly Tag[], notBeforeMs: number, holder: Holder | undefined): void {
    const resultTags = tags.filter(isResultTag);
    const beginning = {
      caller: undefined,
      resultTags,
      notBeforeMs,
      retained: resultTags.length > 0,
      readsFromFirst: false,
      modeCursor: NO_SEQNUM,
    };
    this.#begin(tags[0], seqnum, beginning, holder);
  }

  #begin(tag: Tag | undefined, seqnum: SeqNum, beginning: Beginning, holder: Holder | undefined): void {
    const id = instanceOfStepTag(tag);
    // Only the record at position 0 begins an instance.
    if (id !== undefined && tag !== undefined && this.streams.get(tag)?.length === 1) {
      // A delayed call is held by nobody: whoever looks when its time has come runs it.
      this.instances.begin(id, seqnum, beginning).holder = beginning.notBeforeMs > 0 ? undefined : holder;
    }
  }

  #pin(instance: Instance): void {
    instance.readsFrom = null;
    this.awaitingResume.add(stepTag(instance.id));
    this.unlogged.delete(instance.first);
    this.cells.snapshots.end(instance.id);
  }

  #resume(instance: Instance, seqnum: SeqNum): void {
    this.awaitingResume.delete(stepTag(instance.id));
    instance.readsFrom = seqnum;
  }

  #beginTransaction(id: InstanceId | undefined, seqnum: SeqNum): void {
    if (id !== undefined && this.instances.unfinished.has(id)) {
      this.cells.snapshots.begin(id, seqnum);
    }
  }

  #endTransaction(id: InstanceId): void {
    this.locks.endTransaction(id);
    this.cells.snapshots.end(id);
  }

  #end(tag: Tag | undefined, seqnum: SeqNum, timeMs: number): void {
    const stream = tag === undefined ? undefined : this.streams.get(tag);
    if (stream !== undefined) {
      stream.closed = true;
    }
    const instance = this.#unfinished(instanceOfStepTag(tag));
    if (tag !== undefined && instance !== undefined) {
      this.instances.end(instance, seqnum, timeMs);
      this.awaitingResume.delete(tag);
      this.locks.end(instance.id);
      this.cells.snapshots.end(instance.id);
      this.unlogged.delete(instance.first);
      this.garbage++;
    }
  }

  #change(id: InstanceId | undefined, change: (instance: Instance) => void): void {
    const instance = this.#unfinished(id);
    if (instance !== undefined) {
      change(instance);
      this.instances.changed(instance);
    }
  }

  #unfinished(id: InstanceId | undefined): Instance | undefined {
    return id === undefined ? undefined : this.instances.unfinished.get(id);
  }
}

/** @param last  of the object's stream */
function newestOf(last: SeqNum, cell: EarlierEntry | undefined): Newest {
  if (cell === undefined) {
    return { home: last === NO_SEQNUM ? "none" : "versions", seqnum: last };
  }
  const { seqnum, role, counter } = cell.version;
  if (last === seqnum && role === 0 && counter === 0) {
    return { home: "both", seqnum: last };
  }
  return last > seqnum ? { home: "versions", seqnum: last } : { home: "cell", seqnum: cell.entry };
}
