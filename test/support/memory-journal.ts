import { invariant, NeapError } from "../../state/errors.ts";
import {
  FRAME_MAX_BYTES,
  JOURNAL_BEGIN,
  type Journal,
  type JournalFrame,
  type JournalPosition,
} from "../../state/journal/journal.ts";

type Stored = Pick<JournalFrame, "address" | "payload">;

/**
 * A journal in memory. By default a frame becomes durable in a later microtask; with `manual` only at `flush()`. `crash()` gives
 * what another opening would find: every durable frame, and not the one in flight.
 */
export class MemoryJournal implements Journal {
  readonly id = "memory";
  readonly epoch: number;
  onDurable: () => void = () => {};
  /** When false, frames stay in flight until `flush()`. */
  automatic: boolean;
  /** Bytes that may still be ordered, `reserveBytes` of them only for the host's own records. */
  roomBytes = Number.POSITIVE_INFINITY;
  reserveBytes = 0;
  /** By default the disk is full when it is tried. */
  whenRoomTried: () => Promise<boolean> = async () => false;
  readonly frameMaxBytes = FRAME_MAX_BYTES;
  /** Calls of `read` so far. */
  reads = 0;
  readonly #durable: Stored[];
  /** Frames of #durable that are released. */
  #released: number;
  #inFlight: Stored | undefined;
  #end: number;

  constructor(options: { manual?: boolean; epoch?: number; frames?: readonly Stored[]; released?: number } = {}) {
    this.automatic = options.manual !== true;
    this.epoch = options.epoch ?? 1;
    this.#durable = [...(options.frames ?? [])];
    this.#released = options.released ?? 0;
    const last = this.#durable.at(-1);
    this.#end = last === undefined ? 0 : last.address + last.payload.byteLength;
  }

  get idle(): boolean {
    return this.#inFlight === undefined;
  }

  get start(): number {
    return this.#released === 0 ? 0 : (this.#durable[this.#released]?.address ?? this.#end);
  }

  get durable(): JournalPosition {
    return { frame: this.#durable.length, address: endOf(this.#durable.at(-1)) };
  }

  frames(from: JournalPosition = JOURNAL_BEGIN, to?: JournalPosition): Iterable<JournalFrame> {
    const last = to?.frame ?? this.#durable.length;
    if (from.frame < this.#released || from.frame > last || endOf(this.#durable[from.frame - 1]) !== from.address) {
      throw new NeapError("JOURNAL_DAMAGED", `there is no frame ${from.frame + 1} at ${from.address}`);
    }
    return this.#durable.slice(from.frame, last).map((frame, i) => ({
      ...frame,
      end: { frame: from.frame + i + 1, address: endOf(frame) },
    }));
  }

  release(before: number): void {
    while (this.#released < this.#durable.length && endOf(this.#durable[this.#released]) <= before) {
      this.#released++;
    }
  }

  hasRoom(payloads: readonly number[], reserved: boolean): boolean {
    const sizeBytes = payloads.reduce((sum, one) => sum + one, 0);
    return sizeBytes <= this.roomBytes - (reserved ? 0 : this.reserveBytes);
  }

  makeRoom(): Promise<boolean> {
    return this.whenRoomTried();
  }

  append(payload: Uint8Array): number {
    invariant(this.idle, "one frame is in flight");
    // A gap between frames, as journals have them.
    const address = this.#end + 7;
    this.#inFlight = { address, payload: Uint8Array.prototype.slice.call(payload) };
    this.#end = address + payload.byteLength;
    this.roomBytes -= payload.byteLength;
    if (this.automatic) {
      queueMicrotask(() => this.flush());
    }
    return address;
  }

  /** Makes the frame in flight durable; returns whether there was one. */
  flush(): boolean {
    const frame = this.#inFlight;
    if (frame === undefined) {
      return false;
    }
    this.#inFlight = undefined;
    this.#durable.push(frame);
    this.onDurable();
    return true;
  }

  read(address: number, sizeBytes: number): Uint8Array {
    this.reads++;
    let low = 0;
    let high = this.#durable.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#durable[middle]?.address ?? 0) <= address) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    const frame = this.#durable[low - 1];
    invariant(low > this.#released, `frame ${low} is released`);
    invariant(frame !== undefined && address + sizeBytes <= frame.address + frame.payload.byteLength, `no frame at ${address}`);
    return frame.payload.slice(address - frame.address, address - frame.address + sizeBytes);
  }

  async close(): Promise<void> {
    invariant(this.idle, "a frame is in flight while the journal is closed");
  }

  /** As if nothing had been released. */
  whole(): MemoryJournal {
    return new MemoryJournal({ frames: this.#durable });
  }

  crash(options: { manual?: boolean } = {}): MemoryJournal {
    return new MemoryJournal({ ...options, epoch: this.epoch + 1, frames: this.#durable, released: this.#released });
  }
}

function endOf(frame: Stored | undefined): number {
  return frame === undefined ? 0 : frame.address + frame.payload.byteLength;
}
