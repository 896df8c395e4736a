/**
 * The bytes of records in a frame. Seqnums are implicit: a frame holds the first one, the others follow without a gap.
 *
 *   frame    0  f64  seqnum of the first record
 *            8  u16  number of records
 *           10       the records, one after the other
 *
 *   record   0  u32  size of the record in bytes, this field included
 *            4  u8   kind
 *            5  u8   flags: 1 same LogBook as the record before it in the frame, 2 initial cursor, 4 blobs, 8 conditions, 16 cell,
 *                    32 cell version, 64 cell writer
 *            6  u8   number of tags
 *            7  u8   bytes of the LogBook id; 0 with flag 1, and for the records of the shard itself
 *            8  f64  time in ms
 *           16       LogBook id
 *                    tags: u16 length, UTF-8
 *           flag 2   f64 initial cursor
 *           flag 4   u8 count, then blobs: u8 length, name, f64 size in bytes
 *           flag 8   u16 count, then conditions: u8 index into the record's tags (255: u16 length, UTF-8 follow),
 *                    u8 what (0 length, 1 last, 2 newest), f64 value
 *           flag 16  u16 length, UTF-8 key of the cell; with flag 32: f64 seqnum, u8 role, u32 counter; with flag 64: f64 first
 *                    record of the writer, u32 length of its step stream
 *                    data, up to the end of the record
 *
 * All numbers are little-endian. The conditions of a request travel with its first record, so that replay can assert what the
 * owner decided (F19).
 */
import { NeapError } from "../errors.ts";
import { type BlobName, type LogBookId, NO_SEQNUM, quote, type SeqNum, type Tag } from "../ids.ts";
import { FRAME_MAX_BYTES } from "../journal/journal.ts";
import type { CellVersion } from "./cells.ts";
import type { RecordKind } from "./kinds.ts";
import type { BlobRefLike, CellEntry, Condition, NewRecord } from "./logbook.ts";

export const FRAME_HEADER_BYTES = 10;
export const FRAME_MAX_RECORDS = 4_095;

const RECORD_HEADER_BYTES = 16;
const SAME_BOOK = 1;
const HAS_CURSOR = 2;
const HAS_BLOBS = 4;
const HAS_CONDITIONS = 8;
const HAS_CELL = 16;
const HAS_CELL_VERSION = 32;
const HAS_CELL_WRITER = 64;
const CELL_VERSION_BYTES = 13;
const CELL_WRITER_BYTES = 12;
const OTHER_TAG = 255;
const NO_CONDITIONS: readonly Condition[] = [];
const NO_BLOBS: readonly BlobRefLike[] = [];

/** A record as it lies in a frame. `data` is a view of the frame. */
export interface StoredRecord extends NewRecord {
  /** "" for the records of the shard itself. */
  readonly book: LogBookId | "";
  readonly timeMs: number;
  readonly when: readonly Condition[];
  readonly sizeBytes: number;
}

/** A frame that gathers records, and afterwards keeps their bytes in memory. */
export class Frame {
  readonly first: SeqNum;
  count = 0;
  length = FRAME_HEADER_BYTES;
  /** Of the first byte, once the journal has the frame; 0 before. */
  address = 0;
  #buffer: Buffer;
  #view: DataView;
  #book: LogBookId | "" = "";

  constructor(first: SeqNum, capacityBytes: number) {
    this.first = first;
    this.#buffer = Buffer.allocUnsafeSlow(capacityBytes);
    this.#view = new DataView(this.#buffer.buffer);
    this.#view.setFloat64(0, first, true);
  }

  get last(): SeqNum {
    return (this.first + this.count - 1) as SeqNum;
  }

  /** What a record of this many bytes costs at most. */
  static boundBytes(record: NewRecord): number {
    let bound = RECORD_HEADER_BYTES + 128 + 8 + 3 + record.data.byteLength;
    for (const tag of record.tags) {
      bound += 2 + tag.length * 3;
    }
    if (record.cell !== undefined) {
      bound += 2 + record.cell.key.length * 3 + CELL_VERSION_BYTES + CELL_WRITER_BYTES;
    }
    return record.blobs === undefined ? bound : bound + record.blobs.length * 137;
  }

