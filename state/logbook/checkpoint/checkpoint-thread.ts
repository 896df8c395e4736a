/** A thread that brings the checkpoint forward once, and ends. It reads what is durable only, and writes nothing of the journal. */
import { parentPort, workerData } from "node:worker_threads";
import { type JournalFiles, type JournalPosition, openJournalFiles } from "../../journal/index.ts";
import { openLmdbStore } from "./lmdb-store.ts";
import { takeCheckpoint } from "./saved-index.ts";

export interface CheckpointThreadData {
  readonly files: JournalFiles;
  readonly directory: string;
  readonly to: JournalPosition;
  /** Shared: 1 when it is not wanted any more. */
  readonly cancelled: Int32Array;
}

const { files, directory, to, cancelled } = workerData as CheckpointThreadData;
const journal = openJournalFiles(files);
const store = openLmdbStore(directory);
try {
  const checkpoint = takeCheckpoint(journal, store, to, () => {
    if (Atomics.load(cancelled, 0) !== 0) {
      throw new Error("the checkpoint is not wanted any more");
    }
  });
  parentPort?.postMessage(checkpoint);
} finally {
  journal.close();
  await store.close();
}
