/**
 * Finds the bytes of a record by its seqnum.
 *
 * Owns: where each record lies, its kind, in how many streams it still is, and the frames kept in memory.
 * Does not own: which stream a record is in (stream-index), when frames are written (outbox).
 *
 * R1. A record of a frame that is not durable is in memory; durable ones are kept while there is room, then read from the journal.
 * R2. A record is forgotten when its last stream or cell has let go of it. 15 bytes per record until its chunk is empty.
 */
import { invariant } from "../errors.ts";
import type { SeqNum } from "../ids.ts";
import type { Journal } from "../journal/journal.ts";
import type { RecordKind } from "./kinds.ts";
import type { LogRecord } from "./logbook.ts";
import { type Frame, readRecord } from "./record-codec.ts";

const CHUNK_RECORDS = 4_096;

/** Records that are read again and again (registry entries, hot objects) are decoded once: a power of two of them, by seqnum. */
const DECODED_RECORDS = 1_024;
const DECODED_MAX_BYTES = 8 * 1024;

/** What a frame in memory costs besides its bytes. */
const FRAME_OVERHEAD_BYTES = 512;

class Chunk {
  /** Journal address; before the journal has the frame, the offset in it. */
  readonly addresses = new Float64Array(CHUNK_RECORDS);
  readonly sizes = new Uint32Array(CHUNK_RECORDS);
  readonly kinds = new Uint8Array(CHUNK_RECORDS);
  /** In how many streams the record is, and one more for a cell. */
  readonly holders = new Uint16Array(CHUNK_RECORDS);
  /** Records that are in a stream. */
  live = 0;
}

export interface LiveRecords {
  readonly records: number;
  readonly sizeBytes: number;
}

export class RecordStore {
  readonly #journal: Pick<Journal, "read">;
  readonly #recentMaxBytes: number;
  readonly #chunks: (Chunk | undefined)[] = [];
  /** Oldest first. */
  #recent: Frame[] = [];
  readonly #decoded: (LogRecord | undefined)[] = new Array(DECODED_RECORDS).fill(undefined);
  #recentHead = 0;
  #recentBytes = 0;
  #durable = 0;
  /** By kind. */
  readonly #liveRecords = new Float64Array(256);
  readonly #liveBytes = new Float64Array(256);

  constructor(journal: Pick<Journal, "read">, recentMaxBytes: number) {
    this.#journal = journal;
    this.#recentMaxBytes = recentMaxBytes;
  }

  /**
   * Notes the next record. `address` is its offset in a frame of `keep` that the journal does not have yet, or its journal address.
   *
   * @param holders  number of streams and cells the record is in
   */
  add(seqnum: SeqNum, kind: RecordKind, address: number, sizeBytes: number, holders: number): void {
    const number = Math.floor(seqnum / CHUNK_RECORDS);
    const slot = seqnum % CHUNK_RECORDS;
    let chunk = this.#chunks[number];
    if (chunk === undefined) {
      this.#release(number - 1);
      chunk = new Chunk();
      this.#chunks[number] = chunk;
    }
    chunk.addresses[slot] = address;
    chunk.sizes[slot] = sizeBytes;
    chunk.kinds[slot] = kind;
    chunk.holders[slot] = holders;
    if (holders > 0) {
      chunk.live++;
      this.#countLive(kind, 1, sizeBytes);
    }
  }

  kindOf(seqnum: SeqNum): RecordKind {
    return this.#chunk(seqnum).kinds[seqnum % CHUNK_RECORDS] as RecordKind;
  }

  /** Records of a kind that some stream or cell holds, and their bytes in the journal. */
  live(kind: RecordKind): LiveRecords {
    return { records: this.#liveRecords[kind] ?? 0, sizeBytes: this.#liveBytes[kind] ?? 0 };
  }

  /** Its bytes in the journal. */
  sizeBytes(seqnum: SeqNum): number {
    return this.#chunk(seqnum).sizes[seqnum % CHUNK_RECORDS] ?? 0;
  }

  /** One more stream or cell has a record that some other holds. */
  hold(seqnum: SeqNum): void {
    const chunk = this.#chunk(seqnum);
    const slot = seqnum % CHUNK_RECORDS;
    chunk.holders[slot] = (chunk.holders[slot] ?? 0) + 1;
  }

  /** One stream or cell lets go of a record. Returns whether it was the last one. */
  drop(seqnum: SeqNum): boolean {
    const number = Math.floor(seqnum / CHUNK_RECORDS);
    const chunk = this.#chunk(seqnum);
    const slot = seqnum % CHUNK_RECORDS;
    const left = (chunk.holders[slot] ?? 0) - 1;
    invariant(left >= 0, `record ${seqnum} is let go more often than it is held`);
    chunk.holders[slot] = left;
    if (left > 0) {
      return false;
    }
    chunk.live--;
    this.#countLive(chunk.kinds[slot] ?? 0, -1, -(chunk.sizes[slot] ?? 0));
    // The newest chunk is still being filled.
    if (chunk.live === 0 && number < this.#chunks.length - 1) {
      this.#chunks[number] = undefined;
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
      const chunk = this.#chunks[Math.floor(seqnum / CHUNK_RECORDS)];
      const slot = seqnum % CHUNK_RECORDS;
      if (chunk !== undefined) {
        chunk.addresses[slot] = (chunk.addresses[slot] ?? 0) + address;
      }
    }
  }

  /** Everything up to here can be read from the journal; memory above the limit is given back. */
  durable(seqnum: SeqNum): void {
    this.#durable = seqnum;
    while (this.#recentBytes > this.#recentMaxBytes) {
      const oldest = this.#recent[this.#recentHead];
      if (oldest === undefined || oldest.last > this.#durable) {
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

  /** A record that some stream still holds. Its data is the reader's to keep and nobody's to change. */
  read(seqnum: SeqNum): LogRecord {
    const place = seqnum % DECODED_RECORDS;
    const known = this.#decoded[place];
    if (known !== undefined && known.seqnum === seqnum && this.#isHeld(seqnum)) {
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

  #isHeld(seqnum: SeqNum): boolean {
    return (this.#chunks[Math.floor(seqnum / CHUNK_RECORDS)]?.holders[seqnum % CHUNK_RECORDS] ?? 0) > 0;
  }

  #decode(seqnum: SeqNum): LogRecord {
    const chunk = this.#chunk(seqnum);
    const slot = seqnum % CHUNK_RECORDS;
    invariant((chunk.holders[slot] ?? 0) > 0, `record ${seqnum} was collected and is read`);
    const address = chunk.addresses[slot] ?? 0;
    const sizeBytes = chunk.sizes[slot] ?? 0;
    const frame = this.#recentFrame(seqnum);
    const bytes = frame === undefined ? this.#journal.read(address, sizeBytes) : frame.bytes(address - frame.address, sizeBytes);
    const { kind, tags, timeMs, data } = readRecord(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return { seqnum, kind, tags, timeMs, data: new Uint8Array(data) };
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

  #chunk(seqnum: SeqNum): Chunk {
    const chunk = this.#chunks[Math.floor(seqnum / CHUNK_RECORDS)];
    invariant(chunk !== undefined, `record ${seqnum} was collected`);
    return chunk;
  }

  /** Forgets a chunk that was filled and has no live record. */
  #release(number: number): void {
    if (this.#chunks[number]?.live === 0) {
      this.#chunks[number] = undefined;
    }
  }
}
