/**
 * Unsafe, the baseline without logs: an operation takes effect as often as it is carried out. A call that is run again writes again,
 * and may read other values than before.
 */
import type { SeqNum } from "../ids.ts";
import { MAX_SEQNUM } from "../ids.ts";
import type { AppendResult, Condition, ListedObject } from "../logbook/logbook.ts";
import type { BlobStore } from "../objects/blobs.ts";
import type { ObjectValue } from "../objects/object-record.ts";
import { objectTag } from "../tags.ts";
import { Fenced } from "./fenced.ts";
import { entryOf } from "./halfmoon-write.ts";
import { latest, readSlice } from "./logged-reads.ts";
import type { ObjectRead, ScopeProtocol, UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";
import type { ObjectTurns } from "./turns.ts";

export class Unsafe implements ScopeProtocol {
  readonly place = "cell";
  readonly #steps: StepStream;
  readonly #blobs: BlobStore;
  readonly #turns: ObjectTurns;

  constructor(steps: StepStream, blobs: BlobStore, turns: ObjectTurns) {
    this.#steps = steps;
    this.#blobs = blobs;
    this.#turns = turns;
  }

  async read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    this.#steps.touch();
    const find = () => latest(this.#steps, key, this.place, MAX_SEQNUM);
    return readSlice(this.#steps, this.#blobs, key, offset, maxBytes, find);
  }

  async write(key: string, value: ObjectValue, _valueCrc: number): Promise<void> {
    await this.#append(key, value, []);
  }

  async update(key: string, version: SeqNum, value: ObjectValue, _valueCrc: number): Promise<UpdateOutcome> {
    const result = await this.#append(key, value, [{ tag: objectTag(key), newest: version }]);
    this.#turns.end(key);
    return result.kind === "appended" ? { kind: "applied", timeMs: result.timeMs } : { kind: "conflict", timeMs: 0 };
  }

  async delete(key: string): Promise<void> {
    await this.#append(key, null, []);
  }

  async list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    this.#steps.touch();
    const { objects, tail } = await this.#steps.book.listObjects(prefix, after, MAX_SEQNUM, limit);
    this.#steps.consulted(tail);
    return objects;
  }

  /** An entry that is above all others of its cell: the last one to come stays. */
  async #append(key: string, value: ObjectValue | null, when: readonly Condition[]): Promise<AppendResult> {
    this.#steps.touch();
    this.#steps.nextMoment();
    const record = { ...entryOf(value), tags: [], cell: { key, version: null }, initialCursor: this.#steps.readsFrom };
    const result = await this.#steps.book.append({ records: [record], when });
    if (result.kind === "stale") {
      throw this.#steps.fence(new Fenced("restart", `the initial cursor is below the floor ${result.floor}`));
    }
    this.#steps.consulted(result.kind === "appended" ? result.seqnum : result.tail);
    return result;
  }
}
