/**
 * One shared memory that holds all regions of one tenant: where each lies, and the table by which guests find them.
 *
 * Owns: which bytes of the memory belong to which region, the handle table, the memory's growth. Does not own: names, users (tenant-regions.ts).
 *
 * The first page is the handle table: HANDLES_MAX entries of 8 bytes, each one i64: base in the lower half, size in the upper half. The
 * accesses of guests go through it and nowhere else (host/modules/rewriting), and read an entry with one load, so that they never see
 * the base of one region with the size of another (H21).
 *
 * A1. A region lies at one place from its allocation to its end: guests hold no lock while they access it.
 * A2. Regions do not overlap, begin at a page, and none covers the handle table.
 * A3. The bytes of a region are zero when it is allocated, also those that it may yet grow by.
 * A4. The memory never holds more than its maximum, whatever has lain in it before: that bounds what the tenant makes resident.
 */
import { invariant, NeapError } from "../errors.ts";
import { betweenSlices, type Timers } from "../ports.ts";

export const PAGE_BYTES = 65_536;
/** Handle 0 is no region's. */
export const HANDLES_MAX = 1024;
const HEADER_BYTES = PAGE_BYTES;
/** What is cleared in one turn of the event loop (H27). */
const CLEAR_SLICE_BYTES = 1024 * 1024;

/**
 * A memory that guests reach, wherever that is, of one page when it is made. What it does is done in the order in which it was asked for,
 * and before a guest hears of anything that the host says to it later.
 */
export interface ArenaMemory {
  /** By this many pages. @throws RangeError  the system has no memory */
  grow(pages: number): Promise<void>;
  /** Puts a word into the handle table: guests see the old one or the new one. */
  enter(handle: number, word: bigint): void;
  /** Writes zeros. At most CLEAR_SLICE_BYTES. */
  clear(from: number, to: number): Promise<void>;
  /** A copy. Others may write it meanwhile. */
  read(address: number, length: number): Promise<Uint8Array>;
  /** `bytes` may not be changed until it is done. */
  write(address: number, bytes: Uint8Array): Promise<void>;
  /** The i32 at an address, which is a multiple of 4. */
  load(address: number): Promise<number>;
}

interface Place {
  readonly base: number;
  readonly capacityBytes: number;
}

export class Arena {
  readonly memory: ArenaMemory;
  readonly maxBytes: number;
  readonly #timers: Timers;
  /** By handle. */
  readonly #places = new Map<number, Place>();
  /** From here on no byte was ever granted. */
  #usedEnd = HEADER_BYTES;
  #sizeBytes = HEADER_BYTES;

  /**
   * @param createMemory  gets the memory's maximum, its handle table included
   * @param maxBytes  of all regions together, capacities counted; whole pages, at most 2 GiB, so that base + size fits 32 bits
   * @throws RangeError  the system has no memory
   */
  constructor(createMemory: (maxPages: number) => ArenaMemory, maxBytes: number, timers: Timers) {
    invariant(maxBytes % PAGE_BYTES === 0 && maxBytes <= 2 ** 31, `${maxBytes} bytes are no size of an arena`);
    this.maxBytes = maxBytes;
    this.memory = createMemory(1 + maxBytes / PAGE_BYTES);
    this.#timers = timers;
  }

  /** Bytes of the memory, its handle table and growth that is under way included. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Bytes by which `grow` would make the memory longer. */
  growthFor({ base, sizeBytes }: { readonly base: number; readonly sizeBytes: number }): number {
    return Math.max(0, wholePages(base + sizeBytes) - this.sizeBytes);
  }

  /** Where a region of this capacity would lie: the first gap that is large enough; null when there is none, or no handle. */
  room(capacityBytes: number): number | null {
    if (this.#places.size >= HANDLES_MAX - 1) {
      return null;
    }
    const needed = wholePages(capacityBytes);
    let base = HEADER_BYTES;
    for (const place of [...this.#places.values()].sort((left, right) => left.base - right.base)) {
      if (place.base - base >= needed) {
        break;
      }
      base = place.base + place.capacityBytes;
    }
    return base + needed <= HEADER_BYTES + this.maxBytes ? base : null;
  }

  /** Takes the room for a region of size 0, which `resize` makes accessible. `cleared` resolves when its bytes are zero (A3). */
  allocate(base: number, capacityBytes: number): { readonly handle: number; readonly cleared: Promise<void> } {
    let handle = 1;
    while (this.#places.has(handle)) {
      handle += 1;
    }
    invariant(handle < HANDLES_MAX, "there was a handle");
    const place = { base, capacityBytes: wholePages(capacityBytes) };
    this.#places.set(handle, place);
    return { handle, cleared: this.#clear(base, Math.min(base + place.capacityBytes, this.#usedEnd)) };
  }

  /**
   * Makes the first `sizeBytes` bytes of the region's capacity accessible, and the memory long enough; guests see it at once. Nothing
   * happens when the region ends meanwhile. Not while another one is resized.
   * @throws REGIONS_FULL  the system has no memory
   */
  async resize(handle: number, sizeBytes: number): Promise<void> {
    const place = this.#place(handle);
    invariant(sizeBytes <= place.capacityBytes, `${sizeBytes} bytes are over the capacity of ${place.capacityBytes}`);
    const grownBytes = this.growthFor({ base: place.base, sizeBytes });
    if (grownBytes > 0) {
      await this.#grow(grownBytes);
    }
    if (this.#places.get(handle) !== place) {
      return;
    }
    this.#usedEnd = Math.max(this.#usedEnd, place.base + sizeBytes);
    this.#enter(handle, place.base, sizeBytes);
  }

  /** Ends the region: every access by its handle fails from now on. Nobody may hold it open. */
  free(handle: number): void {
    this.#place(handle);
    this.#enter(handle, 0, 0);
    this.#places.delete(handle);
  }

  /** Where a byte of a region lies in the memory. */
  address(handle: number, offset: number): number {
    return this.#place(handle).base + offset;
  }

  async #grow(bytes: number): Promise<void> {
    this.#sizeBytes += bytes;
    try {
      await this.memory.grow(bytes / PAGE_BYTES);
    } catch (cause) {
      this.#sizeBytes -= bytes;
      throw full(cause);
    }
  }

  #place(handle: number): Place {
    const place = this.#places.get(handle);
    invariant(place !== undefined, `handle ${handle} is a region's`);
    return place;
  }

  #enter(handle: number, base: number, sizeBytes: number): void {
    this.memory.enter(handle, (BigInt(sizeBytes) << 32n) | BigInt(base));
  }

  async #clear(from: number, to: number): Promise<void> {
    for (let at = from; at < to; at += CLEAR_SLICE_BYTES) {
      await this.memory.clear(at, Math.min(at + CLEAR_SLICE_BYTES, to));
      await betweenSlices(this.#timers);
    }
  }
}

export function wholePages(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES;
}

/** What is thrown in place of what the engine says when it refuses something for want of memory: REGIONS_FULL. */
export function full(cause: unknown): unknown {
  return cause instanceof RangeError ? new NeapError("REGIONS_FULL", "the system has no memory for regions", { cause }) : cause;
}
