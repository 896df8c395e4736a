/**
 * Finds the bytes of a record by its seqnum.
 *
 * Owns: where each record lies, its kind, in how many streams it still is, and the frames kept in memory.
 * Does not own: which stream a record is in (book-state), when frames are written (outbox).
 *
 * R1. A record of a frame that is not durable is in memory; durable ones are kept while there is room, then read: from the checkpoint
 *     what that has, and from the journal what came after. So all that is read has been checked since this opening began, or was
 *     written by it: records have no checksum in the journal, frames and the entries of a checkpoint have (F33).
 * R2. A record is forgotten when its last stream or cell has let go of it. 15 bytes per record; at most 60 for one that outlives those
 *     beside it, and some hundred per chunk that has any.
 */
import { invariant, NeapError } from "../errors.ts";
import type { SeqNum } from "../ids.ts";
import type { JournalReader } from "../journal/journal.ts";
import type { SavedRecords } from "./checkpoint/store.ts";
import type { VarintReader, VarintWriter } from "./checkpoint/varint.ts";
import { RecordKind } from "./kinds.ts";
import type { LogRecord, NewRecord } from "./logbook.ts";
import { CHUNK_RECORDS, RecordChunk } from "./record-chunk.ts";
import { type Frame, readRecord } from "./record-codec.ts";

/**
 * Records that are read again and again (registry entries, hot objects) are decoded once, or never when they were appended here: a
 * power of two of them, by seqnum. None holds on to more than a slab of small buffers, which it shares with its neighbours.
 */
const DECODED_RECORDS = 1_024;
const DECODED_MAX_BYTES = 8 * 1024;
const SLAB_MAX_BYTES = 128 * 1024;

/** What a frame in memory costs besides its bytes. */
const FRAME_OVERHEAD_BYTES = 512;

export interface LiveRecords {
  readonly records: number;
  readonly sizeBytes: number;
}

export class RecordStore {
  readonly #journal: Pick<JournalReader, "read">;
  readonly #saved: SavedRecords | undefined;
  /** Records before this address are in the checkpoint. */
  #savedBefore = 0;
  readonly #recentMaxBytes: number;
  readonly #chunks = new Map<number, RecordChunk>();
  /** The chunk that is being filled, and its number. */
  #newest = new RecordChunk();
  #newestNumber = 0;
  /** Oldest first. */
  #recent: Frame[] = [];
  readonly #decoded: (LogRecord | undefined)[] = new Array(DECODED_RECORDS).fill(undefined);
  #recentHead = 0;
  #recentBytes = 0;
  /** By kind. */
  readonly #liveRecords = new Float64Array(256);
  readonly #liveBytes = new Float64Array(256);

  /** @param saved  has the records that `savedUpTo` is told of */
  constructor(journal: Pick<JournalReader, "read">, recentMaxBytes: number, saved?: SavedRecords) {
    this.#journal = journal;
    this.#recentMaxBytes = recentMaxBytes;
    this.#saved = saved;
    this.#chunks.set(0, this.#newest);
  }

  /**
   * Notes the next record. `address` is its offset in a frame of `keep` that the journal does not have yet, or its journal address.
   *
   * @param holders  number of streams and cells the record is in
   */
  add(seqnum: SeqNum, kind: RecordKind, address: number, sizeBytes: number, holders: number): void {
    const slot = seqnum % CHUNK_RECORDS;
    const number = Math.floor(seqnum / CHUNK_RECORDS);
    if (number !== this.#newestNumber) {
      this.#begin(number);
    }
    this.#newest.set(slot, address, sizeBytes, kind, holders);
    if (holders > 0) {
      this.#countLive(kind, 1, sizeBytes);
    }
  }

  /** Keeps a record that was just appended as its readers will get it, if they are likely to come. Its data must not change any more. */
  remember(seqnum: SeqNum, { kind, tags, data }: NewRecord, timeMs: number): void {
    if (kind === RecordKind.write && data.byteLength <= DECODED_MAX_BYTES && data.buffer.byteLength <= SLAB_MAX_BYTES) {
      const plain = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      this.#decoded[seqnum % DECODED_RECORDS] = { seqnum, kind, tags, timeMs, data: plain };
    }
  }

