/** Makes a new segment ahead of its use, in steps short enough to fit between two frames. */
import { invariant } from "../errors.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { isNoRoom } from "./no-room.ts";
import { decodeSegmentHeader, type Segment, segmentName } from "./segment.ts";

/** Bytes that one step writes and flushes: a fraction of a millisecond on a disk that flushes in as much. */
export const ALLOCATION_STEP_BYTES = 256 * 1024;

/** Of segments being made. One that is left over from a crash has never been used. */
export const UNFINISHED_SUFFIX = ".tmp";

/** Of segments that were released and wait to be made into new ones. */
export const SPARE_SUFFIX = ".spare";

const zeros = Buffer.alloc(ALLOCATION_STEP_BYTES);

/**
 * One new segment, of a spare one's file if there is one of its size. It gets its name only when all of it is flushed, and counts
 * only when the folder is flushed too (F12), so a segment that has its name is whole: its own header, and zeros over whatever the
 * file held before (F33).
 */
export class Allocation {
  readonly #disk: Disk;
  readonly #header: Uint8Array;
  readonly #segment: Segment;
  #file: DiskFile | undefined;
  #position = 0;

  constructor(disk: Disk, header: Uint8Array) {
    const segment = decodeSegmentHeader(header);
    invariant(segment !== undefined, "a segment is allocated from a whole header");
    this.#disk = disk;
    this.#header = header;
    this.#segment = segment;
  }

  /**
   * Goes on for ALLOCATION_STEP_BYTES.
   *
   * @returns "more" until the segment is "done", or the disk "full": then nothing of it is left
   * @throws any other failure of the disk
   */
  step(): "more" | "done" | "full" {
    return this.#writeTo(Math.min(this.#position + ALLOCATION_STEP_BYTES, this.#segment.sizeBytes));
  }

  /** All that is left, with one flush: where no frame waits for the disk meanwhile. Answers and throws as `step`. */
  finish(): "done" | "full" {
    return this.#writeTo(this.#segment.sizeBytes) === "full" ? "full" : "done";
  }

  #writeTo(end: number): "more" | "done" | "full" {
    const name = segmentName(this.#segment.number);
    const unfinished = name + UNFINISHED_SUFFIX;
    try {
      this.#file ??= this.#openSpare(unfinished) ?? this.#create(unfinished);
      if (this.#file === undefined) {
        return "full";
      }
      while (this.#position < end) {
        this.#writeNext(this.#file);
      }
      this.#file.flush();
    } catch (error) {
      if (!isNoRoom(error)) {
        throw error;
      }
      if (this.#file !== undefined) {
        this.#file.close();
        this.#disk.remove(unfinished);
      }
      return "full";
    }
    if (this.#position < this.#segment.sizeBytes) {
      return "more";
    }
    this.#file.close();
    this.#disk.rename(unfinished, name);
    this.#disk.syncDirectory();
    return "done";
  }

  #openSpare(unfinished: string): DiskFile | undefined {
    for (const spare of this.#disk.list().filter((name) => name.endsWith(SPARE_SUFFIX))) {
      const file = this.#disk.open(spare);
      if (file.sizeBytes() === this.#segment.sizeBytes) {
        this.#disk.rename(spare, unfinished);
        return file;
      }
      file.close();
      this.#disk.remove(spare);
    }
    return undefined;
  }

  #create(unfinished: string): DiskFile | undefined {
    return this.#disk.freeBytes() < this.#segment.sizeBytes ? undefined : this.#disk.create(unfinished);
  }

  #writeNext(file: DiskFile): void {
    const sizeBytes = Math.min(ALLOCATION_STEP_BYTES, this.#segment.sizeBytes - this.#position);
    file.write(this.#position, zeros.subarray(0, sizeBytes));
    if (this.#position === 0) {
      file.write(0, this.#header);
    }
    this.#position += sizeBytes;
  }
}

/** Where new segments come from. */
export interface SegmentAllocator {
  /** Starts to make the segment with this header, ahead of its use. Only while none is being made. */
  allocate(header: Uint8Array): void;
  /** Takes what became of the segment last asked for: "done" and "full" are answered once, "none" follows them or a failure. */
  allocation(): AllocationState;
}

export type AllocationState = "none" | "running" | "done" | "full";

/** Makes segments at once, on the thread of the caller. `allocate` throws when the disk fails. */
export function inlineAllocator(disk: Disk): SegmentAllocator {
  let state: AllocationState = "none";
  return {
    allocate(header) {
      state = new Allocation(disk, header).finish();
    },
    allocation() {
      const taken = state;
      state = "none";
      return taken;
    },
  };
}
