/** Records, conditions and outcomes as they cross, and back. What comes back is checked by the ids' own constructors. */
import { NeapError } from "../errors.ts";
import {
  type BlobName,
  type InstanceId,
  isName,
  logBookId,
  objectKey,
  quote,
  seqNum,
  TAG_MAX_BYTES,
  type Tag,
  tag,
} from "../ids.ts";
import type {
  AppendRequest,
  AppendResult,
  BlobRefLike,
  CellWrite,
  Condition,
  HeldLock,
  LogRecord,
  NewRecord,
  ReadResult,
  UnfinishedInstance,
} from "../logbook/logbook.ts";
import { conditionCode, conditionOf } from "../logbook/record-codec.ts";
import type {
  WireAppendResult,
  WireCellWrite,
  WireCondition,
  WireHeldLock,
  WireNewRecord,
  WireReadResult,
  WireRecord,
  WireUnfinished,
} from "./shard-methods.ts";

export function recordToWire(record: LogRecord): WireRecord {
  return [record.seqnum, record.kind, record.tags.map(tagToWire), record.timeMs, asBuffer(record.data)];
}

export function recordFromWire([seqnum, kind, tags, timeMs, data]: WireRecord): LogRecord {
  return { seqnum: seqNum(seqnum), kind, tags: tags.map(tag), timeMs, data: plainBytes(data) };
}

export function appendToWire({ records, when }: AppendRequest): [WireNewRecord[], WireCondition[]] {
  return [records.map(newRecordToWire), when === undefined ? [] : when.map(conditionToWire)];
}

export function appendFromWire(records: WireNewRecord[], when: WireCondition[]): AppendRequest {
  return { records: records.map(newRecordFromWire), when: when.map(conditionFromWire) };
}

function newRecordToWire({ kind, tags, data, initialCursor, blobs, cell, place }: NewRecord): WireNewRecord {
  const wireBlobs = blobs === undefined ? [] : blobs.map(({ name, sizeBytes }): [string, number] => [name, sizeBytes]);
  const [cellKey, placeKey] = [cell === undefined ? null : keyToWire(cell.key), place === undefined ? null : keyToWire(place)];
  return [kind, tags.map(tagToWire), asBuffer(data), initialCursor ?? null, wireBlobs, cellKey, placeKey];
}

function newRecordFromWire([kind, tags, data, initialCursor, blobs, cell, place]: WireNewRecord): NewRecord {
  return {
    kind,
    tags: tags.map(tag),
    data: plainBytes(data),
    ...(initialCursor !== null && { initialCursor: seqNum(initialCursor) }),
    ...(blobs.length > 0 && { blobs: blobsFromWire(blobs) }),
    ...(cell !== null && { cell: { key: objectKey(cell), version: null } }),
    ...(place !== null && { place: objectKey(place) }),
  };
}

function blobsFromWire(blobs: readonly [string, number][]): BlobRefLike[] {
  return blobs.map(([name, sizeBytes]) => ({ name: blobName(name), sizeBytes }));
}

export function cellWriteToWire({ key, version, kind, data, blobs, initialCursor, writer }: CellWrite): WireCellWrite {
  const { seqnum, role, counter } = version;
  const wireBlobs = (blobs ?? []).map(({ name, sizeBytes }): [string, number] => [name, sizeBytes]);
  return [keyToWire(key), [seqnum, role, counter], kind, asBuffer(data), wireBlobs, initialCursor, tagToWire(writer)];
}

export function cellWriteFromWire([key, [seqnum, role, counter], kind, data, blobs, cursor, writer]: WireCellWrite): CellWrite {
  return {
    key: objectKey(key),
    version: { seqnum: seqNum(seqnum), role, counter },
    kind,
    data: plainBytes(data),
    ...(blobs.length > 0 && { blobs: blobsFromWire(blobs) }),
    initialCursor: seqNum(cursor),
    writer: tag(writer),
  };
}

function conditionToWire(condition: Condition): WireCondition {
  return [tagToWire(condition.tag), ...conditionCode(condition)];
}

