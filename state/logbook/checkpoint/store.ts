/** Where checkpoints lie: a port, so that the index can be saved to LMDB, or to memory under a test's control. */
import type { SeqNum } from "../../ids.ts";
import type { JournalPosition } from "../../journal/journal.ts";

/** What the last checkpoint says of itself. */
export interface Checkpoint {
  /** Another journal's checkpoint is refused. */
  readonly journalId: string;
  /** It holds the frames before. */
  readonly position: JournalPosition;
  /** Records of streams that lie before this address have their bytes in the checkpoint. */
  readonly recordsBefore: number;
  /** `recordsBefore` of the checkpoint before this one: what the journal has there is not needed any more (F19). */
  readonly releasable: number;
  readonly tail: SeqNum;
  readonly timeMs: number;
  readonly epoch: number;
}

/** The records that a checkpoint has. */
export interface SavedRecords {
  /**
   * The bytes of a record, as they lay in its frame; undefined when it was not saved.
   * @throws JOURNAL_DAMAGED  the bytes are not those that were saved
   */
  record(seqnum: SeqNum): Buffer | undefined;
}

/**
 * Holds one checkpoint: the last that was saved.
 *
 * C1. `save` is one transaction: after a crash all of it is there or nothing.
 * C2. What `save` wrote is durable when it returns; whoever releases a segment comes after (F4, F19).
 */
export interface CheckpointStore extends SavedRecords {
  /** @throws JOURNAL_DAMAGED  it is not what was saved; names the folder */
  last(): Checkpoint | undefined;
  /**
   * Calls `visit` for each entry of the index, in the order of the keys' bytes.
   * @throws JOURNAL_DAMAGED  an entry is missing or not what was saved
   */
  load(visit: (key: Buffer, value: Buffer) => void): void;
  /**
   * Saves a checkpoint in place of the one before. Only what differs from that one is written.
   * @param write  puts every entry of the index, and the records that have no bytes here yet
   */
  save(checkpoint: Checkpoint, write: (to: CheckpointWriter) => void): void;
  /** From now on `record` finds what another thread saved. */
  refresh(): void;
  close(): Promise<void>;
}

export interface CheckpointWriter {
  put(key: Buffer, value: Buffer): void;
  putRecord(seqnum: SeqNum, bytes: Uint8Array): void;
  /** Removes the records that are in no stream any more. */
  keepRecords(isLive: (seqnum: SeqNum) => boolean): void;
}
