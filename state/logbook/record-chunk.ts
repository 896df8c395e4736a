/**
 * Where some consecutive records lie: their places by their slots.
 *
 * While it is filled it has a place for every slot. When few records of it are left it keeps places for those alone, so that a
 * record that lives long costs no more than a few bytes, whatever came and went beside it.
 */
import type { VarintReader, VarintWriter } from "./checkpoint/varint.ts";

export const CHUNK_RECORDS = 4_096;

/** Places are given up when less than one in so many is used. */
const SPARSE = 4;
/** Below it there is nothing to gain. */
const MIN_PLACES = 16;

export class RecordChunk {
  /** Records that are in a stream. */
  live = 0;
  /** Journal address; before the journal has the frame, the offset in it. */
  addresses: Float64Array;
  sizes: Uint32Array;
  kinds: Uint8Array;
  /** In how many streams the record is, and one more for a cell. */
  holders: Uint16Array;
  /** The slots that have places, ascending; undefined: all. */
  #slots: Uint16Array | undefined;

  constructor(slots?: Uint16Array) {
    const places = slots === undefined ? CHUNK_RECORDS : slots.length;
    this.addresses = new Float64Array(places);
    this.sizes = new Uint32Array(places);
    this.kinds = new Uint8Array(places);
    this.holders = new Uint16Array(places);
    this.#slots = slots;
  }

  /** −1 for a slot whose record is in no stream any more. */
  placeOf(slot: number): number {
    const slots = this.#slots;
    if (slots === undefined) {
      return slot;
    }
    let low = 0;
    let high = slots.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = slots[middle] ?? 0;
      if (found === slot) {
        return middle;
      }
      if (found < slot) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return -1;
  }

  /** This chunk, or a smaller one with the same live records. Nothing may be added to it afterwards. */
  packed(): RecordChunk {
    if (this.live * SPARSE > this.holders.length || this.holders.length <= MIN_PLACES) {
      return this;
    }
    const slots = new Uint16Array(this.live);
    let count = 0;
    this.visit((slot) => {
      slots[count++] = slot;
    });
    const chunk = new RecordChunk(slots);
    slots.forEach((slot, place) => {
      const from = this.placeOf(slot);
      chunk.set(place, this.addresses[from] ?? 0, this.sizes[from] ?? 0, this.kinds[from] ?? 0, this.holders[from] ?? 0);
    });
    return chunk;
  }

  set(place: number, address: number, sizeBytes: number, kind: number, holders: number): void {
    this.addresses[place] = address;
    this.sizes[place] = sizeBytes;
    this.kinds[place] = kind;
    this.holders[place] = holders;
    if (holders > 0) {
      this.live++;
    }
  }

  /** Calls `visit` for each live record, in order. */
  visit(visit: (slot: number, place: number) => void): void {
    for (let place = 0; place < this.holders.length; place++) {
      if ((this.holders[place] ?? 0) > 0) {
        visit(this.#slots?.[place] ?? place, place);
      }
    }
  }

  save(writer: VarintWriter): void {
    let lastSlot = 0;
    let lastAddress = 0;
    writer.number(this.live);
    this.visit((slot, place) => {
      const address = this.addresses[place] ?? 0;
      writer.number(slot - lastSlot).number(address - lastAddress);
      writer
        .number(this.sizes[place] ?? 0)
        .number(this.kinds[place] ?? 0)
        .number(this.holders[place] ?? 0);
      lastSlot = slot;
      lastAddress = address;
    });
  }

  /** A chunk with all places: more records may be added to it. */
  static load(reader: VarintReader): RecordChunk {
    const chunk = new RecordChunk();
    const count = reader.number();
    let slot = 0;
    let address = 0;
    for (let i = 0; i < count; i++) {
      slot += reader.number();
      address += reader.number();
      chunk.set(slot, address, reader.number(), reader.number(), reader.number());
    }
    return chunk;
  }
}