  /** As `boundBytes`, for the conditions. */
  static conditionBoundBytes(when: readonly Condition[]): number {
    let bound = 0;
    for (const condition of when) {
      bound += 12 + condition.tag.length * 3;
    }
    return bound;
  }

  /**
   * Adds a record and returns its offset. The caller has checked the counts and sizes of its parts.
   * @throws BAD_TAG for a tag that is not well-formed Unicode; the frame is as before
   */
  add(book: LogBookId | "", record: NewRecord, timeMs: number, when: readonly Condition[] = NO_CONDITIONS): number {
    const start = this.length;
    this.#reserve(Frame.boundBytes(record) + Frame.conditionBoundBytes(when));
    const sameBook = this.count > 0 && book === this.#book;
    let flags = sameBook ? SAME_BOOK : 0;
    let at = start + RECORD_HEADER_BYTES;
    if (!sameBook) {
      at = this.#text(book, at);
    }
    this.#buffer[start + 7] = at - start - RECORD_HEADER_BYTES;
    for (const tag of record.tags) {
      at = this.#sizedText(tag, at);
    }
    if (record.initialCursor !== undefined) {
      flags |= HAS_CURSOR;
      this.#view.setFloat64(at, record.initialCursor, true);
      at += 8;
    }
    if (record.blobs !== undefined && record.blobs.length > 0) {
      flags |= HAS_BLOBS;
      at = this.#blobs(record.blobs, at);
    }
    if (when.length > 0) {
      flags |= HAS_CONDITIONS;
      at = this.#conditions(when, record.tags, at);
    }
    if (record.cell !== undefined) {
      flags |= HAS_CELL | (record.cell.version === null ? 0 : HAS_CELL_VERSION);
      flags |= record.cell.writer === undefined ? 0 : HAS_CELL_WRITER;
      at = this.#cell(record.cell, at);
    }
    this.#buffer.set(record.data, at);
    at += record.data.byteLength;
    this.#view.setUint32(start, at - start, true);
    this.#buffer[start + 4] = record.kind;
    this.#buffer[start + 5] = flags;
    this.#buffer[start + 6] = record.tags.length;
    this.#view.setFloat64(start + 8, timeMs, true);
    this.#book = book;
    this.length = at;
    this.count++;
    return start;
  }

  /** Takes back what was added since the frame had this length and count. */
  rewind(length: number, count: number): void {
    this.length = length;
    this.count = count;
    // The id of the record before is not known any more: the next record names its LogBook again.
    this.#book = "";
  }

  /** The frame as the journal gets it; a view. */
  payload(): Uint8Array {
    this.#view.setUint16(8, this.count, true);
    return this.#buffer.subarray(0, this.length);
  }

  bytes(offset: number, sizeBytes: number): Buffer {
    return this.#buffer.subarray(offset, offset + sizeBytes);
  }

  /** Gives back memory beyond the length, when it is worth a copy. No record may be added afterwards. */
  shrink(): void {
    if (this.#buffer.length > this.length + this.length / 4) {
      const exact = Buffer.allocUnsafeSlow(this.length);
      this.#buffer.copy(exact, 0, 0, this.length);
      this.#buffer = exact;
    }
  }

  #reserve(sizeBytes: number): void {
    const needed = this.length + sizeBytes;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(this.#buffer.length * 2, FRAME_MAX_BYTES)));
      this.#buffer.copy(larger, 0, 0, this.length);
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
  }

