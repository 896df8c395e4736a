export { type Disk, type DiskFile, realDisk } from "./disk.ts";
export { FRAME_MAX_BYTES, type Journal, type JournalFrame } from "./journal.ts";
export { isNoRoom } from "./no-room.ts";
export { type FileJournalOptions, openFileJournal } from "./open-file-journal.ts";
