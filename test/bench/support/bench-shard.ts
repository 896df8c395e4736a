/** A shard on the disk that is measured. */
import { join } from "node:path";
import { openFileJournal } from "../../../state/journal/index.ts";
import { type LocalShard, openLocalShard, threadCheckpoints } from "../../../state/logbook/index.ts";
import { openFileBlobs } from "../../../state/objects/index.ts";
import { noFaults } from "../../../state/ports.ts";
import { systemRandom, systemTimers } from "../../support/cluster.ts";

const clock = { now: () => Date.now(), monotonic: () => performance.now() };

function throwIt(error: unknown): void {
  throw error;
}

/** @param options  checkpoints: whether there are any; they are made when asked for only */
export async function openBenchShard(folder: string, options: { checkpoints: boolean }): Promise<{ shard: LocalShard }> {
  const journal = await openFileJournal({
    directory: join(folder, "journal"),
    thread: true,
    clock,
    timers: systemTimers,
    random: systemRandom,
    faults: noFaults,
    onFailure: throwIt,
  });
  const blobs = await openFileBlobs({ directory: join(folder, "blobs"), epoch: journal.epoch, random: systemRandom });
  const parts = { journal, blobs, objectSizeBytes: () => 0, clock, timers: systemTimers, faults: noFaults };
  if (!options.checkpoints) {
    return { shard: await openLocalShard(parts) };
  }
  const checkpoints = await threadCheckpoints(journal, join(folder, "checkpoint"), throwIt);
  return { shard: await openLocalShard({ ...parts, checkpoints, options: { checkpointBytes: Number.POSITIVE_INFINITY } }) };
}
