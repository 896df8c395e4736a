/**
 * PIN records (F25): the answers of an instance's log-free reads, logged before a long wait. From then on the instance holds no
 * version back, however long it sleeps or is parked.
 */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import type { InstanceId, LogBookId } from "../../state/ids.ts";
import { newerVersion } from "../../state/logbook/cells.ts";
import { type LogBook, type NewRecord, RecordKind, type Shard } from "../../state/logbook/index.ts";
import { type PinHead, readPinHead, writePinHead } from "../../state/logbook/pin-record.ts";
import { type BlobRef, Drafts } from "../../state/objects/index.ts";
import {
  decodeReads,
  distinct,
  encodeReads,
  lookAt,
  type MadeRead,
  type PinnedRead,
  readVersion,
} from "../../state/protocols/index.ts";
import { attemptTag, objectTag, stepTag } from "../../state/tags.ts";
import { readPayload, writePayload } from "./instance-record.ts";
import { fromPayload, toPayload } from "./payloads.ts";

/** A record names at most 255 blobs, one of which may be that of the reads themselves. */
const BLOBS_MAX = 254;

export interface Pinned extends PinHead {
  /** Of all PINs. */
  readonly reads: readonly PinnedRead[];
}

/**
 * Logs the answers of `made`, the reads of an attempt that has reached `position`, unless the step stream is longer by now. Reads after
 * the last step are left out: whoever goes on repeats them at the RESUME's cursor. Nothing is logged when somebody has written without
 * a step what this attempt has not.
 */
export async function pinReads(
  shard: Shard,
  tenant: LogBookId,
  instance: InstanceId,
  head: PinHead,
  made: readonly MadeRead[],
): Promise<void> {
  const { position } = head;
  const book = shard.book(tenant);
  const drafts = new Drafts(shard.blobs);
  const records: NewRecord[] = [];
  let reads: PinnedRead[] = [];
  let blobs = new Map<string, BlobRef>();
  const gathered = async (): Promise<void> => {
    const payload = await toPayload(drafts, encodeReads(reads));
    records.push({
      kind: RecordKind.pin,
      tags: [attemptTag(instance)],
      data: writePayload(writePinHead(new ByteWriter(256), head), payload).take(),
      blobs: payload.kind === "blob" ? [...blobs.values(), payload.ref] : [...blobs.values()],
    });
    reads = [];
    blobs = new Map();
  };
  try {
    for (const read of distinct(made).filter((one) => one.position < position)) {
      const answered = await answer(book, read);
      if (answered.kind === "version" && answered.version.value?.kind === "blob") {
        const { ref } = answered.version.value;
        blobs.set(ref.name, ref);
      }
      reads.push(answered);
      if (blobs.size === BLOBS_MAX) {
        await gathered();
      }
    }
    if (reads.length > 0 || records.length === 0) {
      await gathered();
    }
    await book.append({ records, when: [{ tag: stepTag(instance), length: position }] });
  } finally {
    drafts.end();
  }
}

/** Of an instance that has got no further than to a RESUME, before `position`: what the PINs before hold is still all it has read. */
export async function pinAgain(shard: Shard, tenant: LogBookId, instance: InstanceId, position: number): Promise<void> {
  const written = (await readPins(shard, tenant, instance))?.written ?? null;
  await pinReads(shard, tenant, instance, { position, written }, []);
}

/** What the PIN records of an instance hold; null when it has none. */
export async function readPins(shard: Shard, tenant: LogBookId, instance: InstanceId): Promise<Pinned | null> {
  const { records } = await shard.book(tenant).readStream(attemptTag(instance), 0);
  let head: PinHead = { position: 0, written: null };
  const reads: PinnedRead[] = [];
  for (const { kind, data } of records) {
    if (kind === RecordKind.pin) {
      const r = new ByteReader(data);
      const { position, written } = readPinHead(r);
      head = { position, written: newerVersion(head.written, written) };
      reads.push(...decodeReads(await fromPayload(shard.blobs, readPayload(r))));
    }
  }
  return head.position === 0 ? null : { ...head, reads };
}

async function answer(book: LogBook, { query, cursor }: MadeRead): Promise<PinnedRead> {
  switch (query.kind) {
    case "version":
      return { ...query, cursor, version: await readVersion(book, objectTag(query.key), cursor) };
    case "list":
      return { ...query, cursor, objects: (await book.listObjects(query.prefix, query.after, cursor, query.limit)).objects };
    case "noFunction":
      return { ...query, cursor };
    case "look":
      return { ...query, cursor, sight: await lookAt(book, query.look, cursor) };
  }
}
