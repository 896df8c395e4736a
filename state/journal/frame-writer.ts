/** Brings one frame at a time to disk: the port between the journal and whoever makes the blocking calls. */
import type { Faults } from "../ports.ts";
import { inlineAllocator, type SegmentAllocator } from "./allocation.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { FRAME_MAX_BYTES } from "./journal.ts";
import { releaseOldest } from "./release.ts";
import { frameBytes, segmentName } from "./segment.ts";

export interface FrameWriter extends SegmentAllocator {
  /** Where the next frame is laid out, at its start. Not to be touched from `write` until `onWritten`. */
  readonly frame: Buffer;
  /** Writes the first `sizeBytes` of `frame` and flushes them. Only while no write is under way. */
  write(segmentNumber: number, offset: number, sizeBytes: number): void;
  /** Set once by the owner; called when the write under way is durable, never inside `write`. */
  onWritten: () => void;
  /** Somebody waits for the segment that is being made: it comes sooner, and the process stays alive until it was taken. */
  hurry(): void;
  /** Set once by the owner; called when `allocation` has an answer, unless it had it when `allocate` returned. */
  onAllocated: () => void;
  /**
   * Set once by the owner; called when the disk failed, in a write or for a new segment. Nothing is written after that, and
   * `onWritten` is not called any more.
   */
  onFailure: (error: unknown) => void;
  /** Takes the segments with numbers below `before` out of the journal, oldest first, some time later. */
  release(before: number): void;
  /** Only while no write is under way. */
  close(): Promise<void>;
}

export const WRITER_BUFFER_BYTES = frameBytes(FRAME_MAX_BYTES);

/** The segment that is written now. */
export class OpenSegment {
  readonly #disk: Disk;
  #number = -1;
  #file: DiskFile | undefined;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** @returns the file, written and not yet flushed */
  write(segmentNumber: number, offset: number, bytes: Uint8Array): DiskFile {
    if (this.#file === undefined || this.#number !== segmentNumber) {
      this.close();
      this.#file = this.#disk.open(segmentName(segmentNumber));
      this.#number = segmentNumber;
    }
    this.#file.write(offset, bytes);
    return this.#file;
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

/**
 * Makes the blocking calls on the thread of the caller, for tests and simulation.
 *
 * @param defer  runs what it gets later, in order: decides when a frame is written and becomes durable, and when a segment is
 *     made; without it these are microtasks, and segments are made at once
 */
export function inlineWriter(disk: Disk, faults: Faults, defer?: (run: () => void) => void): FrameWriter {
  const segment = new OpenSegment(disk);
  const frame = Buffer.allocUnsafeSlow(WRITER_BUFFER_BYTES);
  const allocator = inlineAllocator(disk);
  const later = defer ?? queueMicrotask;
  let isAllocating = false;
  let isClosed = false;

  /** @returns whether it succeeded; only the disk's failures are the journal's */
  const attempt = (run: () => void): boolean => {
    try {
      run();
      return true;
    } catch (error) {
      writer.onFailure(error);
      return false;
    }
  };

  const writer: FrameWriter = {
    frame,
    onWritten() {},
    onAllocated() {},
    onFailure() {},
    write(segmentNumber, offset, sizeBytes) {
      later(() => {
        let file: DiskFile | undefined;
        if (attempt(() => (file = segment.write(segmentNumber, offset, frame.subarray(0, sizeBytes))))) {
          faults.at("flush:before");
          if (attempt(() => file?.flush())) {
            faults.at("flush:after");
            writer.onWritten();
          }
        }
      });
    },
    allocate(header) {
      if (defer === undefined) {
        attempt(() => allocator.allocate(header));
        return;
      }
      isAllocating = true;
      defer(() => {
        isAllocating = false;
        if (!isClosed && attempt(() => allocator.allocate(header))) {
          writer.onAllocated();
        }
      });
    },
    hurry() {},
    allocation: () => (isAllocating ? "running" : allocator.allocation()),
    release(before) {
      attempt(() => {
        while (releaseOldest(disk, before));
      });
    },
    async close() {
      isClosed = true;
      segment.close();
    },
  };
  return writer;
}
