/** Checks what a peer or a host module asks to append, before anything is decided or ordered. */
import { NeapError } from "../errors.ts";
import { objectKey, quote, type Tag, tag } from "../ids.ts";
import { FRAME_MAX_BYTES } from "../journal/journal.ts";
import { LOCK_TAG_PREFIX } from "../tags.ts";
import { RecordKind } from "./kinds.ts";
import { lockOf, unlockOf } from "./lock-record.ts";
import type { AppendRequest, CellWrite, Condition, NewRecord } from "./logbook.ts";
import { pinHeadOf } from "./pin-record.ts";
import { checkTrim } from "./trim.ts";

/** The owner may add one (names-tag), and a frame counts them in a byte. */
const MAX_TAGS = 254;
const MAX_BLOBS = 255;
/** One request is decided and applied in one go (H27). The greatest of our own is the commit of a transaction of 1,000 objects. */
export const REQUEST_MAX_RECORDS = 512;
export const REQUEST_MAX_CONDITIONS = 1_280;
const REQUEST_MAX_TAGS = 1_280;

/** Kinds that only the shard itself appends. */
const OWN_KINDS: ReadonlySet<RecordKind> = new Set([RecordKind.epoch, RecordKind.gc, RecordKind.mode, RecordKind.migrated]);
const LOCK_KINDS: ReadonlySet<RecordKind> = new Set([RecordKind.lock, RecordKind.unlock, RecordKind.lockBroken]);
const APPENDABLE: ReadonlySet<RecordKind> = new Set(Object.values(RecordKind).filter((kind) => !OWN_KINDS.has(kind)));

/**
 * @throws BAD_RECORD  no records, an unknown kind, too many parts
 * @throws RECORD_TOO_LARGE  the data alone does not fit a frame, or there are too many records or tags
 * @throws BAD_TAG  empty, too long, or twice in a record
 * @throws BAD_SEQNUM  an initial cursor or condition is not a whole number in range
 */
export function checkRequest({ records, when }: AppendRequest): void {
  if (records.length === 0) {
    throw new NeapError("BAD_RECORD", "records is empty, must hold at least 1");
  }
  if (records.length > REQUEST_MAX_RECORDS) {
    throw new NeapError("RECORD_TOO_LARGE", `records holds ${records.length}, must be at most ${REQUEST_MAX_RECORDS}`);
  }
  let dataBytes = 0;
  let tags = 0;
  for (const record of records) {
    checkRecord(record);
    dataBytes += record.data.byteLength;
    tags += record.tags.length;
  }
  if (tags > REQUEST_MAX_TAGS) {
    throw new NeapError("RECORD_TOO_LARGE", `records have ${tags} tags in all, must be at most ${REQUEST_MAX_TAGS}`);
  }
  if (dataBytes > FRAME_MAX_BYTES) {
    throw tooLarge(dataBytes, FRAME_MAX_BYTES);
  }
  if (when !== undefined) {
    checkConditions(when);
  }
}

export function tooLarge(sizeBytes: number, maxBytes: number): NeapError {
  return new NeapError("RECORD_TOO_LARGE", `the request has ${sizeBytes} bytes, a frame holds at most ${maxBytes}`);
}

/** @throws BAD_RECORD, RECORD_TOO_LARGE, BAD_KEY, BAD_TAG, BAD_SEQNUM  as checkRequest */
export function checkCellWrite({ key, version, kind, data, blobs, initialCursor, writer }: CellWrite): void {
  tag(writer);
  const { seqnum, role, counter } = version;
  if (!isWholeFrom0(counter, 0xffff_ffff) || (role !== 0 && role !== 1)) {
    throw new NeapError("BAD_RECORD", `version (${seqnum}, ${role}, ${counter}) must have role 0 or 1 and a counter below 2^32`);
  }
  checkNumber("version", seqnum);
  checkRecord({ kind, tags: [], data, initialCursor, cell: { key, version: null }, ...(blobs !== undefined && { blobs }) });
  if (data.byteLength > FRAME_MAX_BYTES) {
    throw tooLarge(data.byteLength, FRAME_MAX_BYTES);
  }
}

