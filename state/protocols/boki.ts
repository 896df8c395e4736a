/**
 * Boki, the symmetric baseline: a read is one step, a write two, around the change of the cell. Here as in BokiFlow the step before a
 * write fixes its version, and the step after it says that it was made.
 */
import type { SeqNum } from "../ids.ts";
import { ownVersion } from "../logbook/cells.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import { fingerprint } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import type { ObjectValue } from "../objects/object-record.ts";
import { updateCell, writeCell } from "./halfmoon-write.ts";
import { LoggedReads, loggedList } from "./logged-reads.ts";
import type { ObjectProtocol, ObjectRead, UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";
import type { ObjectTurns } from "./turns.ts";

const EMPTY = new Uint8Array(0);

export class Boki implements ObjectProtocol {
  readonly #steps: StepStream;
  readonly #reads: LoggedReads;
  readonly #turns: ObjectTurns;

  constructor(steps: StepStream, blobs: BlobStore, turns: ObjectTurns) {
    this.#steps = steps;
    this.#reads = new LoggedReads(steps, blobs, false);
    this.#turns = turns;
  }

  read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    return this.#reads.read(key, offset, maxBytes);
  }

  async readForUpdate(key: string, maxBytes: number): Promise<ObjectRead> {
    await this.#turns.take(key);
    return this.#reads.read(key, 0, maxBytes);
  }

  write(key: string, value: ObjectValue, valueCrc: number): Promise<void> {
    return this.#write(key, value, valueCrc);
  }

  /** The second step changes the cell itself, under its condition. */
  async update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome> {
    await this.#note(RecordKind.preWrite, key, valueCrc);
    return updateCell(this.#steps, this.#turns, { key, version, value, valueCrc, tags: [] });
  }

  delete(key: string): Promise<void> {
    return this.#write(key, null, 0);
  }

  list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    return loggedList(this.#steps, prefix, after, limit);
  }

  close(): void {}

  async #write(key: string, value: ObjectValue | null, valueCrc: number): Promise<void> {
    const version = ownVersion(await this.#note(RecordKind.preWrite, key, valueCrc));
    if (!this.#steps.replaying) {
      await writeCell(this.#steps, key, version, value);
    }
    await this.#note(RecordKind.postWrite, key, valueCrc);
  }

  async #note(kind: RecordKind, key: string, valueCrc: number): Promise<SeqNum> {
    const { record } = await this.#steps.step({ kind, fingerprint: fingerprint(key, valueCrc), payload: EMPTY });
    return record.seqnum;
  }
}
