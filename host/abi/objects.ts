/** Imports: objects. */
import { MAX_SEQNUM } from "../../state/ids.ts";
import type { Guest } from "../sandbox/guest.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { checkRoom, guestBytes, storeI64 } from "./guest-memory.ts";
import { guestKey, guestPrefix } from "./guest-text.ts";
import {
  GuestError,
  Operation,
  objectDeleteArgs,
  objectListArgs,
  objectListReply,
  objectReadArgs,
  objectReadReply,
  objectUpdateArgs,
  objectWriteArgs,
  STAGE_CHUNK_BYTES,
} from "./operations.ts";
import { post, request } from "./requests.ts";

/** What one read asks of the host at most: a larger one is several requests, and no message keeps the main thread for long. */
export const READ_SLICE_BYTES = 1024 * 1024;
const LIST_ENTRIES_MAX = 1000;
/** Length, one byte of key, size. */
const LIST_ENTRY_MIN_BYTES = 2 + 1 + 8;
const NOTHING = new Uint8Array(0);

export const objects = (guest: Guest) => ({
  "neap.object_read": (
    keyPointer: number,
    keyLength: number,
    offset: bigint,
    pointer: number,
    capacity: number,
    versionPointer: number,
  ): bigint | Promise<bigint> => {
    const key = guestKey(guest, "object_read: key", keyPointer, keyLength);
    guestBytes(guest, "object_read: buffer", pointer, capacity);
    checkRoom(guest, "object_read: version", versionPointer, 8);
    if (key === null || offset < 0n) {
      return BigInt(GuestError.invalid);
    }
    const start = Math.min(Number(offset), MAX_SEQNUM);
    return copyObject(guest, Operation.objectRead, { key, start, pointer, capacity, versionPointer });
  },

  "neap.object_read_for_update": (
    keyPointer: number,
    keyLength: number,
    pointer: number,
    capacity: number,
    versionPointer: number,
  ): bigint | Promise<bigint> => {
    const key = guestKey(guest, "object_read_for_update: key", keyPointer, keyLength);
    guestBytes(guest, "object_read_for_update: buffer", pointer, capacity);
    checkRoom(guest, "object_read_for_update: version", versionPointer, 8);
    if (key === null) {
      return BigInt(GuestError.invalid);
    }
    return copyObject(guest, Operation.objectReadForUpdate, { key, start: 0, pointer, capacity, versionPointer });
  },

  "neap.object_write": (keyPointer: number, keyLength: number, pointer: number, length: number): number | Promise<number> => {
    const key = guestKey(guest, "object_write: key", keyPointer, keyLength);
    const value = guestBytes(guest, "object_write: value", pointer, length);
    if (key === null) {
      return GuestError.invalid;
    }
    return writeObject(guest, key, pointer, value);
  },

  "neap.object_update": async (
    keyPointer: number,
    keyLength: number,
    pointer: number,
    length: number,
    version: bigint,
  ): Promise<number> => {
    const key = guestKey(guest, "object_update: key", keyPointer, keyLength);
    const value = guestBytes(guest, "object_update: value", pointer, length);
    if (key === null || version < 0n || version > BigInt(MAX_SEQNUM)) {
      return GuestError.invalid;
    }
    const staged = value.byteLength > STAGE_CHUNK_BYTES;
    const args = objectUpdateArgs.encode({ key, version: Number(version), staged, value: staged ? NOTHING : value });
    if (staged) {
      const code = await stage(guest, value.byteLength, ofGuest(guest, pointer));
      if (code < 0) {
        return code;
      }
    }
    return codeOf(guest, await request(guest, Operation.objectUpdate, args));
  },

  "neap.object_delete": (keyPointer: number, keyLength: number): number | Promise<number> => {
    const key = guestKey(guest, "object_delete: key", keyPointer, keyLength);
    return key === null ? GuestError.invalid : post(guest, Operation.objectDelete, objectDeleteArgs.encode(key), 0);
  },

  "neap.object_list": async (
    prefixPointer: number,
    prefixLength: number,
    afterPointer: number,
    afterLength: number,
    pointer: number,
    capacity: number,
  ): Promise<number> => {
    const prefix = guestPrefix(guest, "object_list: prefix", prefixPointer, prefixLength);
    const after = guestPrefix(guest, "object_list: after", afterPointer, afterLength);
    const { byteLength } = guestBytes(guest, "object_list: buffer", pointer, capacity);
    if (prefix === null || after === null) {
      return GuestError.invalid;
    }
    // One at least, which tells "no more" from "too little room".
    const limit = Math.max(1, Math.min(LIST_ENTRIES_MAX, Math.floor(byteLength / LIST_ENTRY_MIN_BYTES)));
    const reply = await request(guest, Operation.objectList, objectListArgs.encode({ prefix, after, limit }));
    if (reply.code < 0) {
      return codeOf(guest, reply);
    }
    return writeEntries(guestBytes(guest, "object_list: buffer", pointer, capacity), objectListReply.decode(reply.bytes));
  },
});

