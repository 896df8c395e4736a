/**
 * The file of an LMDB environment, looked at without LMDB, which maps it: reading beyond its end kills the process.
 *
 * A file may be whole and yet shorter than it says of itself: pages that a transaction takes at the end and gives back before its
 * commit are counted and not written. Nothing refers to them, so whether a short file is whole shows when all of it is read.
 */
import { spawnSync } from "node:child_process";
import { closeSync, fstatSync, openSync, readSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hasCode } from "../../errors.ts";

const DATA_FILE = "data.mdb";
const READER = fileURLToPath(new URL("./lmdb-reader.ts", import.meta.url));
const PAGE_BYTES = 4_096;
const MAGIC = 0xbeefc0de;
/** In each of the first two pages. */
const META = { magic: 24, lastPage: 144, transaction: 152 } as const;

interface Length {
  readonly sizeBytes: number;
  /** What it says of itself. */
  readonly saysBytes: number;
}

/**
 * Makes a folder's file as long as it says of itself. One that is shorter is read as a whole before, by a process of its own.
 * @throws JOURNAL_DAMAGED  it is something else, or bytes are missing; made by `damage`
 */
export function checkWhole(directory: string, damage: (what: string) => Error): void {
  const length = lengthOf(directory, damage);
  if (length !== null && length.sizeBytes < length.saysBytes) {
    const { status, error } = spawnSync(process.execPath, [READER, directory], { stdio: "ignore" });
    if (error !== undefined) {
      throw error;
    }
    if (status !== 0) {
      throw damage(`${DATA_FILE} has ${length.sizeBytes} bytes instead of ${length.saysBytes}`);
    }
    truncateSync(join(directory, DATA_FILE), length.saysBytes);
  }
}

/** Behind a commit: makes the file as long as it says, so that it need not be read as a whole. If that fails, it will be. */
export function fillUp(directory: string): void {
  try {
    const length = lengthOf(directory, (what) => new Error(what));
    if (length !== null && length.sizeBytes < length.saysBytes) {
      truncateSync(join(directory, DATA_FILE), length.saysBytes);
    }
  } catch {}
}

/** Null for a file that is not there, or empty. */
function lengthOf(directory: string, damage: (what: string) => Error): Length | null {
  let file: number;
  try {
    file = openSync(join(directory, DATA_FILE), "r");
  } catch (error) {
    if (hasCode(error, "ENOENT")) {
      return null;
    }
    throw error;
  }
  try {
    const head = Buffer.alloc(2 * PAGE_BYTES);
    const { size } = fstatSync(file);
    if (size === 0) {
      return null;
    }
    readSync(file, head, 0, head.length, 0);
    const metas = [0, PAGE_BYTES]
      .map((page) => head.subarray(page, page + PAGE_BYTES))
      .filter((page) => page.readUInt32LE(META.magic) === MAGIC)
      .map((page) => ({
        pages: Number(page.readBigUInt64LE(META.lastPage)) + 1,
        transaction: page.readBigUInt64LE(META.transaction),
      }))
      .sort((a, b) => Number(b.transaction - a.transaction));
    const newest = metas[0];
    if (newest === undefined) {
      throw damage(`${DATA_FILE} is not an LMDB file`);
    }
    return { sizeBytes: size, saysBytes: newest.pages * PAGE_BYTES };
  } finally {
    closeSync(file);
  }
}
