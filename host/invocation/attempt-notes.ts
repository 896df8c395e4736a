/** Records about an instance's attempts, outside its step stream. */
import { type InstanceId, type LogBookId, NO_SEQNUM } from "../../state/ids.ts";
import { RecordKind, type Shard } from "../../state/logbook/index.ts";
import { attemptTag } from "../../state/tags.ts";

type NoteKind = typeof RecordKind.attempt | typeof RecordKind.parked | typeof RecordKind.resumed;

/** Durable when it resolves (F27). */
export async function note(shard: Shard, tenant: LogBookId, instance: InstanceId, kind: NoteKind, text: string): Promise<void> {
  const record = { kind, tags: [attemptTag(instance)], data: Buffer.from(text) };
  const result = await shard.book(tenant).append({ records: [record] });
  if (result.kind === "appended") {
    await shard.whenDurable(result.seqnum);
  }
}

/** No more attempts until the instance is resumed; then whoever scans first runs it. Durable when it resolves. */
export async function park(shard: Shard, tenant: LogBookId, instance: InstanceId, reason: string): Promise<void> {
  await note(shard, tenant, instance, RecordKind.parked, reason);
  await shard.release(tenant, instance);
}

/** Why the instance is parked, or null when it is not. What it tells is durable. */
export async function parkReason(shard: Shard, tenant: LogBookId, instance: InstanceId): Promise<string | null> {
  const { records } = await shard.book(tenant).readStream(attemptTag(instance), 0);
  await shard.whenDurable(records.at(-1)?.seqnum ?? NO_SEQNUM);
  // Behind it there may be a PIN, of an attempt at another node that waits.
  const last = records.findLast(({ kind }) => kind === RecordKind.parked || kind === RecordKind.resumed);
  return last?.kind === RecordKind.parked ? Buffer.from(last.data).toString() : null;
}

/** Whether an administrator has let a parked instance go on. */
export async function wasResumed(shard: Shard, tenant: LogBookId, instance: InstanceId): Promise<boolean> {
  const { records } = await shard.book(tenant).readStream(attemptTag(instance), 0);
  return records.some(({ kind }) => kind === RecordKind.resumed);
}