  #text(value: string, at: number): number {
    const buffer = this.#buffer;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) {
        if (!value.isWellFormed()) {
          throw new NeapError("BAD_TAG", `tag ${quote(value)} is not well-formed Unicode`);
        }
        return at + buffer.write(value, at, "utf8");
      }
      buffer[at + i] = code;
    }
    return at + value.length;
  }

  #sizedText(value: string, at: number): number {
    const end = this.#text(value, at + 2);
    this.#view.setUint16(at, end - at - 2, true);
    return end;
  }

  #blobs(blobs: readonly BlobRefLike[], start: number): number {
    this.#buffer[start] = blobs.length;
    let at = start + 1;
    for (const blob of blobs) {
      const end = this.#text(blob.name, at + 1);
      this.#buffer[at] = end - at - 1;
      this.#view.setFloat64(end, blob.sizeBytes, true);
      at = end + 8;
    }
    return at;
  }

  #conditions(when: readonly Condition[], tags: readonly Tag[], start: number): number {
    this.#view.setUint16(start, when.length, true);
    let at = start + 2;
    for (const condition of when) {
      const index = tags.indexOf(condition.tag);
      this.#buffer[at] = index < 0 ? OTHER_TAG : index;
      at = index < 0 ? this.#sizedText(condition.tag, at + 1) : at + 1;
      const [what, value] = conditionCode(condition);
      this.#buffer[at] = what;
      this.#view.setFloat64(at + 1, value, true);
      at += 9;
    }
    return at;
  }

  #cell({ key, version, writer }: CellEntry, start: number): number {
    let at = this.#sizedText(key, start);
    if (version !== null) {
      this.#view.setFloat64(at, version.seqnum, true);
      this.#buffer[at + 8] = version.role;
      this.#view.setUint32(at + 9, version.counter, true);
      at += CELL_VERSION_BYTES;
    }
    if (writer !== undefined) {
      this.#view.setFloat64(at, writer.first, true);
      this.#view.setUint32(at + 8, writer.length, true);
      at += CELL_WRITER_BYTES;
    }
    return at;
  }
}

/** What a condition compares, as it is stored and sent: 0 length, 1 last, 2 newest; and with what. */
export function conditionCode(condition: Condition): [what: 0 | 1 | 2, value: number] {
  if ("length" in condition) {
    return [0, condition.length];
  }
  return "last" in condition ? [1, condition.last] : [2, condition.newest];
}

/** The inverse of `conditionCode`. */
export function conditionOf(tag: Tag, what: number, value: number): Condition {
  if (what === 0) {
    return { tag, length: value };
  }
  return what === 1 ? { tag, last: value as SeqNum } : { tag, newest: value as SeqNum };
}

/** Calls `visit` for each record of a frame, oldest first, with its seqnum and its offset. @throws RangeError when it is malformed */
export function readFrame(payload: Uint8Array, visit: (record: StoredRecord, seqnum: SeqNum, offset: number) => void): void {
  const buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const first = buffer.readDoubleLE(0);
  const count = buffer.readUInt16LE(8);
  let offset = FRAME_HEADER_BYTES;
  let book: LogBookId | "" = "";
  for (let i = 0; i < count; i++) {
    const record = readRecord(buffer, offset, book);
    book = record.book;
    visit(record, (first + i) as SeqNum, offset);
    offset += record.sizeBytes;
  }
  if (offset !== buffer.length) {
    throw new RangeError(`${count} records end at byte ${offset} of ${buffer.length}`);
  }
}

/**
 * The record that begins at `start`.
 * @param book  that of the record before it in the frame
 * @throws RangeError when it is malformed
 */
