/**
 * An index from the last checkpoint and the frames after it: what a start does, and what makes the next checkpoint. Both are this
 * one piece of code, so a checkpoint holds what a start would have found (F19).
 */
import { NeapError } from "../../errors.ts";
import type { SeqNum } from "../../ids.ts";
import { JOURNAL_BEGIN, type JournalPosition, type JournalReader } from "../../journal/journal.ts";
import { RecordStore } from "../record-store.ts";
import { ShardIndex } from "../shard-index.ts";
import { loadIndex, saveIndex } from "./index-codec.ts";
import type { Checkpoint, CheckpointStore } from "./store.ts";

/** What an index may keep in memory besides itself. */
export interface IndexRoom {
  readonly recentMaxBytes: number;
  readonly auxMaxBytes: number;
}

const NO_ROOM: IndexRoom = { recentMaxBytes: 0, auxMaxBytes: 0 };

/**
 * @param to  the frames up to here; default all that `journal.frames()` has
 * @param proceed  called again and again; what it throws ends the work
 * @throws JOURNAL_DAMAGED  a frame is bad or missing, or does not hold records; the checkpoint is damaged, or of another journal
 */
export function openIndex(
  journal: JournalReader,
  store: CheckpointStore | undefined,
  room: IndexRoom,
  to?: JournalPosition,
  proceed: () => void = () => {},
): { index: ShardIndex; last: Checkpoint | undefined } {
  const index = new ShardIndex(new RecordStore(journal, room.recentMaxBytes, store), room.auxMaxBytes);
  const last = store?.last();
  if (store !== undefined && last !== undefined) {
    if (last.journalId !== journal.id) {
      throw new NeapError(
        "JOURNAL_DAMAGED",
        `the checkpoint is of journal ${last.journalId}, the journal is ${journal.id}: they do not belong together`,
      );
    }
    load(index, store, last);
    index.store.savedUpTo(last.recordsBefore);
  }
  for (const frame of journal.frames(last?.position ?? JOURNAL_BEGIN, to)) {
    proceed();
    index.replay(frame);
  }
  return { index, last };
}

/**
 * Brings the checkpoint forward to a durable position. It is durable when this returns; the journal is not needed below
 * `releasable`: the checkpoint before this one and the frames after it would still do (F19).
 *
 * @param proceed  as for openIndex
 * @throws JOURNAL_DAMAGED, or what `proceed` throws, or the store when it cannot write; then the checkpoint before still holds
 */
export function takeCheckpoint(
  journal: JournalReader,
  store: CheckpointStore,
  to: JournalPosition,
  proceed?: () => void,
): Checkpoint {
  const { index, last } = openIndex(journal, store, NO_ROOM, to, proceed);
  const checkpoint: Checkpoint = {
    journalId: journal.id,
    position: to,
    recordsBefore: to.address,
    releasable: last?.recordsBefore ?? 0,
    tail: index.tail,
    timeMs: index.timeMs,
    epoch: index.epoch,
  };
  store.save(checkpoint, (writer) => {
    saveIndex(index, (key, value) => {
      proceed?.();
      writer.put(key, value);
    });
    writer.keepRecords((seqnum) => index.store.isHeld(seqnum));
    index.store.visitHeld(last?.recordsBefore ?? 0, (seqnum: SeqNum, address: number, sizeBytes: number) =>
      writer.putRecord(seqnum, journal.read(address, sizeBytes)),
    );
  });
  return checkpoint;
}

function load(index: ShardIndex, store: CheckpointStore, { tail, timeMs, epoch, position }: Checkpoint): void {
  try {
    loadIndex(index, (visit) => store.load(visit));
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw new NeapError("JOURNAL_DAMAGED", `the checkpoint at frame ${position.frame} is malformed: ${cause.message}`, {
        cause,
      });
    }
    throw cause;
  }
  index.tail = tail;
  index.timeMs = timeMs;
  index.epoch = epoch;
}
