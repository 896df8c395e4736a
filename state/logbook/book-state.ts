/**
 * The index of one LogBook: a pure fold over its records, the same at replay and while it runs.
 *
 * B1. `apply` never fails and never decides: what may be ordered was decided before (F19).
 * B2. Collection is part of the fold: a GC record takes effect at its position, by the log before it alone (F4). What it lets go of
 *     on disk is deleted by the owner, once the record is durable.
 */
import { type InstanceId, type LogBookId, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { OBJECT_TAG_PREFIX } from "../tags.ts";
import { decodeCollection } from "./collection.ts";
import { collect } from "./gc.ts";
import { type Holder, type Instance, Instances, instanceOfAttemptTag, instanceOfStepTag } from "./instances.ts";
import { RecordKind } from "./kinds.ts";
import type { NewRecord } from "./logbook.ts";
import { ObjectNames } from "./object-names.ts";
import { Stream } from "./stream.ts";

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
  /** A stream lets go of a record: called once for each stream it was in. */
  drop(seqnum: SeqNum): void;
}

export class BookState {
  readonly id: LogBookId;
  readonly streams = new Map<Tag, Stream>();
  readonly names = new ObjectNames();
  readonly instances = new Instances();
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
        this.superseded.add(tag);
        this.garbage++;
      }
      stream.push(seqnum);
    }
    if (kind !== RecordKind.write) {
      this.#applyKind(seqnum, record, timeMs, holder);
    }
    if (record.initialCursor !== undefined) {
      const instance = this.#unfinished(instanceOfStepTag(tags[0]));
      if (instance !== undefined && instance.initialCursor === NO_SEQNUM) {
        instance.initialCursor = record.initialCursor;
      }
    }
  }

  /** @param base  records collected from it */
  addStream(tag: Tag, base = 0): Stream {
    const stream = new Stream();
    stream.base = base;
    this.streams.set(tag, stream);
    if (isObjectTag(tag)) {
      this.names.add(tag.slice(OBJECT_TAG_PREFIX.length));
    }
    return stream;
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
        this.#begin(tags[0], seqnum, undefined, tags, holder);
        return;
      case RecordKind.invoke:
        this.#begin(tags[1], seqnum, this.#unfinished(instanceOfStepTag(tags[0])), [], holder);
        return;
      case RecordKind.done:
        this.#end(tags[0], seqnum, timeMs);
        return;
      case RecordKind.attempt:
      case RecordKind.parked:
      case RecordKind.resumed:
        this.#applyAttempt(kind, this.#unfinished(instanceOfAttemptTag(tags[0])));
        return;
      case RecordKind.gc:
        collect(this, decodeCollection(record.data), timeMs, this.#records);
    }
  }

  #begin(
    tag: Tag | undefined,
    seqnum: SeqNum,
    caller: Instance | undefined,
    tags: readonly Tag[],
    holder: Holder | undefined,
  ): void {
    const id = instanceOfStepTag(tag);
    // Only the record at position 0 begins an instance.
    if (id !== undefined && tag !== undefined && this.streams.get(tag)?.length === 1) {
      this.instances.begin(id, seqnum, caller, tags).holder = holder;
    }
  }

  #end(tag: Tag | undefined, seqnum: SeqNum, timeMs: number): void {
    const stream = tag === undefined ? undefined : this.streams.get(tag);
    if (stream !== undefined) {
      stream.closed = true;
    }
    const instance = this.#unfinished(instanceOfStepTag(tag));
    if (instance !== undefined) {
      this.instances.end(instance, seqnum, timeMs);
      this.garbage++;
    }
  }

  #applyAttempt(kind: RecordKind, instance: Instance | undefined): void {
    if (instance === undefined) {
      return;
    }
    if (kind === RecordKind.attempt) {
      instance.attempts++;
    } else {
      instance.parked = kind === RecordKind.parked;
      instance.attempts = instance.parked ? instance.attempts : 0;
    }
  }

  #unfinished(id: InstanceId | undefined): Instance | undefined {
    return id === undefined ? undefined : this.instances.unfinished.get(id);
  }
}

function isObjectTag(tag: Tag): boolean {
  return tag.charCodeAt(0) === 111 && tag.charCodeAt(1) === 47;
}