  kindOf(seqnum: SeqNum): RecordKind {
    const chunk = this.#chunk(seqnum);
    const place = chunk.placeOf(seqnum % CHUNK_RECORDS);
    invariant(place >= 0, `record ${seqnum} was collected`);
    return chunk.kinds[place] as RecordKind;
  }

  /** Records of a kind that some stream or cell holds, and their bytes in the journal. */
  live(kind: RecordKind): LiveRecords {
    return { records: this.#liveRecords[kind] ?? 0, sizeBytes: this.#liveBytes[kind] ?? 0 };
  }

  /** Its bytes in the journal. */
  sizeBytes(seqnum: SeqNum): number {
    const chunk = this.#chunk(seqnum);
    return chunk.sizes[chunk.placeOf(seqnum % CHUNK_RECORDS)] ?? 0;
  }

  /** One more stream or cell has a record that some other holds. */
  hold(seqnum: SeqNum): void {
    const chunk = this.#chunk(seqnum);
    const place = chunk.placeOf(seqnum % CHUNK_RECORDS);
    invariant((chunk.holders[place] ?? 0) > 0, `record ${seqnum} was collected`);
    chunk.holders[place] = (chunk.holders[place] ?? 0) + 1;
  }

  /** One stream or cell lets go of a record. Returns whether it was the last one. */
  drop(seqnum: SeqNum): boolean {
    const number = Math.floor(seqnum / CHUNK_RECORDS);
    const chunk = this.#chunk(seqnum);
    const place = chunk.placeOf(seqnum % CHUNK_RECORDS);
    const left = (chunk.holders[place] ?? 0) - 1;
    invariant(left >= 0, `record ${seqnum} is let go more often than it is held`);
    chunk.holders[place] = left;
    if (left > 0) {
      return false;
    }
    chunk.live--;
    this.#countLive(chunk.kinds[place] ?? 0, -1, -(chunk.sizes[place] ?? 0));
    if (number !== this.#newestNumber) {
      this.#pack(number, chunk);
    }
    return true;
  }

  /** Keeps a frame in memory; its records follow. */
  keep(frame: Frame): void {
    this.#recent.push(frame);
  }

  /** The journal has taken the frame, at this address of its first byte. */
  placed(frame: Frame, address: number): void {
    frame.address = address;
    frame.shrink();
    this.#recentBytes += frame.length + FRAME_OVERHEAD_BYTES;
    for (let seqnum = frame.first; seqnum <= frame.last; seqnum++) {
      const chunk = this.#chunks.get(Math.floor(seqnum / CHUNK_RECORDS));
      const place = chunk === undefined ? -1 : chunk.placeOf(seqnum % CHUNK_RECORDS);
      if (chunk !== undefined && place >= 0) {
        chunk.addresses[place] = (chunk.addresses[place] ?? 0) + address;
      }
    }
  }

  /** Everything up to here can be read from the journal; memory above the limit is given back. */
  durable(seqnum: SeqNum): void {
    while (this.#recentBytes > this.#recentMaxBytes) {
      const oldest = this.#recent[this.#recentHead];
      if (oldest === undefined || oldest.last > seqnum) {
        break;
      }
      this.#recentBytes -= oldest.length + FRAME_OVERHEAD_BYTES;
      this.#recentHead++;
    }
    if (this.#recentHead > 64 && this.#recentHead * 2 > this.#recent.length) {
      this.#recent = this.#recent.slice(this.#recentHead);
      this.#recentHead = 0;
    }
  }

  /** A checkpoint has the bytes of all records before this address, and the journal may let go of them. */
  savedUpTo(address: number): void {
    this.#savedBefore = address;
  }

  /** A record that some stream still holds. Its data is the reader's to keep and nobody's to change. */
  read(seqnum: SeqNum): LogRecord {
    const place = seqnum % DECODED_RECORDS;
    const known = this.#decoded[place];
    if (known !== undefined && known.seqnum === seqnum && this.isHeld(seqnum)) {
      return known;
    }
    const record = this.#decode(seqnum);
    if (record.data.byteLength <= DECODED_MAX_BYTES) {
      this.#decoded[place] = record;
    }
    return record;
  }

  #countLive(kind: number, records: number, sizeBytes: number): void {
    this.#liveRecords[kind] = (this.#liveRecords[kind] ?? 0) + records;
    this.#liveBytes[kind] = (this.#liveBytes[kind] ?? 0) + sizeBytes;
  }

