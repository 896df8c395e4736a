import type { LogBookId, SeqNum, Tag } from "../../state/ids.ts";
import {
  type Checkpoints,
  inlineCheckpoints,
  type LocalShard,
  type LocalShardOptions,
  type NewRecord,
  openLocalShard,
  REQUEST_MAX_RECORDS,
} from "../../state/logbook/index.ts";
import { decodeObjectValue, objectSize } from "../../state/objects/object-record.ts";
import { type Faults, noFaults } from "../../state/ports.ts";
import { ManualTime } from "./manual-time.ts";
import { MemoryBlobs } from "./memory-blobs.ts";
import { MemoryCheckpoints } from "./memory-checkpoints.ts";
import { MemoryJournal } from "./memory-journal.ts";

export const BOOK = "alice" as LogBookId;
export const none = new Uint8Array(0);
export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const tagOf = (value: string): Tag => value as Tag;
export const at = (value: number): SeqNum => value as SeqNum;

export interface TestShard {
  readonly shard: LocalShard;
  readonly journal: MemoryJournal;
  readonly blobs: MemoryBlobs;
  readonly time: ManualTime;
  readonly checkpoints: MemoryCheckpoints;
  /** Kills the owner: what is not durable is lost, and a new owner opens the rest. */
  crash(): Promise<TestShard>;
}

/** A shard over a journal in memory. Unless told otherwise, ended calls go with the first collection. */
export async function openTestShard(
  parts: {
    journal?: MemoryJournal;
    blobs?: MemoryBlobs;
    time?: ManualTime;
    options?: Partial<LocalShardOptions>;
    /** Of this opening only, not of one after a crash. */
    faults?: Faults;
    checkpoints?: MemoryCheckpoints;
    /** Instead of one that saves to `checkpoints`. */
    runner?: Checkpoints;
  } = {},
): Promise<TestShard> {
  const { journal = new MemoryJournal(), blobs = new MemoryBlobs(), time = new ManualTime() } = parts;
  const options = { answerMs: 0, ...parts.options };
  const { checkpoints = new MemoryCheckpoints() } = parts;
  const shard = await openLocalShard({
    journal,
    blobs,
    objectSizeBytes: (record) => {
      const value = decodeObjectValue(record);
      return value === null ? 0 : objectSize(value);
    },
    clock: time,
    timers: time,
    faults: parts.faults ?? noFaults,
    checkpoints: parts.runner ?? inlineCheckpoints(journal, checkpoints, parts.faults ?? noFaults, failTheTest),
    options,
  });
  const crash = () => openTestShard({ journal: journal.crash(), blobs, time, checkpoints: checkpoints.copy(), options });
  return { shard, journal, blobs, time, checkpoints, crash };
}

function failTheTest(error: unknown): void {
  throw error;
}

/** As many records as there are, in appends of what one may hold. */
export async function appendAll({ shard }: TestShard, records: readonly NewRecord[]): Promise<void> {
  for (let from = 0; from < records.length; from += REQUEST_MAX_RECORDS) {
    await shard.book(BOOK).append({ records: records.slice(from, from + REQUEST_MAX_RECORDS) });
  }
}
