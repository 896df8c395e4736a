/** Where the next frame goes, and how much room is left for it. */
import { invariant } from "../errors.ts";
import type { Clock, Random } from "../ports.ts";
import type { AllocationState, SegmentAllocator } from "./allocation.ts";
import { FRAME_MAX_BYTES } from "./journal.ts";
import {
  EMPTY_FRAME_BYTES,
  encodeSegmentHeader,
  FRAME_HEADER_BYTES,
  frameBytes,
  SEGMENT_HEADER_BYTES,
  type Segment,
} from "./segment.ts";

/** Unused segments to have ready: one is the reserve, so that another is there when the current one is full. */
export const SPARE_SEGMENTS = 2;

/** After the disk was full, so long until it is tried again, unless somebody waits for room. */
const RETRY_MS = 100;

/** The largest payload: two of them fit into a segment, so that the next one has room for one beside what F34 reserves. */
export function maximalPayloadBytes(segmentBytes: number): number {
  return Math.min(FRAME_MAX_BYTES, (segmentBytes - SEGMENT_HEADER_BYTES) / 2 - FRAME_HEADER_BYTES - EMPTY_FRAME_BYTES);
}

export interface Place {
  readonly segment: Segment;
  readonly offset: number;
}

export class SegmentRoom {
  readonly segments: Segment[];
  readonly journalId: string;
  /** The largest payload. */
  readonly maximalBytes: number;
  /** Set once by the owner; called when a segment was made, or could not be as the disk is full. */
  onTried: (isMade: boolean) => void = () => {};
  readonly #segmentBytes: number;
  readonly #random: Random;
  readonly #clock: Clock;
  #current: number;
  #offset: number;
  #ordered: Segment | undefined;
  #retryAt = Number.NEGATIVE_INFINITY;

  /**
   * @param segments  all there are, without a gap
   * @param next  index of the segment and offset in it where the next frame goes
   * @param segmentBytes  size of new segments
   */
  constructor(
    segments: readonly Segment[],
    next: { readonly segment: number; readonly offset: number },
    segmentBytes: number,
    random: Random,
    clock: Clock,
  ) {
    this.segments = [...segments];
    this.journalId = segments[0]?.journalId ?? Buffer.from(random.bytes(16)).toString("hex");
    this.#segmentBytes = segmentBytes;
    this.maximalBytes = maximalPayloadBytes(segmentBytes);
    this.#random = random;
    this.#clock = clock;
    this.#current = next.segment;
    this.#offset = next.offset;
  }

  /**
   * Whether frames with these payloads fit into what is allocated, one after the other, each after one empty frame that may come
   * first. Without `reserved` one whole segment and room for one maximal frame must be left after them (F34).
   */
  fits(payloads: readonly number[], reserved: boolean): boolean {
    let index = this.#current;
    let leftBytes = this.#sizeOf(index) - this.#offset;
    for (const payloadBytes of payloads) {
      const needBytes = frameBytes(payloadBytes) + EMPTY_FRAME_BYTES;
      if (needBytes > leftBytes) {
        index += 1;
        leftBytes = this.#sizeOf(index) - SEGMENT_HEADER_BYTES;
      }
      leftBytes -= needBytes;
      if (leftBytes < 0 || payloadBytes > this.maximalBytes) {
        return false;
      }
    }
    const spares = this.segments.length - 1 - index;
    return reserved || spares > 1 || (spares === 1 && leftBytes >= frameBytes(this.maximalBytes) + EMPTY_FRAME_BYTES);
  }

  /** Takes the room for the next frame; it must fit. */
  take(payloadBytes: number): Place {
    const sizeBytes = frameBytes(payloadBytes);
    if (this.#offset + sizeBytes > this.#sizeOf(this.#current)) {
      this.#current += 1;
      this.#offset = SEGMENT_HEADER_BYTES;
    }
    const segment = this.segments[this.#current];
    invariant(
      segment !== undefined && this.#offset + sizeBytes <= segment.sizeBytes,
      "a frame is ordered only where there is room",
    );
    const place = { segment, offset: this.#offset };
    this.#offset += sizeBytes;
    return place;
  }

  /**
   * Leaves out the segments that lie before the address, but never the current one.
   * @returns the number of the first that is left
   */
  release(before: number): number {
    const end = this.segments.findIndex(({ base, sizeBytes }) => base + sizeBytes > before);
    const count = Math.min(end < 0 ? this.segments.length : end, this.#current);
    this.segments.splice(0, count);
    this.#current -= count;
    return this.segments[0]?.number ?? 0;
  }

  /** Takes segments that were made and orders the next until `spares` unused ones are there. A full disk is tried again later. */
  refill(allocator: SegmentAllocator, spares: number): void {
    let state = this.#take(allocator);
    while (state !== "running" && this.segments.length - 1 - this.#current < spares && this.#clock.monotonic() >= this.#retryAt) {
      state = this.#order(allocator);
      if (state === "none") {
        return;
      }
    }
  }

  /** Orders a segment, however many there are and also when the disk was full just now, unless one is being made. */
  extend(allocator: SegmentAllocator): void {
    if (this.#take(allocator) === "none") {
      this.#order(allocator);
    }
  }

  #order(allocator: SegmentAllocator): AllocationState {
    this.#ordered = this.#draw();
    allocator.allocate(encodeSegmentHeader(this.#ordered));
    return this.#take(allocator);
  }

  #take(allocator: SegmentAllocator): AllocationState {
    const state = allocator.allocation();
    if (state === "done" && this.#ordered !== undefined) {
      this.segments.push(this.#ordered);
      this.onTried(true);
    } else if (state === "full") {
      this.#retryAt = this.#clock.monotonic() + RETRY_MS;
      this.onTried(false);
    }
    return state;
  }

  #draw(): Segment {
    const last = this.segments.at(-1);
    const salt = Buffer.from(this.#random.bytes(8));
    return {
      journalId: this.journalId,
      number: last === undefined ? 0 : last.number + 1,
      base: last === undefined ? 0 : last.base + last.sizeBytes,
      sizeBytes: this.#segmentBytes,
      mark: (salt.readUInt32LE(0) | 1) >>> 0,
      seed: salt.readUInt32LE(4),
    };
  }

  #sizeOf(index: number): number {
    return this.segments[index]?.sizeBytes ?? 0;
  }
}
