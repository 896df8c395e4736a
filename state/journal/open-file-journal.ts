/** Opens a folder as a journal: lock, recovery, the epoch, and then the engine. */
import { invariant, NeapError } from "../errors.ts";
import type { Clock, Faults, Random, Timers } from "../ports.ts";
import { inlineAllocator } from "./allocation.ts";
import { type Disk, realDisk } from "./disk.ts";
import { FileJournal } from "./file-journal.ts";
import { inlineWriter, OpenSegment } from "./frame-writer.ts";
import { findTail, listSegments, repairTail } from "./recovery.ts";
import { EMPTY_FRAME_BYTES, encodeFrame } from "./segment.ts";
import { SegmentRoom } from "./segment-room.ts";
import { threadWriter } from "./thread-writer.ts";

export interface FileJournalOptions {
  /** Created when there is none. */
  readonly directory: string;
  /** Instead of the folder; only without a thread. */
  readonly disk?: Disk;
  /**
   * Of new segments: a multiple of 4,096 from 4 KiB to 1 GiB, default 64 MiB. Below 4 MiB the largest payload is a little less than
   * half of it.
   */
  readonly segmentBytes?: number;
  /** true: a log thread makes the blocking calls; false: they are made on this one. */
  readonly thread: boolean;
  /**
   * Without a thread: runs what it gets later, in order, and so decides when frames become durable and segments are made; default:
   * microtasks, and segments at once.
   */
  readonly defer?: (run: () => void) => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly faults: Faults;
  /** Called once, when a write or flush failed. The process must end: nothing becomes durable any more (F12). */
  readonly onFailure: (error: unknown) => void;
}

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024;

/**
 * Opens the journal of a folder, or creates it. The epoch is durable when this resolves (F1), and so is every frame that
 * `frames()` is going to return (F12). Only the last used segment is checked here, the others by `frames()`.
 *
 * @throws JOURNAL_LOCKED  another opening holds the folder
 * @throws FOLDER_UNUSABLE  the folder cannot be made or opened
 * @throws JOURNAL_DAMAGED  names the file and the offset; nothing was changed
 * @throws DISK_FULL  no room for the first segment of a new journal, or for the epoch of one whose reserve is used up
 */
export async function openFileJournal(options: FileJournalOptions): Promise<FileJournal> {
  const { directory, segmentBytes = DEFAULT_SEGMENT_BYTES, thread, faults } = options;
  invariant(options.disk === undefined || !thread, "a log thread works on the real disk");
  invariant(
    segmentBytes % 4096 === 0 && segmentBytes >= 4096 && segmentBytes <= MAX_SEGMENT_BYTES,
    `segmentBytes is ${segmentBytes}, must be a multiple of 4096 from 4096 to ${MAX_SEGMENT_BYTES}`,
  );
  const disk = options.disk ?? realDisk(directory);
  const unlock = disk.lock();
  try {
    const segments = listSegments(disk);
    const tail = findTail(disk, segments);
    repairTail(disk, segments, tail);
    const room = new SegmentRoom(segments, tail, segmentBytes, options.random, options.clock);
    room.refill(inlineAllocator(disk), 1);
    if (!room.fits([0], true)) {
      throw new NeapError("DISK_FULL", `${disk.directory} has no room for a segment of ${segmentBytes} bytes`);
    }
    const epoch = tail.epoch + 1;
    writeEpoch(disk, room, tail.number + 1, epoch);
    const writer = thread ? threadWriter(directory, faults) : inlineWriter(disk, faults, options.defer);
    const { timers, onFailure } = options;
    const recovered = { frame: tail.number, address: (segments[tail.segment]?.base ?? 0) + tail.offset };
    return new FileJournal({ disk, room, writer, timers, unlock, epoch, recovered, onFailure });
  } catch (error) {
    unlock();
    throw error;
  }
}

/** An empty frame before anything is served, so that no two openings ever share an epoch. */
function writeEpoch(disk: Disk, room: SegmentRoom, number: number, epoch: number): void {
  const { segment, offset } = room.take(0);
  const frame = Buffer.alloc(EMPTY_FRAME_BYTES);
  encodeFrame(frame, segment, offset, number, epoch, new Uint8Array(0));
  const file = new OpenSegment(disk);
  try {
    file.write(segment.number, offset, frame).flush();
  } finally {
    file.close();
  }
}
