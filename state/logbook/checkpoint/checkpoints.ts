/** Who makes checkpoints: a thread beside the owner, or the owner itself under a test's control. */
import { Worker } from "node:worker_threads";
import type { FileJournal, JournalPosition, JournalReader } from "../../journal/index.ts";
import type { Faults } from "../../ports.ts";
import type { CheckpointThreadData } from "./checkpoint-thread.ts";
import { takeCheckpoint } from "./saved-index.ts";
import type { Checkpoint, CheckpointStore } from "./store.ts";

export interface Checkpoints {
  /** For the owner to read. */
  readonly store: CheckpointStore;
  /**
   * Brings the checkpoint forward to a position that is durable; it is durable when this resolves. One at a time.
   * Rejects when it could not be made: the one before still holds.
   */
  take(to: JournalPosition): Promise<Checkpoint>;
  /** Lets the one that is being made fail soon. */
  cancel(): void;
  /** Told of each one that could not be made; the journal keeps what it would have held. */
  readonly failed: (error: unknown) => void;
}

/** Made at once, by the caller, before `take` returns. */
export function inlineCheckpoints(
  journal: JournalReader,
  store: CheckpointStore,
  faults: Faults,
  failed: (error: unknown) => void,
): Checkpoints {
  return {
    store,
    failed,
    cancel() {},
    async take(to) {
      faults.at("checkpoint:before");
      const checkpoint = takeCheckpoint(journal, store, to);
      faults.at("checkpoint:after");
      return checkpoint;
    },
  };
}

/**
 * Each made by a thread of its own, which reads the journal's files and the last checkpoint itself, and ends.
 *
 * @param directory  of the LMDB environment
 * @throws JOURNAL_DAMAGED
 */
export async function threadCheckpoints(
  journal: FileJournal,
  directory: string,
  failed: (error: unknown) => void,
): Promise<Checkpoints> {
  // Native code, which only the owner of a journal needs.
  const { openLmdbStore } = await import("./lmdb-store.ts");
  const store = openLmdbStore(directory);
  const cancelled = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  return {
    store,
    failed,
    cancel: () => void Atomics.store(cancelled, 0, 1),
    take: (to) =>
      new Promise((resolve, reject) => {
        const thread = new Worker(new URL("./checkpoint-thread.ts", import.meta.url), {
          name: "neap-checkpoint",
          workerData: { files: journal.files(), directory, to, cancelled } satisfies CheckpointThreadData,
        });
        let taken: Checkpoint | undefined;
        thread.once("message", (checkpoint: Checkpoint) => {
          taken = checkpoint;
        });
        thread.once("error", reject);
        thread.once("exit", (code) => {
          if (taken === undefined) {
            reject(new Error(`the checkpoint thread ended with code ${code}`));
          } else {
            store.refresh();
            resolve(taken);
          }
        });
      }),
  };
}
