/**
 * PIN records (F25): the answers of an instance's log-free reads, logged before a long wait. From then on the instance holds no
 * version back, however long it sleeps or is parked.
 */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import type { InstanceId, LogBookId } from "../../state/ids.ts";
import { type LogBook, type NewRecord, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { type BlobRef, Drafts } from "../../state/objects/index.ts";
import { decodeReads, encodeReads, type MadeRead, type PinnedRead, readVersion } from "../../state/protocols/index.ts";
import { attemptTag, objectTag, stepTag } from "../../state/tags.ts";
import { readPayload, writePayload } from "./instance-record.ts";
import { fromPayload, toPayload } from "./payloads.ts";

/** A record names at most 255 blobs, one of which may be that of the reads themselves. */
const BLOBS_MAX = 254;

export interface Pinned {
  /** Of the newest PIN: the position in the step stream at which RESUME follows. */
  readonly position: number;
  /** Of all PINs. */
  readonly reads: readonly PinnedRead[];
}

/**
 * Logs the answers of `made`, the reads of an attempt that has reached `position`, unless the step stream is longer by now. Reads after
 * the last step are left out: whoever goes on repeats them at the RESUME's cursor. With too many blobs for one record nothing is logged.
 */
export async function pinReads(
  shard: Shard,
  tenant: LogBookId,
  instance: InstanceId,
  position: number,
  made: readonly MadeRead[],
): Promise<void> {
  const book = shard.book(tenant);
  const reads: PinnedRead[] = [];
  const blobs = new Map<string, BlobRef>();
  for (const read of new Map(made.filter((one) => one.position < position).map((one) => [JSON.stringify(one), one])).values()) {
    const answered = await answer(book, read);
    if (answered.kind === "version" && answered.version.value?.kind === "blob") {
      const { ref } = answered.version.value;
      blobs.set(ref.name, ref);
    }
    reads.push(answered);
  }
  if (blobs.size > BLOBS_MAX) {
    return;
  }
  const drafts = new Drafts(shard.blobs);
  try {
    const payload = await toPayload(drafts, encodeReads(reads));
    const record: NewRecord = {
      kind: RecordKind.pin,
      tags: [attemptTag(instance)],
      data: writePayload(new ByteWriter(256).u32(position), payload).take(),
      blobs: payload.kind === "blob" ? [...blobs.values(), payload.ref] : [...blobs.values()],
    };
    await book.append({ records: [record], when: [{ tag: stepTag(instance), length: position }] });
  } finally {
    drafts.end();
  }
}

/** What the PIN records of an instance hold; null when it has none. */
export async function readPins(shard: Shard, tenant: LogBookId, instance: InstanceId): Promise<Pinned | null> {
  const { records } = await shard.book(tenant).readStream(attemptTag(instance), 0);
  let position = 0;
  const reads: PinnedRead[] = [];
  for (const { kind, data } of records) {
    if (kind === RecordKind.pin) {
      const r = new ByteReader(data);
      position = r.u32();
      reads.push(...decodeReads(await fromPayload(shard.blobs, readPayload(r))));
    }
  }
  return position === 0 ? null : { position, reads };
}

async function answer(book: LogBook, { query, cursor }: MadeRead): Promise<PinnedRead> {
  switch (query.kind) {
    case "version":
      return { ...query, cursor, version: await readVersion(book, objectTag(query.key), cursor) };
    case "list":
      return { ...query, cursor, objects: (await book.listObjects(query.prefix, query.after, cursor, query.limit)).objects };
    case "noFunction":
      return { ...query, cursor };
  }
}
