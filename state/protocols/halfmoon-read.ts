/**
 * Halfmoon-read: reads append nothing, a write is one append.
 *
 * A write is a step that carries the object's tag, so the stream of that tag is the object's versions in order. A read takes the
 * last version at or below the attempt's cursor, which is the same for every attempt at this point of the program (S2), so it need
 * not be logged. Source: Halfmoon (SOSP '23), log-free reads; with attempt-unique value names one append replaces two (F7).
 */
import { NO_SEQNUM, type SeqNum } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import { mismatch } from "../logbook/placement.ts";
import { fingerprint } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { decodeObjectValue, encodeObjectValue, type ObjectValue } from "../objects/object-record.ts";
import { objectTag } from "../tags.ts";
import type { ObjectProtocol, ObjectRead, UpdateOutcome } from "./protocol.ts";
import { type Found, sliceOf } from "./slice.ts";
import type { StepStream } from "./step-stream.ts";
import { ObjectTurns } from "./turns.ts";

const EMPTY = new Uint8Array(0);

interface Version extends Found {
  readonly key: string;
  readonly cursor: SeqNum;
}

export class HalfmoonRead implements ObjectProtocol {
  readonly #steps: StepStream;
  readonly #blobs: BlobStore;
  readonly #turns: ObjectTurns;
  /** The version found last, as large objects are read slice by slice. */
  #found: Version | null = null;

  constructor(steps: StepStream, blobs: BlobStore, turns = new ObjectTurns(steps)) {
    this.#steps = steps;
    this.#blobs = blobs;
    this.#turns = turns;
  }

  async read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    this.#steps.touch();
    return sliceOf(await this.#versionAtCursor(key), this.#blobs, offset, maxBytes);
  }

  async readForUpdate(key: string, maxBytes: number): Promise<ObjectRead> {
    await this.#turns.take(key);
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
    const done = await this.#steps.step({
      kind: RecordKind.write,
      fingerprint: fingerprint(`${version} ${key}`, valueCrc),
      payload: encodeObjectValue(value),
      tags: [tag],
      when: [{ tag, last: version }],
      ...(value.kind === "blob" && { blobs: [value.ref] }),
    });
    const { kind, timeMs } = done.record;
    if (kind === RecordKind.conflict) {
      this.#turns.afterConflict(key, readAt);
      return { kind: "conflict", timeMs };
    }
    this.#turns.end(key);
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
    const elsewhere = objects.find(({ home }) => home === "cell");
    if (elsewhere !== undefined) {
      throw mismatch(elsewhere.key, "cell");
    }
    return objects;
  }

  close(): void {
    this.#turns.endAll();
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
      version: record?.seqnum ?? NO_SEQNUM,
      timeMs: record?.timeMs ?? 0,
      value: record === null ? null : decodeObjectValue(record),
    };
    this.#found = version;
    return version;
  }
}
