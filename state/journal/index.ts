export { type Disk, type DiskFile, realDisk } from "./disk.ts";
export type { FileJournal } from "./file-journal.ts";
export {
  FRAME_MAX_BYTES,
  JOURNAL_BEGIN,
  type Journal,
  type JournalFrame,
  type JournalPosition,
  type JournalReader,
} from "./journal.ts";
export { type JournalFiles, openJournalFiles } from "./journal-files.ts";
export { isNoRoom } from "./no-room.ts";
export { type FileJournalOptions, openFileJournal } from "./open-file-journal.ts";
