/**
 * The `file` engine: a journal in segment files of one folder.
 *
 * Owns: the order of frames, the empty ones between them, and the end after a failure. Does not own: their layout (`segment.ts`),
 * where they go (`segment-room.ts`), blocking calls (`frame-writer.ts`), the opening (`open-file-journal.ts`).
 *
 * E1. While an empty frame is written the journal is still idle for its owner; a frame that comes meanwhile follows it, so at most
 *     one is in flight (J3).
 * E2. Between two frames of the owner there is at most one empty frame, so what `hasRoom` promised holds for the next ones.
 */
import { invariant } from "../errors.ts";
import type { Timers } from "../ports.ts";
import type { Disk } from "./disk.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { Journal, JournalFrame, JournalPosition } from "./journal.ts";
import type { JournalFiles } from "./journal-files.ts";
import { readFrames } from "./recovery.ts";
import { encodeFrame, FRAME_HEADER_BYTES } from "./segment.ts";
import { SegmentReader } from "./segment-reader.ts";
import { type Place, type SegmentRoom, SPARE_SEGMENTS } from "./segment-room.ts";

/** So long after a frame without another one an empty frame follows (F33). */
const IDLE_MS = 10;
const NOTHING = new Uint8Array(0);

export interface OpenedJournal {
  readonly disk: Disk;
  readonly room: SegmentRoom;
  readonly writer: FrameWriter;
  readonly timers: Timers;
  readonly unlock: () => void;
  readonly epoch: number;
  /** After the last frame of earlier openings. */
  readonly recovered: JournalPosition;
  readonly onFailure: (error: unknown) => void;
}

export class FileJournal implements Journal {
  readonly epoch: number;
  onDurable: () => void = () => {};
  readonly #opened: OpenedJournal;
  readonly #reader: SegmentReader;
  /** Of the frame that was ordered last. */
  #number: number;
  /** Address of the byte after it. */
  #end: number;
  #durableNumber: number;
  #durableEnd: number;
  #state: "open" | "closing" | "failed" | "closed" = "open";
  #inFlight: "nothing" | "empty" | "frame" = "nothing";
  /** Follows the empty frame in flight. */
  #next: { readonly place: Place; readonly payload: Uint8Array } | undefined;
  #lastIsEmpty = true;
  #cancelIdleTimer: () => void = () => {};
  #whenQuiet: (() => void) | undefined;
  #whenTried: PromiseWithResolvers<boolean> | undefined;
  #closed: Promise<void> | undefined;

  constructor(opened: OpenedJournal) {
    this.epoch = opened.epoch;
    this.#opened = opened;
    this.#reader = new SegmentReader(opened.disk, opened.room.segments);
    this.#number = opened.recovered.frame + 1;
    this.#end = opened.recovered.address;
    this.#durableNumber = opened.recovered.frame;
    this.#durableEnd = opened.recovered.address;
    opened.writer.onWritten = () => this.#written();
    opened.writer.onAllocated = () => this.#refill();
    opened.room.onTried = (isMade) => this.#tried(isMade);
    opened.writer.onFailure = (error) => this.#fail(error);
  }

  get id(): string {
    return this.#opened.room.journalId;
  }

  get idle(): boolean {
    return this.#state === "open" && this.#inFlight !== "frame" && this.#next === undefined;
  }

  get start(): number {
    return this.#opened.room.segments[0]?.base ?? 0;
  }

