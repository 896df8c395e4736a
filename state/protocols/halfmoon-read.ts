/**
 * Halfmoon-read: reads append nothing, a write is one append.
 *
 * A write is a step that carries the object's tag, so the stream of that tag is the object's versions in order. A read takes the
 * last version at or below the attempt's cursor, which is the same for every attempt at this point of the program (S2), so it need
 * not be logged. Source: Halfmoon (SOSP '23), log-free reads; with attempt-unique value names one append replaces two (F7).
 */
import type { SeqNum, Tag } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import { fingerprint } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { encodeObjectValue, type ObjectValue } from "../objects/object-record.ts";
import { objectTag } from "../tags.ts";
import { ObjectVersions } from "./object-versions.ts";
import type { ObjectRead, ScopeProtocol, UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";
import type { ObjectTurns } from "./turns.ts";

const EMPTY = new Uint8Array(0);

export class HalfmoonRead implements ScopeProtocol {
  readonly place = "versions";
  readonly #steps: StepStream;
  readonly #versions: ObjectVersions;
  readonly #turns: ObjectTurns;
  /** Of the object asked for last: an update follows a read, and the engine need not hash its tag again. */
  #key = "";
  #tag: Tag | null = null;

  constructor(steps: StepStream, blobs: BlobStore, turns: ObjectTurns) {
    this.#steps = steps;
    this.#versions = new ObjectVersions(steps, blobs);
    this.#turns = turns;
  }

  read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    return this.#versions.read(key, this.#tagOf(key), this.#steps.cursor, offset, maxBytes);
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
      when: [await this.#versions.condition(key, tag, version, readAt)],
      blobs: value.kind === "blob" ? [value.ref] : undefined,
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
      tags: [this.#tagOf(key)],
    });
  }

  list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    return this.#versions.list(prefix, after, this.#steps.cursor, limit);
  }

  #tagOf(key: string): Tag {
    if (this.#tag === null || this.#key !== key) {
      this.#key = key;
      this.#tag = objectTag(key);
    }
    return this.#tag;
  }
}
