/** Takes segments out of the journal, oldest first, in steps that fit between two frames. */
import { SPARE_SUFFIX } from "./allocation.ts";
import type { Disk } from "./disk.ts";
import { segmentName, segmentNumber } from "./segment.ts";

/** Released segments that are kept for new ones; the others are deleted. */
export const SPARE_FILES = 2;

/**
 * Takes away the oldest segment if its number is below `before`. That it is gone is durable before this returns, so that a crash
 * never leaves a hole (J5), and before its file is written again.
 *
 * @returns whether there was one
 */
export function releaseOldest(disk: Disk, before: number): boolean {
  const names = disk.list();
  const numbers = names.map(segmentNumber).filter((number) => number !== undefined);
  const oldest = Math.min(...numbers, before);
  if (oldest === before) {
    return false;
  }
  const name = segmentName(oldest);
  if (names.filter((one) => one.endsWith(SPARE_SUFFIX)).length < SPARE_FILES) {
    disk.rename(name, name + SPARE_SUFFIX);
  } else {
    disk.remove(name);
  }
  disk.syncDirectory();
  return true;
}
