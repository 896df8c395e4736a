/** Objects as the outside sees them: whole values, read and written without a function. */

import { invariant, NeapError } from "../errors.ts";
import { type LogBookId, MAX_SEQNUM, objectKey, type SeqNum } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { ListedObject, LogBook, NewRecord, Shard, ShardSource } from "../logbook/logbook.ts";
import { encodeStep, NO_FINGERPRINT } from "../logbook/step-record.ts";
import { Drafts } from "./drafts.ts";
import { decodeObjectValue, encodeObjectValue, INLINE_MAX_BYTES, type ObjectValue, objectSize } from "./object-record.ts";
import { blobPieces, receive } from "./receive.ts";

export interface StoredObject {
  readonly sizeBytes: number;
  readonly seqnum: SeqNum;
  /** The value in chunks of at most BLOB_CHUNK_BYTES. It is held from the first chunk to the last, or until the iterator returns. */
  readonly stream: AsyncIterable<Uint8Array>;
}

/**
 * Every answer waits until what it rests on is durable (F8). All methods throw BAD_KEY for keys that are none, and
 * OWNER_UNAVAILABLE or EPOCH_CHANGED when the owner of the LogBook is gone.
 */
export class ObjectStore {
  readonly #source: ShardSource;
  readonly #ownerTimeoutMs: number;

  /** @param ownerTimeoutMs  how long a request waits for an owner that is out of reach */
  constructor(source: ShardSource, ownerTimeoutMs: number) {
    this.#source = source;
    this.#ownerTimeoutMs = ownerTimeoutMs;
  }

  /**
   * Makes the bytes the newest version of the object; nothing changes unless all of `body` arrived.
   * @throws OBJECT_TOO_LARGE above `maxBytes`; reading of `body` stops there
   */
  async put(
    tenant: LogBookId,
    key: string,
    body: AsyncIterable<Uint8Array>,
    maxBytes: number,
  ): Promise<{ sizeBytes: number; seqnum: SeqNum }> {
    objectKey(key);
    const shard = await this.#shard();
    const drafts = new Drafts(shard.blobs);
    try {
      const value: ObjectValue = await receive(drafts, limited(body, maxBytes), INLINE_MAX_BYTES);
      const seqnum = await this.#append(shard, tenant, {
        kind: RecordKind.write,
        tags: [],
        place: key,
        data: encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, encodeObjectValue(value)),
        ...(value.kind === "blob" && { blobs: [value.ref] }),
      });
      return { sizeBytes: objectSize(value), seqnum };
    } finally {
      drafts.end();
    }
  }

  /** The newest version, or null. */
  async get(tenant: LogBookId, key: string): Promise<StoredObject | null> {
    objectKey(key);
    const shard = await this.#shard();
    const { record } = await shard.book(tenant).readCell(key, MAX_SEQNUM);
    if (record === null) {
      return null;
    }
    await shard.whenDurable(record.seqnum);
    const value = decodeObjectValue(record);
    return value === null ? null : { sizeBytes: objectSize(value), seqnum: record.seqnum, stream: chunksOf(shard, value) };
  }

  /** @returns whether it existed */
  async remove(tenant: LogBookId, key: string): Promise<boolean> {
    if ((await this.get(tenant, key)) === null) {
      return false;
    }
    const data = encodeStep({ fingerprint: NO_FINGERPRINT, pins: null }, new Uint8Array(0));
    await this.#append(await this.#shard(), tenant, { kind: RecordKind.delete, tags: [], place: key, data });
    return true;
  }

  /** Objects with the prefix after `after`, in key order, at most `limit`. */
  async list(tenant: LogBookId, prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    const shard = await this.#shard();
    const { objects, tail } = await shard.book(tenant).listObjects(prefix, after, MAX_SEQNUM, limit);
    await shard.whenDurable(tail);
    return objects;
  }

  async #shard(): Promise<Shard> {
    return this.#source.current() ?? this.#source.available(this.#ownerTimeoutMs);
  }

  async #append(shard: Shard, tenant: LogBookId, record: NewRecord): Promise<SeqNum> {
    const book: LogBook = shard.book(tenant);
    const result = await book.append({ records: [record] });
    invariant(result.kind === "appended", `an unconditional write was answered ${result.kind}`);
    await shard.whenDurable(result.seqnum);
    return result.seqnum;
  }
}

/** @throws OBJECT_TOO_LARGE as soon as it is */
async function* limited(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > maxBytes) {
      throw new NeapError("OBJECT_TOO_LARGE", `the object has more than ${maxBytes} bytes`);
    }
    yield chunk;
  }
}

async function* chunksOf(shard: Shard, value: ObjectValue): AsyncGenerator<Uint8Array> {
  if (value.kind === "inline") {
    yield value.bytes;
  } else {
    yield* blobPieces(shard.blobs, value.ref);
  }
}
