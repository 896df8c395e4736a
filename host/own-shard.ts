/** The journal of a node that owns one: opened with all that lies beside it, collected again and again, told of in the metrics. */
import { join } from "node:path";
import { openFileJournal } from "../state/journal/index.ts";
import {
  type Checkpoints,
  DEFAULT_CONTROLLER_OPTIONS,
  type LocalShard,
  openLocalShard,
  RecordKind,
  threadCheckpoints,
} from "../state/logbook/index.ts";
import { decodeObjectValue, objectSize, openFileBlobs } from "../state/objects/index.ts";
import type { Clock, Faults, Random, Timers } from "../state/ports.ts";
import type { ResolvedConfig } from "./config/index.ts";
import type { Log, Metrics } from "./telemetry/index.ts";

/** Something to be closed when the node stops, in the reverse order of its making. */
export type Close = () => Promise<void> | void;

/** What it is made of besides the configuration. */
export interface ShardParts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly faults: Faults;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The journal cannot be trusted any more: the process must end (F12). */
  readonly onFailure: (error: unknown) => void;
}

const NO_VALUE = { kind: "inline", bytes: new Uint8Array(0) } as const;

/**
 * @param closes  gets what is to be closed, also when this rejects
 * @throws JOURNAL_LOCKED, FOLDER_UNUSABLE, JOURNAL_DAMAGED, DISK_FULL
 */
export async function openOwnShard(
  { dataDirectory, retention, checkpoint, protocols }: ResolvedConfig,
  { clock, timers, random, faults, onFailure, log, metrics }: ShardParts,
  closes: Close[],
): Promise<{ shard: LocalShard; journalId: string }> {
  const journal = await openFileJournal({
    directory: join(dataDirectory, "journal"),
    thread: true,
    clock,
    timers,
    random,
    faults,
    onFailure,
  });
  let opened: LocalShard | undefined;
  let checkpoints: Checkpoints | undefined;
  closes.push(async () => {
    if (opened === undefined) {
      await checkpoints?.store.close();
      await journal.close();
    } else {
      await opened.close();
    }
  });
  const blobs = await openFileBlobs({ directory: join(dataDirectory, "blobs"), epoch: journal.epoch, random });
  checkpoints = await threadCheckpoints(journal, join(dataDirectory, "checkpoint"), (error) =>
    log.error("no checkpoint could be made; the journal keeps what it would have held", { error }),
  );
  const shard = await openLocalShard({
    journal,
    blobs,
    objectSizeBytes: (record) => objectSize(decodeObjectValue(record) ?? NO_VALUE),
    clock,
    timers,
    faults,
    checkpoints,
    options: {
      retentionMs: retention.resultsMs,
      checkpointBytes: checkpoint.everyBytes,
      garbageMin: retention.collectMinGarbage,
      modes: {
        ...DEFAULT_CONTROLLER_OPTIONS,
        enabled: protocols.choice === "on",
        dwellMs: protocols.dwellMs,
        crossover: protocols.crossover,
        margin: protocols.margin,
      },
    },
  });
  opened = shard;
  for (const [name, kind] of Object.entries(RecordKind)) {
    const labels = { kind: name };
    metrics.gauge("neap_log_live_records", "Records that are not collected, by kind.", () => shard.live(kind).records, labels);
    metrics.gauge("neap_log_live_bytes", "Bytes of these records in the journal.", () => shard.live(kind).sizeBytes, labels);
  }
  const collect = () => shard.collect().catch((error: unknown) => log.warn("collection was put off", { error }));
  closes.push(repeat(timers, retention.collectIntervalMs, collect));
  return { shard, journalId: journal.id };
}

/** Does the work again and again, each time so long after it was done. @returns ends that */
function repeat(timers: Timers, everyMs: number, work: () => Promise<unknown>): Close {
  let isClosed = false;
  let cancel = () => {};
  const next = () => {
    if (!isClosed) {
      cancel = timers.after(everyMs, () => void work().finally(next));
    }
  };
  next();
  return () => {
    isClosed = true;
    cancel();
  };
}
