/** Ends instances by a CANCEL record. */
import type { InstanceId, LogBookId } from "../../state/ids.ts";
import { endsInstance, type LogRecord, type NewRecord, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { encodeStep, NO_FINGERPRINT } from "../../state/logbook/step-record.ts";
import { STEP_TAG_PREFIX, stepTag } from "../../state/tags.ts";
import { CANCELLED, encodeDone, initOf } from "./instance-record.ts";

export type Cancellation =
  /** The record that ended the instance: its CANCEL, of now or before, or the DONE that was first. */
  | { readonly kind: "ended"; readonly end: LogRecord }
  /** Nothing of it is in the log, or not any more. */
  | { readonly kind: "unknown" };

/**
 * Closes the instance's stream at its next position (F31). Idempotent; a DONE that is there already stands. Children that are bound
 * to the instance are cancelled as well, also when that was left undone before (F40). Nothing waits for the disk.
 *
 * @param onEnded  told each instance that has ended, so that what runs here of it is stopped
 */
export async function cancelInstance(
  shard: Shard,
  tenant: LogBookId,
  instance: InstanceId,
  onEnded: (instance: InstanceId) => void,
): Promise<Cancellation> {
  const book = shard.book(tenant);
  const tag = stepTag(instance);
  for (;;) {
    const { records, length } = await book.readStream(tag, 0);
    const end = records.at(-1);
    if (end === undefined) {
      return { kind: "unknown" };
    }
    if (endsInstance(end.kind)) {
      onEnded(instance);
      await cancelBound(shard, tenant, records, onEnded);
      return { kind: "ended", end };
    }
    await book.append({ records: [cancelRecord(instance)], when: [{ tag, length }] });
  }
}

export function cancelRecord(instance: InstanceId): NewRecord {
  const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeDone(CANCELLED));
  return { kind: RecordKind.cancel, tags: [stepTag(instance)], data };
}

/** Cancels the bound children of an instance that has ended, if whoever ended it has left them. */
export async function cancelLeft(
  shard: Shard,
  tenant: LogBookId,
  instance: InstanceId,
  onEnded: (instance: InstanceId) => void,
): Promise<void> {
  const { records } = await shard.book(tenant).readStream(stepTag(instance), 0);
  const end = records.at(-1);
  if (end !== undefined && endsInstance(end.kind)) {
    await cancelBound(shard, tenant, records, onEnded);
  }
}

/** Cancels the children that are bound to an instance with these records and have not ended. */
async function cancelBound(
  shard: Shard,
  tenant: LogBookId,
  records: readonly LogRecord[],
  onEnded: (instance: InstanceId) => void,
): Promise<void> {
  // The first record of a child is an Invoke as well: that by which it was begun itself.
  for (const record of records.slice(1)) {
    if (record.kind === RecordKind.invoke && initOf(record).bound) {
      await cancelInstance(shard, tenant, childOf(record), onEnded);
    }
  }
}

/** The instance that an Invoke or Spawn record begins. */
export function childOf(record: LogRecord): InstanceId {
  return record.tags[1]?.slice(STEP_TAG_PREFIX.length) as InstanceId;
}
