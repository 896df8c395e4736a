/**
 * Boki, the symmetric baseline: a read is one step, a write two, around the change of the cell. Here as in BokiFlow the step before a
 * write fixes its version, and the step after it says that it was made.
 */
import type { SeqNum } from "../ids.ts";
import { ownVersion } from "../logbook/cells.ts";
import { RecordKind } from "../logbook/kinds.ts";
import { fingerprint } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import type { ObjectValue } from "../objects/object-record.ts";
import { updateCell, writeCell } from "./halfmoon-write.ts";
import { LoggedReadProtocol } from "./logged-read-protocol.ts";
import type { UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";
import type { ObjectTurns } from "./turns.ts";

const EMPTY = new Uint8Array(0);

export class Boki extends LoggedReadProtocol {
  constructor(steps: StepStream, blobs: BlobStore, turns: ObjectTurns) {
    super(steps, blobs, turns, "cell");
  }

  override write(key: string, value: ObjectValue, valueCrc: number): Promise<void> {
    return this.#write(key, value, valueCrc);
  }

  /** The second step changes the cell itself, under its condition. */
  override async update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome> {
    await this.#note(RecordKind.preWrite, key, valueCrc);
    return updateCell(this.steps, this.turns, { key, version, value, valueCrc, tags: [] });
  }

  override delete(key: string): Promise<void> {
    return this.#write(key, null, 0);
  }

  async #write(key: string, value: ObjectValue | null, valueCrc: number): Promise<void> {
    const version = ownVersion(await this.#note(RecordKind.preWrite, key, valueCrc));
    await writeCell(this.steps, key, version, value);
    await this.#note(RecordKind.postWrite, key, valueCrc);
  }

  async #note(kind: RecordKind, key: string, valueCrc: number): Promise<SeqNum> {
    const { record } = await this.steps.step({ kind, fingerprint: fingerprint(key, valueCrc), payload: EMPTY });
    return record.seqnum;
  }
}