function isWholeFrom0(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

function checkRecord({ kind, tags, data, initialCursor, blobs, cell, place }: NewRecord): void {
  if (!APPENDABLE.has(kind)) {
    throw new NeapError("BAD_RECORD", `kind is ${kind}, which cannot be appended`);
  }
  if (LOCK_KINDS.has(kind)) {
    checkLock(kind, tags, data);
  }
  if (tags.length > MAX_TAGS) {
    throw new NeapError("BAD_RECORD", `tags holds ${tags.length}, must be at most ${MAX_TAGS}`);
  }
  for (let i = 0; i < tags.length; i++) {
    tag(tags[i] as Tag);
  }
  const twice = tags.length > 1 ? duplicateOf(tags) : undefined;
  if (twice !== undefined) {
    throw new NeapError("BAD_TAG", `tag ${quote(twice)} is twice in tags, may be once`);
  }
  if (kind === RecordKind.trim) {
    checkTrim(data);
  }
  if (kind === RecordKind.pin) {
    checkPin(data);
  }
  if (initialCursor !== undefined) {
    checkNumber("initialCursor", initialCursor);
  }
  if (blobs !== undefined) {
    if (blobs.length > MAX_BLOBS) {
      throw new NeapError("BAD_RECORD", `blobs holds ${blobs.length}, must be at most ${MAX_BLOBS}`);
    }
    for (const blob of blobs) {
      checkNumber("blob size", blob.sizeBytes);
    }
  }
  if (cell !== undefined || place !== undefined) {
    checkPlaced(kind, cell?.key ?? place ?? "", tags);
    if (cell !== undefined && cell.version !== null) {
      throw new NeapError("BAD_RECORD", "a cell's version must be the record's own, writeCell takes others");
    }
  }
}

/** It is read when it is decided. */
function checkPin(data: Uint8Array): void {
  try {
    pinHeadOf(data);
  } catch (cause) {
    throw new NeapError("BAD_RECORD", "the data of a PIN is malformed", { cause });
  }
}

/** Of a record that changes a cell, or that the owner places. */
function checkPlaced(kind: RecordKind, key: string, tags: readonly Tag[]): void {
  if (kind !== RecordKind.write && kind !== RecordKind.delete) {
    throw new NeapError("BAD_RECORD", `kind is ${kind}, only a write or a delete changes a cell`);
  }
  objectKey(key);
  if (tags.length > MAX_TAGS - 1) {
    throw new NeapError("BAD_RECORD", `tags holds ${tags.length}, must be at most ${MAX_TAGS - 1} with a cell`);
  }
}

/** The index reads it when it is applied, and must not fail then. A step that found its lock taken has no lock's tag, and no data. */
function checkLock(kind: RecordKind, tags: readonly Tag[], data: Uint8Array): void {
  const lock = kind === RecordKind.lockBroken ? tags[0] : tags[1];
  if (kind === RecordKind.lock && lock === undefined) {
    return;
  }
  if (lock?.startsWith(LOCK_TAG_PREFIX) !== true) {
    throw new NeapError("BAD_RECORD", `a record of kind ${kind} has no lock's tag at its place in tags`);
  }
  try {
    if (kind === RecordKind.lock) {
      lockOf(data);
    } else if (kind === RecordKind.unlock) {
      unlockOf(data);
    }
  } catch (cause) {
    throw new NeapError("BAD_RECORD", `the data of a record of kind ${kind} is malformed`, { cause });
  }
}

function checkConditions(when: readonly Condition[]): void {
  if (when.length > REQUEST_MAX_CONDITIONS) {
    throw new NeapError("BAD_RECORD", `when holds ${when.length}, must be at most ${REQUEST_MAX_CONDITIONS}`);
  }
  for (const condition of when) {
    tag(condition.tag);
    if ("length" in condition) {
      checkNumber("length", condition.length);
    } else if ("last" in condition) {
      checkNumber("last", condition.last);
    } else {
      checkNumber("newest", condition.newest);
    }
  }
}

/** @throws BAD_SEQNUM */
export function checkNumber(field: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new NeapError("BAD_SEQNUM", `${field} is ${value}, must be a whole number from 0 to 2^53 - 1`);
  }
}

function duplicateOf(tags: readonly Tag[]): Tag | undefined {
  if (tags.length > 8 && new Set(tags).size === tags.length) {
    return undefined;
  }
  return tags.find((tag, i) => i > 0 && tags.lastIndexOf(tag, i - 1) >= 0);
}
