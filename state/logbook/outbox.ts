/**
 * Brings ordered records to the disk.
 *
 * Owns: the frame that gathers, the frames that wait, the durable watermark and who waits for it.
 * Does not own: what is ordered (sequencer), how bytes are written (journal).
 *
 * O1. Frames go to the journal in order, one at a time; the next one gathers meanwhile.
 * O2. A frame goes when something waits for it, or it holds FLUSH_BYTES, or its oldest record is FLUSH_AGE_MS old (H12): with
 *     run-ahead nobody waits for the steps in the middle of a call.
 * O3. Waiters are resolved in the order of what they wait for.
 */
import { invariant } from "../errors.ts";
import { NO_SEQNUM, type SeqNum } from "../ids.ts";
import type { Journal } from "../journal/journal.ts";
import type { Timers } from "../ports.ts";
import { FRAME_HEADER_BYTES, FRAME_MAX_RECORDS, Frame } from "./record-codec.ts";
import type { RecordStore } from "./record-store.ts";

const FLUSH_BYTES = 64 * 1024;
const FLUSH_AGE_MS = 2;
const MIN_CAPACITY_BYTES = 1_024;

interface Waiter {
  readonly seqnum: SeqNum;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export class Outbox {
  /** Every record up to here is durable. */
  durable: SeqNum;
  /** Bytes ordered and not durable. */
  undurableBytes = 0;
  /** Called, in their order, after each frame that became durable. */
  readonly onDurable: (() => void)[] = [];
  readonly #journal: Journal;
  readonly #store: RecordStore;
  readonly #timers: Timers;
  #gathering: Frame | null = null;
  #sealed: Frame[] = [];
  #inFlight: Frame | null = null;
  #demand: SeqNum = NO_SEQNUM;
  #cancelTimer: () => void = () => {};
  /** Ascending by seqnum. */
  #waiters: Waiter[] = [];
  #capacityBytes = MIN_CAPACITY_BYTES;

  /** @param durable  the last record of the frames that the journal had at its opening */
  constructor(journal: Journal, store: RecordStore, timers: Timers, durable: SeqNum) {
    this.durable = durable;
    this.#journal = journal;
    this.#store = store;
    this.#timers = timers;
    journal.onDurable = () => this.#landed();
  }

  /** A frame with room for `records` more records of at most `boundBytes`, the first of which will be `next`. */
  gather(next: SeqNum, records: number, boundBytes: number): Frame {
    let frame = this.#gathering;
    if (
      frame !== null &&
      (frame.count + records > FRAME_MAX_RECORDS || frame.length + boundBytes > this.#journal.frameMaxBytes)
    ) {
      this.#seal();
      frame = null;
    }
    if (frame === null) {
      frame = new Frame(next, Math.max(this.#capacityBytes, FRAME_HEADER_BYTES + boundBytes));
      this.#gathering = frame;
      this.#store.keep(frame);
    }
    return frame;
  }

  /** Sizes of the frames that the journal has yet to get, in their order. */
  waiting(): number[] {
    const frames = this.#sealed.map(({ length }) => length);
    if (this.#gathering !== null) {
      frames.push(this.#gathering.length);
    }
    return frames;
  }

  /** Records of this many bytes were added to the frame that gathers. */
  gathered(sizeBytes: number): void {
    this.undurableBytes += sizeBytes;
    const frame = this.#gathering;
    if (frame === null) {
      return;
    }
    if (frame.length >= FLUSH_BYTES) {
      this.#want(frame.last);
    } else if (frame.length - sizeBytes === FRAME_HEADER_BYTES) {
      this.#cancelTimer = this.#timers.after(FLUSH_AGE_MS, () => this.#want(frame.last));
    }
  }

  /** Resolves when everything up to `seqnum` is durable. Asking is what starts a flush. */
  whenDurable(seqnum: SeqNum): Promise<void> {
    if (seqnum <= this.durable) {
      return Promise.resolve();
    }
    const waiters = this.#waiters;
    let index = waiters.length;
    while (index > 0 && (waiters[index - 1]?.seqnum ?? 0) > seqnum) {
      index--;
    }
    const before = waiters[index - 1];
    if (before !== undefined && before.seqnum === seqnum) {
      return before.promise;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    waiters.splice(index, 0, { seqnum, promise, resolve });
    this.#want(seqnum);
    return promise;
  }

  #want(seqnum: SeqNum): void {
    if (seqnum > this.#demand) {
      this.#demand = seqnum;
    }
    this.#pump();
  }

  /** Hands the next frame to the journal, if it is idle and somebody wants it (O1, O2). */
  #pump(): void {
    if (this.#inFlight !== null || !this.#journal.idle) {
      return;
    }
    const gathering = this.#gathering;
    if (this.#sealed.length === 0 && gathering !== null && gathering.count > 0 && gathering.first <= this.#demand) {
      this.#seal();
    }
    const frame = this.#sealed.shift();
    if (frame === undefined) {
      return;
    }
    this.#inFlight = frame;
    this.#store.placed(frame, this.#journal.append(frame.payload()));
  }

  #seal(): void {
    const frame = this.#gathering;
    if (frame !== null && frame.count > 0) {
      this.#cancelTimer();
      this.#capacityBytes = Math.max(MIN_CAPACITY_BYTES, Math.min(frame.length, FLUSH_BYTES));
      this.#sealed.push(frame);
      this.#gathering = null;
    }
  }

  #landed(): void {
    const frame = this.#inFlight;
    invariant(frame !== null, "the journal reports a frame durable that it was not given");
    this.#inFlight = null;
    this.durable = frame.last;
    this.undurableBytes -= frame.length - FRAME_HEADER_BYTES;
    this.#pump();
    this.#store.durable(this.durable);
    let resolved = 0;
    for (const waiter of this.#waiters) {
      if (waiter.seqnum > this.durable) {
        break;
      }
      waiter.resolve();
      resolved++;
    }
    this.#waiters.splice(0, resolved);
    for (const act of this.onDurable) {
      act();
    }
  }
}
