/**
 * One opening per data folder.
 *
 * Node has no flock. The system lock that SQLite takes on its database file does the same: it is held by the kernel for the
 * process, so that kill -9 frees it, it works between containers that share the folder, and SQLite itself keeps two openings of
 * one process apart. The database is never written.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { NeapError } from "../errors.ts";
import { isNoRoom } from "./no-room.ts";

const LOCK_FILE = "lock";
const HOLDER_FILE = "lock.pid";
const SQLITE_BUSY = 5;

/**
 * Takes a folder that exists.
 *
 * @returns gives it back
 * @throws JOURNAL_LOCKED  names the folder, and the holder's pid when it is known
 */
export function lockFolder(directory: string): () => void {
  const database = new DatabaseSync(join(directory, LOCK_FILE));
  try {
    database.exec("PRAGMA journal_mode=OFF; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY) {
      throw new NeapError("JOURNAL_LOCKED", `data folder ${directory} is in use by ${holder(directory)}`, { cause: error });
    }
    throw error;
  }
  noteHolder(directory);
  return () => database.close();
}

/** For messages only: a full disk must not keep the host from being started. */
function noteHolder(directory: string): void {
  try {
    writeFileSync(join(directory, HOLDER_FILE), `${process.pid}\n`);
  } catch (error) {
    if (!isNoRoom(error)) {
      throw error;
    }
  }
}

function holder(directory: string): string {
  try {
    const pid = Number.parseInt(readFileSync(join(directory, HOLDER_FILE), "utf8"), 10);
    return pid > 0 ? `process ${pid}` : "another process";
  } catch {
    return "another process";
  }
}
