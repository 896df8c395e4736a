import { invariant } from "../../state/errors.ts";
import type { Journal, JournalFrame } from "../../state/journal/journal.ts";

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
  /** Calls of `read` so far. */
  reads = 0;
  readonly #durable: JournalFrame[];
  #inFlight: JournalFrame | undefined;
  #end: number;

  constructor(options: { manual?: boolean; epoch?: number; frames?: readonly JournalFrame[] } = {}) {
    this.automatic = options.manual !== true;
    this.epoch = options.epoch ?? 1;
    this.#durable = [...(options.frames ?? [])];
    const last = this.#durable.at(-1);
    this.#end = last === undefined ? 0 : last.address + last.payload.byteLength;
  }

  get idle(): boolean {
    return this.#inFlight === undefined;
  }

  frames(): Iterable<JournalFrame> {
    return [...this.#durable];
  }

  hasRoom(sizeBytes: number, reserved: boolean): boolean {
    return sizeBytes <= this.roomBytes - (reserved ? 0 : this.reserveBytes);
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
    invariant(frame !== undefined && address + sizeBytes <= frame.address + frame.payload.byteLength, `no frame at ${address}`);
    return frame.payload.slice(address - frame.address, address - frame.address + sizeBytes);
  }

  async close(): Promise<void> {
    invariant(this.idle, "a frame is in flight while the journal is closed");
  }

  crash(options: { manual?: boolean } = {}): MemoryJournal {
    return new MemoryJournal({ ...options, epoch: this.epoch + 1, frames: this.#durable });
  }
}
