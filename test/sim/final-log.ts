/** The final log, as the oracle reads it. */
import type { Payload } from "../../host/invocation/instance-record.ts";
import type { BlobName } from "../../state/ids.ts";
import { decodeObjectValue } from "../../state/objects/index.ts";
import type { HistoryRecord } from "./log-history.ts";

/** The log's streams, by tag. */
export class FinalLog {
  readonly records: readonly HistoryRecord[];
  readonly #streams = new Map<string, HistoryRecord[]>();
  readonly #blobs: ReadonlyMap<BlobName, Uint8Array>;

  constructor(records: readonly HistoryRecord[], blobs: ReadonlyMap<BlobName, Uint8Array>) {
    this.records = records;
    this.#blobs = blobs;
    for (const record of records) {
      for (const tag of record.tags) {
        const stream = this.#streams.get(tag) ?? [];
        stream.push(record);
        this.#streams.set(tag, stream);
      }
    }
  }

  tags(prefix: string): string[] {
    return [...this.#streams.keys()].filter((tag) => tag.startsWith(prefix));
  }

  stream(tag: string): readonly HistoryRecord[] {
    return this.#streams.get(tag) ?? [];
  }

  versionAt(key: string, cursor: number): HistoryRecord | undefined {
    return this.stream(`o/${key}`).findLast(({ seqnum }) => seqnum <= cursor);
  }

  /** Objects that are there, sorted. */
  keysAt(prefix: string, cursor: number): string[] {
    const all = this.tags(`o/${prefix}`).map((tag) => tag.slice(2));
    return all.filter((key) => this.text(this.versionAt(key, cursor)) !== null).sort();
  }

  /** null for a delete and for nothing. */
  text(record: HistoryRecord | undefined): string | null {
    const value = record === undefined ? null : decodeObjectValue(record);
    return value === null ? null : this.bytes(value).toString();
  }

  bytes(payload: Payload): Buffer {
    const bytes = payload.kind === "inline" ? payload.bytes : this.#blobs.get(payload.ref.name);
    if (bytes === undefined) {
      throw new Error("F6: a record names a blob that never was");
    }
    return Buffer.from(bytes);
  }
}
