/**
 * Decides when a checkpoint is made, and releases what it makes superfluous.
 *
 * K1. One at a time, of durable frames only (F19).
 * K2. A segment is released after the checkpoint that replaces it is durable (F4), and after its records are read from there.
 * K3. A checkpoint that fails costs nothing but room: the next one is tried when as many bytes again have come.
 * K4. At a steady load checkpoints are made half of the time at most: between two of them come twice the bytes that came while
 *     the last one was made.
 */
import type { Journal } from "../../journal/journal.ts";
import type { RecordStore } from "../record-store.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { Checkpoint } from "./store.ts";

export class Checkpointer {
  readonly #journal: Journal;
  readonly #checkpoints: Checkpoints;
  readonly #records: Pick<RecordStore, "savedUpTo">;
  readonly #everyBytes: number;
  /** What came while the last one was made. */
  #meanwhileBytes = 0;
  /** The address that the last try was made for. */
  #triedAt: number;
  #running: Promise<void> | undefined;
  #isClosing = false;

  /**
   * @param records  of the index
   * @param last  the checkpoint that the index was opened with
   */
  constructor(
    journal: Journal,
    checkpoints: Checkpoints,
    records: Pick<RecordStore, "savedUpTo">,
    everyBytes: number,
    last: Checkpoint | undefined,
  ) {
    this.#journal = journal;
    this.#checkpoints = checkpoints;
    this.#records = records;
    this.#everyBytes = everyBytes;
    this.#triedAt = last?.position.address ?? 0;
    if (last !== undefined) {
      // A crash may have come between the checkpoint and the release.
      journal.release(last.releasable);
    }
  }

  /** Begins one if enough bytes have become durable since the last. Costs next to nothing otherwise. */
  consider(): void {
    const behindBytes = this.#journal.durable.address - this.#triedAt;
    if (this.#running === undefined && !this.#isClosing && behindBytes >= Math.max(this.#everyBytes, 2 * this.#meanwhileBytes)) {
      this.take().catch((error: unknown) => {
        if (!this.#isClosing) {
          this.#checkpoints.failed(error);
        }
      });
    }
  }

  /**
   * Makes one now, or waits for the one that is being made.
   * Rejects when it could not be made.
   */
  take(): Promise<void> {
    this.#running ??= this.#take().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Gives up the one that is being made, and waits for its end: nobody else may write the store before. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#checkpoints.cancel();
    await this.#running?.catch(() => {});
    await this.#checkpoints.store.close();
  }

  async #take(): Promise<void> {
    const to = this.#journal.durable;
    this.#triedAt = to.address;
    try {
      const { releasable, recordsBefore } = await this.#checkpoints.take(to);
      this.#records.savedUpTo(recordsBefore);
      this.#journal.release(releasable);
    } finally {
      this.#meanwhileBytes = this.#journal.durable.address - to.address;
    }
  }
}
