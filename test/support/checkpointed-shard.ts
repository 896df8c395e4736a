/** A shard on real files with a log thread and checkpoints in LMDB, small enough that much happens in a second. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type LogBookId, MAX_SEQNUM, type Tag } from "../../state/ids.ts";
import { type FileJournal, openFileJournal } from "../../state/journal/index.ts";
import {
  type Checkpoints,
  type LocalShard,
  type LocalShardOptions,
  openLocalShard,
  RecordKind,
  threadCheckpoints,
} from "../../state/logbook/index.ts";
import { openFileBlobs } from "../../state/objects/index.ts";
import { type Clock, noFaults } from "../../state/ports.ts";
import { systemTimers } from "./system-timers.ts";

export const CHECKPOINTED_BOOK = "alice" as LogBookId;
export const SEGMENT_BYTES = 64 * 1024;
const VALUE_BYTES = 1_500;
const OBJECTS = 20;

const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };
const random = { bytes: randomBytes };

export interface CheckpointedShard {
  readonly shard: LocalShard;
  readonly journal: FileJournal;
  put(object: string, value: string): Promise<void>;
  get(object: string): Promise<string | null>;
}

/** The object that a write goes to. */
export const objectOf = (number: number): string => `hot/${number % OBJECTS}`;

const objectTag = (object: string): Tag => `o/${object}` as Tag;

function throwIt(error: unknown): void {
  throw error;
}

export async function openCheckpointed(
  folder: string,
  { clock = systemClock, options = {} }: { clock?: Clock; options?: Partial<LocalShardOptions> } = {},
): Promise<CheckpointedShard> {
  const journal = await openFileJournal({
    directory: join(folder, "journal"),
    segmentBytes: SEGMENT_BYTES,
    thread: true,
    clock,
    timers: systemTimers,
    random,
    faults: noFaults,
    onFailure: throwIt,
  });
  let checkpoints: Checkpoints | undefined;
  try {
    checkpoints = await threadCheckpoints(journal, join(folder, "checkpoint"), throwIt);
    const shard = await openLocalShard({
      journal,
      blobs: await openFileBlobs({ directory: join(folder, "blobs"), epoch: journal.epoch, random }),
      objectSizeBytes: () => 0,
      clock,
      timers: systemTimers,
      faults: noFaults,
      checkpoints,
      options: { recentMaxBytes: 0, garbageMin: 10, checkpointBytes: 2 * SEGMENT_BYTES, ...options },
    });
    const book = shard.book(CHECKPOINTED_BOOK);
    return {
      shard,
      journal,
      async put(object, value) {
        const data = Buffer.from(value.padEnd(VALUE_BYTES));
        await book.append({ records: [{ kind: RecordKind.write, tags: [objectTag(object)], data }] });
      },
      async get(object) {
        const { record } = await book.readPrev(objectTag(object), MAX_SEQNUM);
        return record === null ? null : Buffer.from(record.data).toString().trimEnd();
      },
    };
  } catch (error) {
    await checkpoints?.store.close();
    await journal.close();
    throw error;
  }
}
