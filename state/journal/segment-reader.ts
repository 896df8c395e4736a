/** Reads bytes by address, from files kept open. */
import { invariant } from "../errors.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { type Segment, segmentName } from "./segment.ts";

/** Files kept open; the one used longest ago is closed first. */
const MAX_OPEN_FILES = 64;

export class SegmentReader {
  readonly #disk: Disk;
  readonly #segments: readonly Segment[];
  readonly #files = new Map<number, DiskFile>();

  /** @param segments  may grow at its end and shrink at its beginning */
  constructor(disk: Disk, segments: readonly Segment[]) {
    this.#disk = disk;
    this.#segments = segments;
  }

  read(address: number, sizeBytes: number): Buffer {
    const segment = this.#segments.findLast(({ base }) => base <= address);
    invariant(
      segment !== undefined && address + sizeBytes <= segment.base + segment.sizeBytes,
      `address ${address} and ${sizeBytes} bytes from it lie in one segment`,
    );
    return this.#file(segment.number).read(address - segment.base, sizeBytes);
  }

  close(): void {
    this.forget(Number.POSITIVE_INFINITY);
  }

  /** Closes the files of segments with numbers below `before`. */
  forget(before: number): void {
    for (const [number, file] of this.#files) {
      if (number < before) {
        file.close();
        this.#files.delete(number);
      }
    }
  }

  #file(number: number): DiskFile {
    const file = this.#files.get(number) ?? this.#disk.open(segmentName(number));
    this.#files.delete(number);
    this.#files.set(number, file);
    for (const [oldest, oldestFile] of this.#files) {
      if (this.#files.size <= MAX_OPEN_FILES) {
        break;
      }
      oldestFile.close();
      this.#files.delete(oldest);
    }
    return file;
  }
}
