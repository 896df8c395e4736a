/**
 * The frames of an executor, a turn of them at a time.
 *
 * Owns: how many a turn has, frames that were read and wait for the next one. Does not own: what they mean (`executor.ts`).
 *
 * 1. Frames come in their order, but for cancels: what shall end does so before more begins.
 * 2. When guests have grown much in a turn the next one is half as long, so that those are heard of in time that shall end for it.
 */
import { WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import type { ExecutorChannel } from "../frames/carrier.ts";
import { type Frame, FrameType } from "../frames/protocol.ts";

/** Frames taken before the guests they woke may run. */
const FRAMES_PER_TURN = 64;
/** One in so many may begin a call: a few at a time reuse the few sandboxes that are in the processor's caches (measured: 1.9 times the calls). */
const STARTS_SHARE = 8;
const GROWN_MAX_PAGES = (32 * 1024 * 1024) / WASM_PAGE_BYTES;
/** Frames that are read after a short turn, for the cancels among them. After every turn that costs 9 % of the calls without state. */
const READ_AHEAD_MAX = 1_024;

export class Inbox {
  readonly #channel: ExecutorChannel;
  readonly #take: (frame: Frame) => void;
  /** Were read ahead, in their order. */
  readonly #left = new Set<Frame>();
  /** Of the last turn. */
  #framesMax = FRAMES_PER_TURN;
  /** What guests have told since. */
  #grownPages = 0;
  /** What guests have told last, by slot. */
  readonly #toldPages: number[] = [];
  /** The attempt whose cancel was read ahead last, by slot. */
  readonly #cancelled = new Map<number, number>();

  /** @param take  told each frame in its turn, which is its to keep until it returns */
  constructor(channel: ExecutorChannel, take: (frame: Frame) => void) {
    this.#channel = channel;
    this.#take = take;
  }

  /** Hands over the frames of a turn; the control word is raised when more may wait. Returns whether there were any. */
  turn(): boolean {
    this.#channel.control.lower();
    const hasGrown = this.#grownPages > GROWN_MAX_PAGES;
    this.#framesMax = hasGrown ? Math.max(STARTS_SHARE, this.#framesMax / 2) : Math.min(FRAMES_PER_TURN, this.#framesMax * 2);
    this.#grownPages = 0;
    let starts = 0;
    for (let taken = 0; taken < this.#framesMax && starts < this.#framesMax / STARTS_SHARE; taken++) {
      const frame = this.#nextLeft() ?? this.#channel.receive();
      if (frame === undefined) {
        return taken > 0;
      }
      starts += frame.type === FrameType.start ? 1 : 0;
      this.#take(frame);
    }
    if (this.#framesMax < FRAMES_PER_TURN) {
      this.#readAhead();
    }
    this.#channel.control.raise();
    return true;
  }

  /** Whether the attempt that a frame would begin was cancelled meanwhile. */
  isCancelled({ call, attempt }: Frame): boolean {
    return this.#cancelled.get(call) === attempt;
  }

  /** A call begins with so many pages, which have not grown. */
  begins(slot: number, pages: number): void {
    this.#toldPages[slot] = pages;
  }

  /** A guest has told how many pages it has now. */
  told(slot: number, pages: number): void {
    this.#grownPages += Math.max(0, pages - (this.#toldPages[slot] ?? 0));
    this.#toldPages[slot] = pages;
  }

  #nextLeft(): Frame | undefined {
    if (this.#left.size === 0) {
      return undefined;
    }
    const [frame] = this.#left;
    this.#left.delete(frame as Frame);
    return frame;
  }

  #readAhead(): void {
    for (let read = 0; read < READ_AHEAD_MAX; read++) {
      const frame = this.#channel.receive();
      if (frame === undefined) {
        return;
      }
      if (frame.type === FrameType.cancel) {
        this.#cancelled.set(frame.call, frame.attempt);
        this.#take(frame);
      } else {
        this.#left.add({ ...frame });
      }
    }
  }
}
