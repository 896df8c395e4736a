/** A thread that brings the checkpoint forward once, and ends. It reads what is durable only, and writes nothing of the journal. */
import { parentPort, workerData } from "node:worker_threads";
import { type JournalFiles, type JournalPosition, openJournalFiles } from "../../journal/index.ts";
import { openLmdbStore } from "./lmdb-store.ts";
import { takeCheckpoint } from "./saved-index.ts";

export interface CheckpointThreadData {
  readonly files: JournalFiles;
  readonly directory: string;
  readonly to: JournalPosition;
}

const { files, directory, to } = workerData as CheckpointThreadData;
const journal = openJournalFiles(files);
const store = openLmdbStore(directory);
const checkpoint = takeCheckpoint(journal, store, to);
journal.close();
await store.close();
parentPort?.postMessage(checkpoint);