  /** Whether some stream has the record. */
  isHeld(seqnum: SeqNum): boolean {
    const chunk = this.#find(seqnum);
    return chunk !== undefined && (chunk.holders[chunk.placeOf(seqnum % CHUNK_RECORDS)] ?? 0) > 0;
  }

  /** Calls `visit` for each record that some stream has and that lies at or after the journal address. */
  visitHeld(from: number, visit: (seqnum: SeqNum, address: number, sizeBytes: number) => void): void {
    for (const [number, chunk] of this.#chunks) {
      chunk.visit((slot, place) => {
        const address = chunk.addresses[place] ?? 0;
        if (address >= from) {
          visit((number * CHUNK_RECORDS + slot) as SeqNum, address, chunk.sizes[place] ?? 0);
        }
      });
    }
  }

  /** Calls `put` for each chunk that has a record; `save` of it writes the chunk. Only while every record is placed. */
  saveChunks(put: (number: number, save: (writer: VarintWriter) => void) => void): void {
    for (const [number, chunk] of this.#chunks) {
      if (chunk.live > 0) {
        put(number, (writer) => chunk.save(writer));
      }
    }
  }

  /** Takes a saved chunk, in ascending order of their numbers and before anything is added. */
  loadChunk(number: number, reader: VarintReader): void {
    this.#begin(number);
    this.#newest = RecordChunk.load(reader);
    this.#chunks.set(number, this.#newest);
    this.#newest.visit((_slot, place) => this.#countLive(this.#newest.kinds[place] ?? 0, 1, this.#newest.sizes[place] ?? 0));
  }

  #decode(seqnum: SeqNum): LogRecord {
    const chunk = this.#chunk(seqnum);
    const place = chunk.placeOf(seqnum % CHUNK_RECORDS);
    invariant((chunk.holders[place] ?? 0) > 0, `record ${seqnum} was collected and is read`);
    const address = chunk.addresses[place] ?? 0;
    const sizeBytes = chunk.sizes[place] ?? 0;
    const frame = this.#recentFrame(seqnum);
    const bytes =
      frame === undefined ? this.#readDurable(seqnum, address, sizeBytes) : frame.bytes(address - frame.address, sizeBytes);
    const { kind, tags, timeMs, data } = readRecord(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return { seqnum, kind, tags, timeMs, data: new Uint8Array(data) };
  }

  #readDurable(seqnum: SeqNum, address: number, sizeBytes: number): Uint8Array {
    if (address >= this.#savedBefore) {
      return this.#journal.read(address, sizeBytes);
    }
    const bytes = this.#saved?.record(seqnum);
    if (bytes?.length !== sizeBytes) {
      throw new NeapError("JOURNAL_DAMAGED", `record ${seqnum} of ${sizeBytes} bytes is not in the checkpoint`);
    }
    return bytes;
  }

  #recentFrame(seqnum: SeqNum): Frame | undefined {
    let low = this.#recentHead;
    let high = this.#recent.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const frame = this.#recent[middle];
      if (frame !== undefined && frame.first <= seqnum) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low > this.#recentHead ? this.#recent[low - 1] : undefined;
  }

  #find(seqnum: SeqNum): RecordChunk | undefined {
    const number = Math.floor(seqnum / CHUNK_RECORDS);
    return number === this.#newestNumber ? this.#newest : this.#chunks.get(number);
  }

  #chunk(seqnum: SeqNum): RecordChunk {
    const chunk = this.#find(seqnum);
    invariant(chunk !== undefined, `record ${seqnum} was collected`);
    return chunk;
  }

  /** Begins a chunk; the one before is full. */
  #begin(number: number): void {
    this.#pack(this.#newestNumber, this.#newest);
    this.#newest = new RecordChunk();
    this.#newestNumber = number;
    this.#chunks.set(number, this.#newest);
  }

  /** Gives back what a chunk that was filled does not need. */
  #pack(number: number, chunk: RecordChunk): void {
    if (chunk.live === 0) {
      this.#chunks.delete(number);
      return;
    }
    const packed = chunk.packed();
    if (packed !== chunk) {
      this.#chunks.set(number, packed);
    }
  }
}
