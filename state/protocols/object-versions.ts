/** Log-free reads: the objects as they were at a cursor, which is the same in every replay. */
import { NO_SEQNUM, type SeqNum } from "../ids.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { decodeObjectValue, type ObjectValue, objectSize } from "../objects/object-record.ts";
import { objectTag } from "../tags.ts";
import type { ObjectRead } from "./protocol.ts";
import type { StepStream } from "./step-stream.ts";

const EMPTY = new Uint8Array(0);

interface Version {
  readonly key: string;
  readonly cursor: SeqNum;
  readonly seqnum: SeqNum;
  readonly timeMs: number;
  readonly value: ObjectValue | null;
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
  async read(key: string, cursor: SeqNum, offset: number, maxBytes: number): Promise<ObjectRead> {
    const { value, seqnum, timeMs } = await this.#version(key, cursor);
    return value === null
      ? { kind: "absent", version: seqnum, timeMs }
      : {
          kind: "found",
          sizeBytes: objectSize(value),
          version: seqnum,
          timeMs,
          bytes: await this.slice(value, offset, maxBytes),
        };
  }

  /** As ObjectProtocol.list, at `cursor`. @throws TRIMMED when it lies below the floor */
  async list(prefix: string, after: string, cursor: SeqNum, limit: number): Promise<readonly ListedObject[]> {
    this.#steps.touch();
    const { objects } = await this.#steps.book.listObjects(prefix, after, cursor, limit);
    // A list consults every create and delete up to the cursor, those that hid an object too (F8).
    this.#steps.consulted(cursor);
    return objects;
  }

  async slice(value: ObjectValue, offset: number, maxBytes: number): Promise<Uint8Array> {
    if (maxBytes === 0 || offset >= objectSize(value)) {
      return EMPTY;
    }
    return value.kind === "inline"
      ? value.bytes.subarray(offset, offset + maxBytes)
      : this.#blobs.read(value.ref.name, offset, maxBytes);
  }

  async #version(key: string, cursor: SeqNum): Promise<Version> {
    this.#steps.touch();
    const found = this.#found;
    if (found !== null && found.key === key && found.cursor === cursor) {
      return found;
    }
    const { record } = await this.#steps.book.readPrev(objectTag(key), cursor);
    if (record !== null) {
      this.#steps.consulted(record.seqnum);
    }
    const version: Version = {
      key,
      cursor,
      seqnum: record?.seqnum ?? NO_SEQNUM,
      timeMs: record?.timeMs ?? 0,
      value: record === null ? null : decodeObjectValue(record),
    };
    this.#found = version;
    return version;
  }
}
