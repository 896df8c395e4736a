/** The journal's files for another thread, which reads while the owner writes. */
import { realDisk } from "./disk.ts";
import { JOURNAL_BEGIN, type JournalReader } from "./journal.ts";
import { readFrames } from "./recovery.ts";
import type { Segment } from "./segment.ts";
import { SegmentReader } from "./segment-reader.ts";

/** What another thread needs to read the frames that are durable now. Structured-cloneable. Holds the salts: for no other process. */
export interface JournalFiles {
  readonly directory: string;
  readonly journalId: string;
  readonly segments: readonly Segment[];
}

/** Opens them for reading. Nothing of them may be released before `close`. */
export function openJournalFiles({ directory, journalId, segments }: JournalFiles): JournalReader & { close(): void } {
  const disk = realDisk(directory);
  const reader = new SegmentReader(disk, segments);
  return {
    id: journalId,
    frames: (from, to = JOURNAL_BEGIN) => readFrames(disk, segments, to, from),
    read: (address, sizeBytes) => reader.read(address, sizeBytes),
    close: () => reader.close(),
  };
}
