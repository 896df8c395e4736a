/**
 * Halfmoon-read: reads append nothing, a write is one append.
 *
 * A write is a step that carries the object's tag, so the stream of that tag is the object's versions in order. A read takes the
 * last version at or below the attempt's cursor, which is the same for every attempt at this point of the program (S2), so it need
 * not be logged. Source: Halfmoon (SOSP '23), log-free reads; with attempt-unique value names one append replaces two (F7).
 */
import { NO_SEQNUM, type SeqNum } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { ListedObject, Turn } from "../logbook/logbook.ts";
import { fingerprint } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { decodeObjectValue, encodeObjectValue, type ObjectValue, objectSize } from "../objects/object-record.ts";
import { objectTag } from "../tags.ts";
import type { ObjectProtocol, ObjectRead, UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";

const EMPTY = new Uint8Array(0);

interface Version {
  readonly key: string;
  readonly cursor: SeqNum;
  readonly seqnum: SeqNum;
  readonly timeMs: number;
  readonly value: ObjectValue | null;
}

export class HalfmoonRead implements ObjectProtocol {
  readonly #steps: StepStream;
  readonly #blobs: BlobStore;
  readonly #turns = new Map<string, Turn>();
  /** The version found last, as large objects are read slice by slice. */
  #found: Version | null = null;

  constructor(steps: StepStream, blobs: BlobStore) {
    this.#steps = steps;
    this.#blobs = blobs;
  }

  async read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    this.#steps.touch();
    const version = await this.#versionAtCursor(key);
    if (version.value === null) {
      // Of a delete neither seqnum nor time is told: it may be collected before a replay, which then finds nothing at all.
      return { kind: "absent", version: NO_SEQNUM, timeMs: 0 };
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
    if (!this.#steps.replaying && !this.#turns.has(key)) {
      const turn = await this.#steps.book.turn(objectTag(key));
      this.#turns.set(key, turn);
      this.#steps.refresh(turn.tail);
    }
    return this.read(key, 0, maxBytes);
  }

  async write(key: string, value: ObjectValue, valueCrc: number): Promise<void> {
    await this.#steps.step({
      kind: RecordKind.write,
      fingerprint: fingerprint(key, valueCrc),
      payload: encodeObjectValue(value),
      tags: [objectTag(key)],
      ...(value.kind === "blob" && { blobs: [value.ref] }),
    });
  }

  async update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome> {
    const tag = objectTag(key);
    const readAt = this.#steps.cursor;
    const last = version === NO_SEQNUM ? await this.#deleteOf(key) : version;
    const done = await this.#steps.step({
      kind: RecordKind.write,
      fingerprint: fingerprint(`${version} ${key}`, valueCrc),
      payload: encodeObjectValue(value),
      tags: [tag],
      when: [{ tag, last }],
      ...(value.kind === "blob" && { blobs: [value.ref] }),
    });
    const { kind, timeMs } = done.record;
    if (kind === RecordKind.conflict) {
      this.#afterConflict(key, readAt);
      return { kind: "conflict", timeMs };
    }
    this.#endTurn(key);
    return { kind: "applied", timeMs };
  }

  async delete(key: string): Promise<void> {
    await this.#steps.step({
      kind: RecordKind.delete,
      fingerprint: fingerprint(key, 0),
      payload: EMPTY,
      tags: [objectTag(key)],
    });
  }

  async list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    this.#steps.touch();
    const cursor = this.#steps.cursor;
    const { objects } = await this.#steps.book.listObjects(prefix, after, cursor, limit);
    // A list consults every create and delete up to the cursor, those that hid an object too (F8).
    this.#steps.consulted(cursor);
    return objects;
  }

  close(): void {
    for (const key of [...this.#turns.keys()]) {
      this.#endTurn(key);
    }
  }

  async #versionAtCursor(key: string): Promise<Version> {
    const cursor = this.#steps.cursor;
    const found = this.#found;
    if (found !== null && found.key === key && found.cursor === cursor) {
      return found;
    }
    const { record } = await this.#steps.book.readPrev(objectTag(key), cursor);
    if (record !== null) {
      this.#steps.consulted(record.seqnum);
    }
    const version: Version = {
      key,
      cursor,
      seqnum: record?.seqnum ?? NO_SEQNUM,
      timeMs: record?.timeMs ?? 0,
      value: record === null ? null : decodeObjectValue(record),
    };
    this.#found = version;
    return version;
  }

  /** The seqnum of the delete that hides the object from the cursor; 0 when there is none, or the object is there. */
  async #deleteOf(key: string): Promise<SeqNum> {
    if (this.#steps.replaying) {
      return NO_SEQNUM;
    }
    const { value, seqnum } = await this.#versionAtCursor(key);
    return value === null ? seqnum : NO_SEQNUM;
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
  #afterConflict(key: string, readAt: SeqNum): void {
    const turn = this.#turns.get(key);
    if (turn !== undefined && readAt >= turn.tail) {
      this.#endTurn(key);
    }
  }

  #endTurn(key: string): void {
    this.#turns.get(key)?.end();
    this.#turns.delete(key);
  }
}