/** @param value  at `pointer` in the guest's memory. @returns 0, or the code of the refusal */
export function writeObject(guest: Guest, key: string, pointer: number, value: Uint8Array): number | Promise<number> {
  if (value.byteLength <= STAGE_CHUNK_BYTES) {
    return post(guest, Operation.objectWrite, objectWriteArgs.encode({ key, staged: false, value }), 0);
  }
  return stage(guest, value.byteLength, ofGuest(guest, pointer)).then((code) =>
    code < 0 ? code : post(guest, Operation.objectWrite, objectWriteArgs.encode({ key, staged: true, value: NOTHING }), 0),
  );
}

interface Copy {
  readonly key: string;
  readonly start: number;
  readonly pointer: number;
  readonly capacity: number;
  readonly versionPointer: number;
}

/**
 * Copies the object slice by slice. All slices are of one version: nothing moves the call's cursor between them.
 *
 * @returns size of the object, or the reply's error code
 */
async function copyObject(guest: Guest, operation: Operation, copy: Copy): Promise<bigint> {
  const { key, start, versionPointer } = copy;
  const pointer = copy.pointer >>> 0;
  const capacity = copy.capacity >>> 0;
  let copiedBytes = 0;
  for (let next = operation; ; next = Operation.objectRead) {
    const maxBytes = Math.min(capacity - copiedBytes, READ_SLICE_BYTES);
    const reply = await request(guest, next, objectReadArgs.encode({ key, offset: start + copiedBytes, maxBytes }));
    if (reply.code < 0) {
      const isRead = reply.code !== GuestError.tooLarge && reply.bytes.byteLength > 0;
      storeI64(guest, "version", versionPointer, isRead ? objectReadReply.decode(reply.bytes).version : 0);
      return BigInt(codeOf(guest, reply));
    }
    const { sizeBytes, version, slice } = objectReadReply.decode(reply.bytes);
    guestBytes(guest, "buffer", pointer + copiedBytes, slice.byteLength).set(slice);
    copiedBytes += slice.byteLength;
    if (slice.byteLength === 0 || copiedBytes === capacity || start + copiedBytes >= sizeBytes) {
      storeI64(guest, "version", versionPointer, version);
      return BigInt(sizeBytes);
    }
  }
}

/** A piece of a value. */
type Piece = (offset: number, length: number) => Uint8Array | Promise<Uint8Array>;

const ofGuest =
  (guest: Guest, pointer: number): Piece =>
  (offset, length) =>
    guestBytes(guest, "value", (pointer >>> 0) + offset, length);

/** Sends a large value ahead of the operation that names it. @returns 0, or the code of the refusal */
export async function stage(guest: Guest, sizeBytes: number, piece: Piece): Promise<number> {
  for (let offset = 0; offset < sizeBytes; offset += STAGE_CHUNK_BYTES) {
    const chunk = await piece(offset, Math.min(STAGE_CHUNK_BYTES, sizeBytes - offset));
    const reply = await request(guest, Operation.stageChunk, chunk);
    if (reply.code < 0) {
      return codeOf(guest, reply);
    }
  }
  return 0;
}

/** Keeps what was too large, for `transaction_conflict`. @returns the code */
export function codeOf({ call }: Guest, { code, bytes }: OperationReply): number {
  if (code === GuestError.tooLarge) {
    call.refusal = Uint8Array.from(bytes);
  }
  return code;
}

/** @returns bytes written, or GuestError.tooLarge when not even the first entry fits */
function writeEntries(room: Uint8Array, entries: readonly { key: string; sizeBytes: number }[]): number {
  const view = new DataView(room.buffer, room.byteOffset, room.byteLength);
  let offset = 0;
  for (const { key, sizeBytes } of entries) {
    const keyBytes = Buffer.from(key);
    const end = offset + 2 + keyBytes.byteLength + 8;
    if (end > room.byteLength) {
      return offset === 0 ? GuestError.tooLarge : offset;
    }
    view.setUint16(offset, keyBytes.byteLength, true);
    room.set(keyBytes, offset + 2);
    view.setBigUint64(end - 8, BigInt(sizeBytes), true);
    offset = end;
  }
  return offset;
}
