/** Log-free reads: the objects as they were at a cursor, which is the same in every replay. */
import { NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import type { Condition, ListedObject, LogBook } from "../logbook/logbook.ts";
import { mismatch } from "../logbook/placement.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { decodeObjectValue } from "../objects/object-record.ts";
import type { ObjectRead } from "./protocol.ts";
import { type Found, sliceOf } from "./slice.ts";
import type { StepStream } from "./step-stream.ts";

interface Version extends Found {
  readonly tag: Tag;
  readonly cursor: SeqNum;
}

/** The version of an object at a cursor. @throws TRIMMED when it may have been collected */
export async function readVersion(book: LogBook, tag: Tag, cursor: SeqNum): Promise<Found> {
  const { record } = await book.readPrev(tag, cursor);
  return {
    version: record?.seqnum ?? NO_SEQNUM,
    timeMs: record?.timeMs ?? 0,
    value: record === null ? null : decodeObjectValue(record),
  };
}

export class ObjectVersions {
  readonly #steps: StepStream;
  readonly #blobs: BlobStore;
  /** The version found last, as large objects are read slice by slice. */
  #found: Version | null = null;

  constructor(steps: StepStream, blobs: BlobStore) {
    this.#steps = steps;
    this.#blobs = blobs;
  }

  /** As ObjectProtocol.read, at `cursor`. @throws TRIMMED when it lies below the floor */
  async read(key: string, tag: Tag, cursor: SeqNum, offset: number, maxBytes: number): Promise<ObjectRead> {
    const version = this.#known(key, tag, cursor) ?? (await this.#lookUp(key, tag, cursor));
    const read = await sliceOf(version, this.#blobs, offset, maxBytes);
    // Of a delete neither seqnum nor time is told: it may be collected before a replay, which then finds nothing at all.
    return read.kind === "absent" ? { kind: "absent", version: NO_SEQNUM, timeMs: 0 } : read;
  }

  /**
   * What an append needs that holds only while `version`, read at `cursor`, is the newest one. Of an absent object, which has version
   * 0, that is the delete that hides it, as long as it is kept; only that has to be looked for.
   */
  condition(key: string, tag: Tag, version: SeqNum, cursor: SeqNum): Condition | Promise<Condition> {
    return version !== NO_SEQNUM || this.#steps.replaying ? { tag, last: version } : this.#absence(key, tag, cursor);
  }

  async #absence(key: string, tag: Tag, cursor: SeqNum): Promise<Condition> {
    const found = this.#known(key, tag, cursor) ?? (await this.#lookUp(key, tag, cursor));
    if (found.value !== null || found.version === NO_SEQNUM) {
      return { tag, last: NO_SEQNUM };
    }
    // The delete that was read may have been collected since.
    return { tag, last: (await readVersion(this.#steps.book, tag, cursor)).version };
  }

  /** As ObjectProtocol.list, at `cursor`. @throws TRIMMED when it lies below the floor */
  async list(prefix: string, after: string, cursor: SeqNum, limit: number): Promise<readonly ListedObject[]> {
    this.#steps.touch();
    const pinned = this.#steps.reads.list(prefix, after, limit, cursor);
    if (pinned !== undefined) {
      return pinned;
    }
    const { objects } = await this.#steps.book.listObjects(prefix, after, cursor, limit);
    this.#steps.read({ kind: "list", prefix, after, limit }, cursor);
    // A list consults every create and delete up to the cursor, those that hid an object too (F8).
    this.#steps.consulted(cursor);
    const elsewhere = objects.find(({ home }) => home === "cell");
    if (elsewhere !== undefined) {
      throw mismatch(elsewhere.key, "cell");
    }
    return objects;
  }

  /** The version found last, or the one that the instance has pinned. */
  #known(key: string, tag: Tag, cursor: SeqNum): Found | null {
    this.#steps.touch();
    const found = this.#found;
    return found !== null && found.tag === tag && found.cursor === cursor
      ? found
      : (this.#steps.reads.version(key, cursor) ?? null);
  }

  async #lookUp(key: string, tag: Tag, cursor: SeqNum): Promise<Found> {
    const { version, timeMs, value } = await readVersion(this.#steps.book, tag, cursor);
    this.#found = { tag, cursor, version, timeMs, value };
    this.#steps.consulted(version);
    this.#steps.read({ kind: "version", key }, cursor);
    return this.#found;
  }
}
