/**
 * The protocol of instances that began while their scope was being switched: they meet some that write versions only, or cells only.
 *
 * A write is one step that is a version and the cell's latest value at once, so the two places agree on it and on its order. A read is
 * a step: it takes the newer of what the two places have. What the other instances have written to one place only is brought to the
 * other one by the switch itself, before it ends (state/logbook/migration.ts).
 */
import type { SeqNum } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import { fingerprint } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { encodeObjectValue, type ObjectValue } from "../objects/object-record.ts";
import { objectTag } from "../tags.ts";
import { updateCell } from "./halfmoon-write.ts";
import { LoggedReadProtocol } from "./logged-read-protocol.ts";
import type { UpdateOutcome } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";
import type { ObjectTurns } from "./turns.ts";

export class Transitional extends LoggedReadProtocol {
  constructor(steps: StepStream, blobs: BlobStore, turns: ObjectTurns) {
    super(steps, blobs, turns, "both");
  }

  override async write(key: string, value: ObjectValue, valueCrc: number): Promise<void> {
    await this.steps.step({
      kind: RecordKind.write,
      fingerprint: fingerprint(key, valueCrc),
      payload: encodeObjectValue(value),
      tags: [objectTag(key)],
      cell: key,
      ...(value.kind === "blob" && { blobs: [value.ref] }),
    });
  }

  override update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome> {
    return updateCell(this.steps, this.turns, { key, version, value, valueCrc, tags: [objectTag(key)] });
  }

  override async delete(key: string): Promise<void> {
    await this.steps.step({
      kind: RecordKind.delete,
      fingerprint: fingerprint(key, 0),
      payload: new Uint8Array(0),
      tags: [objectTag(key)],
      cell: key,
    });
  }
}
