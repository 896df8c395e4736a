/**
 * Halfmoon-read: reads append nothing, a write is one append.
 *
 * A write is a step that carries the object's tag, so the stream of that tag is the object's versions in order. A read takes the
 * last version at or below the attempt's cursor, which is the same for every attempt at this point of the program (S2), so it need
 * not be logged. Source: Halfmoon (SOSP '23), log-free reads; with attempt-unique value names one append replaces two (F7).
 */
import type { SeqNum } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { ListedObject, Turn } from "../logbook/logbook.ts";
import { fingerprint } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { encodeObjectValue, type ObjectValue } from "../objects/object-record.ts";
import { objectTag } from "../tags.ts";
import { ObjectVersions } from "./object-versions.ts";
import type { ObjectProtocol, ObjectRead, UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";

const EMPTY = new Uint8Array(0);

export class HalfmoonRead implements ObjectProtocol {
  readonly #steps: StepStream;
  readonly #versions: ObjectVersions;
  readonly #turns = new Map<string, Turn>();

  constructor(steps: StepStream, blobs: BlobStore) {
    this.#steps = steps;
    this.#versions = new ObjectVersions(steps, blobs);
  }

  read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    return this.#versions.read(key, this.#steps.cursor, offset, maxBytes);
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

  list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    return this.#versions.list(prefix, after, this.#steps.cursor, limit);
  }

  close(): void {
    for (const key of [...this.#turns.keys()]) {
      this.#endTurn(key);
    }
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