function conditionFromWire([name, what, value]: WireCondition): Condition {
  return conditionOf(tag(name), what, what === 0 ? value : seqNum(value));
}

export function resultToWire(result: AppendResult): WireAppendResult {
  switch (result.kind) {
    case "appended":
      return [0, result.seqnum, result.timeMs];
    case "conflict":
      return [1, result.tag, orNone(result.existing), result.tail];
    case "badPosition":
      return [2, result.tag, result.length, result.tail];
    case "closed":
      return [3, result.tag, orNone(result.done), result.tail];
    case "stale":
      return [4, result.floor];
  }
}

export function resultFromWire(result: WireAppendResult): AppendResult {
  switch (result[0]) {
    case 0:
      return { kind: "appended", seqnum: seqNum(result[1]), timeMs: result[2] };
    case 1:
      return { kind: "conflict", tag: tag(result[1]), existing: result[2] && recordFromWire(result[2]), tail: seqNum(result[3]) };
    case 2:
      return { kind: "badPosition", tag: tag(result[1]), length: result[2], tail: seqNum(result[3]) };
    case 3:
      return { kind: "closed", tag: tag(result[1]), done: result[2] && recordFromWire(result[2]), tail: seqNum(result[3]) };
    case 4:
      return { kind: "stale", floor: seqNum(result[1]) };
  }
}

export function readToWire({ record, tail, modes, aux }: ReadResult): WireReadResult {
  return [orNone(record), tail, modes, aux === undefined ? null : asBuffer(aux)];
}

export function readFromWire([record, tail, modes, aux]: WireReadResult): ReadResult {
  return {
    record: record === null ? null : recordFromWire(record),
    tail: seqNum(tail),
    modes: seqNum(modes),
    ...(aux !== null && { aux: plainBytes(aux) }),
  };
}

export function orNone(record: LogRecord | null): WireRecord | null {
  return record === null ? null : recordToWire(record);
}

export function unfinishedToWire({ book, instance, first, attempts, parked }: UnfinishedInstance): WireUnfinished {
  return [book, instance, first, attempts, parked];
}

export function unfinishedFromWire([book, instance, first, attempts, parked]: WireUnfinished): UnfinishedInstance {
  return { book: logBookId(book), instance: instanceId(instance), first: seqNum(first), attempts, parked };
}

export function heldLockToWire({ name, holder, root, token, sinceMs, count, parked }: HeldLock): WireHeldLock {
  return [name, holder, root, token, sinceMs, count, parked];
}

export function heldLockFromWire([name, holder, root, token, sinceMs, count, parked]: WireHeldLock): HeldLock {
  return { name, holder: instanceId(holder), root: instanceId(root), token: seqNum(token), sinceMs, count, parked };
}

/** @throws BAD_NAME unless it could be the name of a blob; a path never is */
export function blobName(value: string): BlobName {
  if (!isName(value)) {
    throw new NeapError("BAD_NAME", `blob name ${quote(value)} is not a name`);
  }
  return value as BlobName;
}

/** @throws BAD_NAME unless it could name an instance */
export function instanceId(value: string): InstanceId {
  if (value === "" || value.length > TAG_MAX_BYTES) {
    throw new NeapError("BAD_NAME", `instance id ${quote(value)} is not a name`);
  }
  return value as InstanceId;
}

/** @throws BAD_TAG when it is not well-formed: on its way through UTF-8 it would become another tag */
export function tagToWire(value: Tag): string {
  if (!value.isWellFormed()) {
    throw new NeapError("BAD_TAG", `tag ${quote(value)} is not well-formed`);
  }
  return value;
}

/** @throws BAD_KEY when it is not well-formed, as no key and no prefix of one is */
export function keyToWire(value: string): string {
  if (!value.isWellFormed()) {
    throw new NeapError("BAD_KEY", `key ${quote(value)} is not well-formed`);
  }
  return value;
}

/** The same bytes, not as a Buffer, whose `slice` does something else. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes that msgpackr packs as they are. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