  get durable(): JournalPosition {
    return { frame: this.#durableNumber, address: this.#durableEnd };
  }

  frames(from?: JournalPosition, to: JournalPosition = this.#opened.recovered): Iterable<JournalFrame> {
    const { disk, room } = this.#opened;
    return readFrames(disk, room.segments, to, from);
  }

  /** For a thread that reads what is durable now. */
  files(): JournalFiles {
    const { disk, room } = this.#opened;
    return { directory: disk.directory, journalId: room.journalId, segments: [...room.segments] };
  }

  get frameMaxBytes(): number {
    return this.#opened.room.maximalBytes;
  }

  hasRoom(payloads: readonly number[], reserved: boolean): boolean {
    this.#refill();
    return this.#opened.room.fits(payloads, reserved);
  }

  makeRoom(): Promise<boolean> {
    if (this.#state !== "open") {
      return Promise.resolve(false);
    }
    this.#whenTried ??= Promise.withResolvers<boolean>();
    const { promise } = this.#whenTried;
    this.#opened.room.extend(this.#opened.writer);
    if (this.#whenTried !== undefined) {
      this.#opened.writer.hurry();
    }
    return promise;
  }

  append(payload: Uint8Array): number {
    invariant(this.idle, "a frame is appended only while the journal is idle");
    invariant(payload.byteLength > 0, "a frame has a payload");
    const place = this.#opened.room.take(payload.byteLength);
    if (this.#inFlight === "empty") {
      this.#next = { place, payload: Uint8Array.from(payload) };
    } else {
      this.#write("frame", place, payload);
    }
    return place.segment.base + place.offset + FRAME_HEADER_BYTES;
  }

  read(address: number, sizeBytes: number): Uint8Array {
    return this.#reader.read(address, sizeBytes);
  }

  release(before: number): void {
    invariant(before <= this.#durableEnd, "only what is durable is released");
    if (this.#state === "open") {
      const first = this.#opened.room.release(before);
      this.#reader.forget(first);
      this.#opened.writer.release(first);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#cancelIdleTimer();
    this.#tried(false);
    if (this.#state === "open") {
      this.#state = "closing";
      await this.#quiet();
      this.#writeEmpty();
      await this.#quiet();
    }
    this.#state = "closed";
    await this.#opened.writer.close();
    this.#reader.close();
    this.#opened.unlock();
  }

  #write(kind: "empty" | "frame", { segment, offset }: Place, payload: Uint8Array): void {
    const { writer } = this.#opened;
    this.#number += 1;
    this.#inFlight = kind;
    this.#lastIsEmpty = kind === "empty";
    const sizeBytes = encodeFrame(writer.frame, segment, offset, this.#number, this.epoch, payload);
    this.#end = segment.base + offset + sizeBytes;
    writer.write(segment.number, offset, sizeBytes);
  }

  /** Says that the last frame is durable (F33), unless the last one is empty already or there is no room at all. */
  #writeEmpty(): void {
    const { room } = this.#opened;
    if (!this.#lastIsEmpty && this.#state !== "failed" && room.fits([0], true)) {
      this.#write("empty", room.take(0), NOTHING);
    }
  }

  #written(): void {
    if (this.#state === "failed") {
      return;
    }
    const kind = this.#inFlight;
    this.#inFlight = "nothing";
    this.#durableNumber = this.#number;
    this.#durableEnd = this.#end;
    const next = this.#next;
    if (next !== undefined) {
      this.#next = undefined;
      this.#write("frame", next.place, next.payload);
    }
    if (kind === "frame") {
      this.onDurable();
      this.#refill();
      this.#awaitIdleness();
    }
    if (this.#inFlight === "nothing") {
      this.#whenQuiet?.();
    }
  }

  #awaitIdleness(): void {
    this.#cancelIdleTimer();
    this.#cancelIdleTimer = this.#opened.timers.after(IDLE_MS, () => {
      if (this.#state === "open" && this.#inFlight === "nothing") {
        this.#writeEmpty();
      }
    });
  }

  #refill(): void {
    if (this.#state === "open") {
      this.#opened.room.refill(this.#opened.writer, SPARE_SEGMENTS);
    }
  }

  #tried(isMade: boolean): void {
    this.#whenTried?.resolve(isMade);
    this.#whenTried = undefined;
  }

  async #quiet(): Promise<void> {
    if (this.#inFlight !== "nothing" && this.#state !== "failed") {
      await new Promise<void>((resolve) => {
        this.#whenQuiet = resolve;
      });
    }
  }

  #fail(error: unknown): void {
    if (this.#state !== "failed" && this.#state !== "closed") {
      this.#state = "failed";
      this.#cancelIdleTimer();
      this.#whenQuiet?.();
      this.#tried(false);
      this.#opened.onFailure(error);
    }
  }
}
