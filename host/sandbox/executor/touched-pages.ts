/**
 * Which pages of a memory anything was ever written to. All others are zero, and need not be looked at: that alone costs a page fault each,
 * 15 to 20 ms for 64 MiB that nobody has touched.
 *
 * The kernel says so in /proc/self/pagemap, by address (https://docs.kernel.org/admin-guide/mm/pagemap.html); the address of a buffer is told by
 * node:ffi, of which nothing else is used. A system without the one, or a process that may not use the other, knows nothing.
 * See docs/decisions/0044-touched-pages.md.
 */
import { openSync, readSync } from "node:fs";

/** What the kernel speaks of; checked by `trustworthy`. */
const PAGE_BYTES = 4096;
const ENTRY_BYTES = 8;
/** Of an entry's upper half: the page is in memory, or swapped out. */
const TOUCHED_SHIFT = 30;
/** Of a smaller memory every page is looked at as fast. */
const MIN_BYTES = 1024 * 1024;

/** False: the page, of 4 KiB, is zero. */
export type TouchedPages = (page: number) => boolean;

type ReadMap = (memory: Uint8Array) => TouchedPages;

/** Of this thread. */
let readMap: ReadMap | null | undefined;

/** Null: it is not known, or not worth asking. */
export function touchedPages(memory: Uint8Array): TouchedPages | null {
  if (memory.byteLength < MIN_BYTES) {
    return null;
  }
  if (readMap === undefined) {
    readMap = openMap();
    readMap = readMap !== null && trustworthy(readMap) ? readMap : null;
  }
  try {
    return readMap?.(memory) ?? null;
  } catch {
    return null;
  }
}

/** What the memory takes up, as far as it is known: at least as much. */
export function touchedBytes(memory: Uint8Array): number {
  const isTouched = touchedPages(memory);
  if (isTouched === null) {
    return memory.byteLength;
  }
  let count = 0;
  for (let page = 0; page < memory.byteLength / PAGE_BYTES; page++) {
    count += isTouched(page) ? 1 : 0;
  }
  return count * PAGE_BYTES;
}

function openMap(): ReadMap | null {
  try {
    const addressOf = addresses();
    const file = openSync("/proc/self/pagemap", "r");
    return (memory) => {
      const halves = new Uint32Array((memory.byteLength / PAGE_BYTES) * (ENTRY_BYTES / 4));
      const firstPage = Number(addressOf(memory) / BigInt(PAGE_BYTES));
      const readBytes = readSync(file, halves, 0, halves.byteLength, firstPage * ENTRY_BYTES);
      if (readBytes < halves.byteLength) {
        throw new RangeError(`the kernel tells of ${readBytes / ENTRY_BYTES} pages`);
      }
      return (page) => (halves[2 * page + 1] ?? 0) >>> TOUCHED_SHIFT !== 0;
    };
  } catch {
    return null;
  }
}

/** @throws Error  the process may not know */
function addresses(): (memory: Uint8Array) => bigint {
  const { emitWarning } = process;
  // What is experimental would be told in the log of every worker.
  process.emitWarning = () => {};
  try {
    const { getRawPointer } = process.getBuiltinModule("node:ffi") as { getRawPointer(memory: Uint8Array): bigint };
    return getRawPointer;
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Whether a memory whose pages are known is described as it is. The kernel may touch more than was asked for, but neither less nor all. */
function trustworthy(read: ReadMap): boolean {
  const memory = new Uint8Array(new WebAssembly.Memory({ initial: 16, maximum: 16 }).buffer);
  const written = [0, 1, 50, 51, 127, 200, 255];
  for (const page of written) {
    memory[page * PAGE_BYTES + page] = 1;
  }
  try {
    const isTouched = read(memory);
    const pages = Array.from({ length: memory.byteLength / PAGE_BYTES }, (_, page) => page);
    return written.every(isTouched) && !pages.every(isTouched);
  } catch {
    return false;
  }
}
