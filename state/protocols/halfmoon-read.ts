/**
 * Halfmoon-read: reads append nothing, a write is one append.
 *
 * A write is a step that carries the object's tag, so the stream of that tag is the object's versions in order. A read takes the
 * last version at or below the attempt's cursor, which is the same for every attempt at this point of the program (S2), so it need
 * not be logged. Source: Halfmoon (SOSP '23), log-free reads; with attempt-unique value names one append replaces two (F7).
 */
import { NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { ListedObject, LogBook, Turn } from "../logbook/logbook.ts";
import { fingerprint } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { decodeObjectValue, encodeObjectValue, type ObjectValue, objectSize } from "../objects/object-record.ts";
import { objectTag } from "../tags.ts";
import type { ObjectProtocol, ObjectRead, UpdateOutcome } from "./protocol.ts";
import type { ReadVersion } from "./read-log.ts";
import type { StepStream } from "./step-stream.ts";

const EMPTY = new Uint8Array(0);

interface Version extends ReadVersion {
  readonly tag: Tag;
  readonly cursor: SeqNum;
}

/** The version of an object at a cursor. @throws TRIMMED when it may have been collected */
export async function readVersion(book: LogBook, tag: Tag, cursor: SeqNum): Promise<ReadVersion> {
  const { record } = await book.readPrev(tag, cursor);
  return {
    seqnum: record?.seqnum ?? NO_SEQNUM,
    timeMs: record?.timeMs ?? 0,
    value: record === null ? null : decodeObjectValue(record),
  };
}

export class HalfmoonRead implements ObjectProtocol {
  readonly #steps: StepStream;
  readonly #blobs: BlobStore;
  readonly #turns = new Map<Tag, Turn>();
  /** The version found last, as large objects are read slice by slice. */
  #found: Version | null = null;
  /** Of the object asked for last: an update follows a read, and the engine need not hash its tag again. */
  #key = "";
  #tag: Tag | null = null;

  constructor(steps: StepStream, blobs: BlobStore) {
    this.#steps = steps;
    this.#blobs = blobs;
  }

  async read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    this.#steps.touch();
    const version = await this.#versionAtCursor(key);
    if (version.value === null) {
      return { kind: "absent", version: version.seqnum, timeMs: version.timeMs };
    }
    return {
      kind: "found",
      sizeBytes: objectSize(version.value),
      version: version.seqnum,
      timeMs: version.timeMs,
      bytes: await this.#slice(version.value, offset, maxBytes),
    };
  }

  async readForUpdate(key: string, maxBytes: number): Promise<ObjectRead> {
    const tag = this.#tagOf(key);
    if (!this.#steps.replaying && !this.#turns.has(tag)) {
      const turn = await this.#steps.book.turn(tag);
      this.#turns.set(tag, turn);
      this.#steps.refresh(turn.tail);
    }
    return await this.read(key, 0, maxBytes);
  }

  async write(key: string, value: ObjectValue, valueCrc: number): Promise<void> {
    await this.#steps.step({
      kind: RecordKind.write,
      fingerprint: fingerprint(key, valueCrc),
      payload: encodeObjectValue(value),
      tags: [this.#tagOf(key)],
      blobs: value.kind === "blob" ? [value.ref] : undefined,
    });
  }

  async update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome> {
    const tag = this.#tagOf(key);
    const readAt = this.#steps.cursor;
    const done = await this.#steps.step({
      kind: RecordKind.write,
      fingerprint: fingerprint(`${version} ${key}`, valueCrc),
      payload: encodeObjectValue(value),
      tags: [tag],
      when: [{ tag, last: version }],
      blobs: value.kind === "blob" ? [value.ref] : undefined,
    });
    const { kind, timeMs } = done.record;
    if (kind === RecordKind.conflict) {
      this.#afterConflict(tag, readAt);
      return { kind: "conflict", timeMs };
    }
    this.#endTurn(tag);
    return { kind: "applied", timeMs };
  }

  async delete(key: string): Promise<void> {
    await this.#steps.step({
      kind: RecordKind.delete,
      fingerprint: fingerprint(key, 0),
      payload: EMPTY,
      tags: [this.#tagOf(key)],
    });
  }

  async list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    this.#steps.touch();
    const cursor = this.#steps.cursor;
    const pinned = this.#steps.reads.list(prefix, after, limit, cursor);
    if (pinned !== undefined) {
      return pinned;
    }
    const { objects } = await this.#steps.book.listObjects(prefix, after, cursor, limit);
    this.#steps.read({ kind: "list", prefix, after, limit });
    // A list consults every create and delete up to the cursor, those that hid an object too (F8).
    this.#steps.consulted(cursor);
    return objects;
  }

  close(): void {
    for (const tag of this.#turns.keys()) {
      this.#endTurn(tag);
    }
  }

  #tagOf(key: string): Tag {
    if (this.#tag === null || this.#key !== key) {
      this.#key = key;
      this.#tag = objectTag(key);
    }
    return this.#tag;
  }

  async #versionAtCursor(key: string): Promise<Version> {
    const tag = this.#tagOf(key);
    const cursor = this.#steps.cursor;
    const found = this.#found;
    if (found !== null && found.tag === tag && found.cursor === cursor) {
      return found;
    }
    const read = this.#steps.reads.version(key, cursor) ?? (await this.#lookUp(key, tag, cursor));
    const version: Version = { tag, cursor, seqnum: read.seqnum, timeMs: read.timeMs, value: read.value };
    this.#found = version;
    return version;
  }

  async #lookUp(key: string, tag: Tag, cursor: SeqNum): Promise<ReadVersion> {
    const version = await readVersion(this.#steps.book, tag, cursor);
    this.#steps.consulted(version.seqnum);
    this.#steps.read({ kind: "version", key });
    return version;
  }

  async #slice(value: ObjectValue, offset: number, maxBytes: number): Promise<Uint8Array> {
    if (maxBytes === 0 || offset >= objectSize(value)) {
      return EMPTY;
    }
    return value.kind === "inline"
      ? value.bytes.subarray(offset, offset + maxBytes)
      : this.#blobs.read(value.ref.name, offset, maxBytes);
  }

  /** A change since the turn began has ended it: queue again. With a read from before it, the turn goes on: read again. */
  #afterConflict(tag: Tag, readAt: SeqNum): void {
    const turn = this.#turns.get(tag);
    if (turn !== undefined && readAt >= turn.tail) {
      this.#endTurn(tag);
    }
  }

  #endTurn(tag: Tag): void {
    this.#turns.get(tag)?.end();
    this.#turns.delete(tag);
  }
}
