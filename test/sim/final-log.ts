/** The final log, as the oracle reads it. */
import type { Payload } from "../../host/invocation/instance-record.ts";
import type { BlobName } from "../../state/ids.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import { DEFAULT_MODE, decodeMode, type Mode, scopeOf } from "../../state/logbook/modes.ts";
import { decodeStep } from "../../state/logbook/step-record.ts";
import { decodeObjectValue } from "../../state/objects/index.ts";
import { DEFAULT_MODE_TAG, MODES_TAG, modeTag, NAMES_TAG } from "../../state/tags.ts";
import type { HistoryRecord } from "./log-history.ts";

/** How an instance treats a scope. */
export type Way = Mode | "transitional";

/** The log's streams, by tag, and its objects. */
export class FinalLog {
  readonly records: readonly HistoryRecord[];
  /** Writes under `unsafe` that a replay has found to be its own. */
  readonly taken = new Set<number>();
  /** Reads of what a cell had held before, that a replay has found. */
  readBefore = 0;
  readonly #streams = new Map<string, HistoryRecord[]>();
  readonly #objects = new Map<string, HistoryRecord[]>();
  readonly #blobs: ReadonlyMap<BlobName, Uint8Array>;
  /** Writes of transactions: they stand before the commit that says how many they are. */
  readonly #committed = new Set<number>();

  constructor(records: readonly HistoryRecord[], blobs: ReadonlyMap<BlobName, Uint8Array>) {
    this.records = records;
    this.#blobs = blobs;
    for (const record of records) {
      for (const tag of record.tags) {
        push(this.#streams, tag, record);
      }
      for (const key of objectsOf(record)) {
        push(this.#objects, key, record);
      }
      if (record.kind === RecordKind.commit) {
        const count = Buffer.from(decodeStep(record.data).payload).readUInt32LE(8);
        for (let back = 1; back <= count; back += 1) {
          this.#committed.add(record.seqnum - back);
        }
      }
    }
  }

  tags(prefix: string): string[] {
    return [...this.#streams.keys()].filter((tag) => tag.startsWith(prefix));
  }

  stream(tag: string): readonly HistoryRecord[] {
    return this.#streams.get(tag) ?? [];
  }

  /** Objects that have ever been written. */
  get objects(): readonly string[] {
    return [...this.#objects.keys()];
  }

  /** All writes of an object, in whichever of its places: both have the order of the log. */
  writesOf(key: string): readonly HistoryRecord[] {
    return this.#objects.get(key) ?? [];
  }

  versionAt(key: string, cursor: number): HistoryRecord | undefined {
    return this.writesOf(key).findLast(({ seqnum }) => seqnum <= cursor);
  }

  /** What was the newest write at some moment from `from` up to `to`. */
  versionsBetween(key: string, from: number, to: number): readonly (HistoryRecord | undefined)[] {
    return [this.versionAt(key, from), ...this.writesOf(key).filter(({ seqnum }) => seqnum > from && seqnum <= to)];
  }

  /** Objects that are there, sorted. */
  keysAt(prefix: string, cursor: number): string[] {
    const all = this.objects.filter((key) => key.startsWith(prefix));
    return all.filter((key) => this.text(this.versionAt(key, cursor)) !== null).sort();
  }

  /** The first moment from `from` up to `to` at which there were these objects; undefined when there is none. */
  whenListed(prefix: string, keys: readonly string[], from: number, to: number): number | undefined {
    const changes = this.objects.flatMap((key) => this.writesOf(key).map(({ seqnum }) => seqnum));
    const moments = [from, ...changes.filter((seqnum) => seqnum > from && seqnum <= to).sort((a, b) => a - b)];
    return moments.find((at) => this.keysAt(prefix, at).join("\n") === keys.join("\n"));
  }

  /** Whether it is a write of a transaction. */
  isCommitted({ seqnum }: HistoryRecord): boolean {
    return this.#committed.has(seqnum);
  }

  /** Whether it is a write that `unsafe` made: an entry of a cell that is nobody's step, with a version of its own. */
  isUnsafe(record: HistoryRecord): boolean {
    const { kind, tags, cell } = record;
    const isWrite = kind === RecordKind.write || kind === RecordKind.delete;
    const isEntry = cell !== undefined && cell.version === null && tags.every((tag) => tag === NAMES_TAG);
    return isWrite && isEntry && !this.isCommitted(record);
  }

  /** How an instance with this cursor for modes, of a function with this protocol, treats an object. */
  wayOf(key: string, modeCursor: number, protocol: Mode | null): Way {
    const chosen = this.#modeAt(modeTag(scopeOf(key)), modeCursor);
    if (chosen !== null && chosen.to !== null) {
      return "transitional";
    }
    return chosen?.mode ?? protocol ?? this.#modeAt(DEFAULT_MODE_TAG, modeCursor)?.mode ?? DEFAULT_MODE;
  }

  /** Whether anybody had chosen a mode for anything. */
  hadModes(modeCursor: number): boolean {
    return this.#modeAt(MODES_TAG, modeCursor) !== null;
  }

  #modeAt(tag: string, cursor: number): ReturnType<typeof decodeMode> | null {
    const record = this.stream(tag).findLast(({ seqnum }) => seqnum <= cursor);
    return record === undefined ? null : decodeMode(record.data);
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

/** The objects that a record is a write of. */
export function objectsOf({ tags, cell }: HistoryRecord): readonly string[] {
  const keys = new Set(tags.filter((tag) => tag.startsWith("o/")).map((tag) => tag.slice(2)));
  return [...(cell === undefined ? keys : keys.add(cell.key))];
}

function push(map: Map<string, HistoryRecord[]>, name: string, record: HistoryRecord): void {
  const records = map.get(name) ?? [];
  records.push(record);
  map.set(name, records);
}