export function readRecord(bytes: Buffer, start = 0, book: LogBookId | "" = ""): StoredRecord {
  const sizeBytes = bytes.readUInt32LE(start);
  const recordEnd = start + sizeBytes;
  if (recordEnd > bytes.length || sizeBytes < RECORD_HEADER_BYTES) {
    throw new RangeError(`a record of ${sizeBytes} bytes, ${bytes.length - start} are left`);
  }
  const flags = bytes.readUInt8(start + 5);
  const tagCount = bytes.readUInt8(start + 6);
  const timeMs = bytes.readDoubleLE(start + 8);
  const bookStart = start + RECORD_HEADER_BYTES;
  let at = bookStart + bytes.readUInt8(start + 7);
  const own = (flags & SAME_BOOK) !== 0 ? book : (bytes.toString("latin1", bookStart, at) as LogBookId | "");
  const tags: Tag[] = [];
  for (let i = 0; i < tagCount; i++) {
    const end = at + 2 + bytes.readUInt16LE(at);
    tags.push(bytes.toString("utf8", at + 2, end) as Tag);
    at = end;
  }
  let initialCursor: SeqNum = NO_SEQNUM;
  if ((flags & HAS_CURSOR) !== 0) {
    initialCursor = bytes.readDoubleLE(at) as SeqNum;
    at += 8;
  }
  let blobs = NO_BLOBS;
  if ((flags & HAS_BLOBS) !== 0) {
    const read = readBlobs(bytes, at);
    blobs = read.blobs;
    at = read.end;
  }
  let when = NO_CONDITIONS;
  if ((flags & HAS_CONDITIONS) !== 0) {
    const read = readConditions(bytes, at, tags);
    when = read.when;
    at = read.end;
  }
  let cell: CellEntry | undefined;
  if ((flags & HAS_CELL) !== 0) {
    const end = at + 2 + bytes.readUInt16LE(at);
    const key = bytes.toString("utf8", at + 2, end);
    const hasVersion = (flags & HAS_CELL_VERSION) !== 0;
    const version = hasVersion ? readCellVersion(bytes, end) : null;
    at = hasVersion ? end + CELL_VERSION_BYTES : end;
    if ((flags & HAS_CELL_WRITER) !== 0) {
      cell = { key, version, writer: { first: bytes.readDoubleLE(at) as SeqNum, length: bytes.readUInt32LE(at + 8) } };
      at += CELL_WRITER_BYTES;
    } else {
      cell = { key, version };
    }
  }
  if (at > recordEnd) {
    throw new RangeError(`the head of a record of ${sizeBytes} bytes has ${at - start}`);
  }
  const kind = bytes.readUInt8(start + 4) as RecordKind;
  const data = bytes.subarray(at, recordEnd);
  if (cell === undefined && (flags & HAS_CURSOR) === 0) {
    return { kind, book: own, timeMs, tags, blobs, when, sizeBytes, data };
  }
  return {
    ...{ kind, book: own, timeMs, tags, blobs, when, sizeBytes, data },
    ...((flags & HAS_CURSOR) !== 0 && { initialCursor }),
    ...(cell !== undefined && { cell }),
  };
}

function readBlobs(bytes: Buffer, start: number): { blobs: readonly BlobRefLike[]; end: number } {
  const blobs: BlobRefLike[] = [];
  const count = bytes.readUInt8(start);
  let at = start + 1;
  for (let i = 0; i < count; i++) {
    const end = at + 1 + bytes.readUInt8(at);
    blobs.push({ name: bytes.toString("latin1", at + 1, end) as BlobName, sizeBytes: bytes.readDoubleLE(end) });
    at = end + 8;
  }
  return { blobs, end: at };
}

function readConditions(bytes: Buffer, start: number, tags: readonly Tag[]): { when: readonly Condition[]; end: number } {
  const when: Condition[] = [];
  const count = bytes.readUInt16LE(start);
  let at = start + 2;
  for (let i = 0; i < count; i++) {
    const index = bytes.readUInt8(at++);
    let tag = tags[index];
    if (index === OTHER_TAG) {
      const end = at + 2 + bytes.readUInt16LE(at);
      tag = bytes.toString("utf8", at + 2, end) as Tag;
      at = end;
    }
    if (tag === undefined) {
      throw new RangeError(`a condition names tag ${index} of ${tags.length}`);
    }
    const value = bytes.readDoubleLE(at + 1);
    when.push(conditionOf(tag, bytes.readUInt8(at), value));
    at += 9;
  }
  return { when, end: at };
}

function readCellVersion(bytes: Buffer, at: number): CellVersion {
  const role = bytes.readUInt8(at + 8) === 0 ? 0 : 1;
  return { seqnum: bytes.readDoubleLE(at) as SeqNum, role, counter: bytes.readUInt32LE(at + 9) };
}
