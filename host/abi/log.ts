/** Imports: the streams of the tenant's LogBook that functions name themselves. */
import { MAX_SEQNUM } from "../../state/ids.ts";
import type { LogCondition } from "../../state/protocols/index.ts";
import { type Guest, GuestFault } from "../sandbox/guest.ts";
import { checkRoom, guestBytes, storeI32, storeI64 } from "./guest-memory.ts";
import { guestLogTag } from "./guest-text.ts";
import {
  logAppendArgs,
  logAppendReply,
  logReadArgs,
  logReadReply,
  logTailArgs,
  logTailReply,
  logTrimArgs,
} from "./log-messages.ts";
import { GuestError, Operation } from "./operations.ts";
import { post, request } from "./requests.ts";

export const LOG_RECORD_MAX_BYTES = 256 * 1024;
const LOG_TAGS_MAX = 16;
const LOG_CONDITIONS_MAX = 16;
/** What a timer can wait for. */
const AWAIT_MAX_MS = 2 ** 31 - 1;
/** seqnum, length, index */
const OUTCOME_BYTES = 20;
/** seqnum, whether it closes */
const HEAD_BYTES = 12;
/** length, last, gone up to, closed */
const TAIL_BYTES = 28;
const NO_CONDITIONS: readonly LogCondition[] = [];

export const log = (guest: Guest) => {
  /** The import that asks for one record at or beside a seqnum and copies what fits of it. */
  const reader =
    (name: string, operation: Operation, timeoutMs = 0) =>
    async (
      tagPointer: number,
      tagLength: number,
      seqnum: bigint,
      pointer: number,
      capacity: number,
      headPointer: number,
    ): Promise<bigint> => {
      const tag = guestLogTag(guestBytes(guest, `${name}: tag`, tagPointer, tagLength));
      guestBytes(guest, `${name}: buffer`, pointer, capacity);
      checkRoom(guest, `${name}: head`, headPointer, HEAD_BYTES);
      if (tag === null || !isSeqnum(seqnum)) {
        return BigInt(GuestError.invalid);
      }
      const { code, bytes } = await request(guest, operation, logReadArgs.encode({ tag, seqnum: Number(seqnum), timeoutMs }));
      if (code === GuestError.notFound) {
        return BigInt(code);
      }
      const found = logReadReply.decode(bytes);
      const room = guestBytes(guest, "buffer", pointer, capacity);
      room.set(found.bytes.subarray(0, room.byteLength));
      storeI64(guest, "head", headPointer, found.seqnum);
      storeI32(guest, "head", headPointer === 0 ? 0 : headPointer + 8, found.closes ? 1 : 0);
      return BigInt(code < 0 ? code : found.bytes.byteLength);
    };

  return {
    "neap.log_append": async (
      tagsPointer: number,
      tagsLength: number,
      whenPointer: number,
      whenLength: number,
      pointer: number,
      length: number,
      closes: number,
      outcomePointer: number,
    ): Promise<bigint> => {
      const tags = readTags(guestBytes(guest, "log_append: tags", tagsPointer, tagsLength));
      const when = readConditions(guestBytes(guest, "log_append: conditions", whenPointer, whenLength));
      const bytes = guestBytes(guest, "log_append: record", pointer, length);
      checkRoom(guest, "log_append: outcome", outcomePointer, OUTCOME_BYTES);
      if (tags === null || when === null) {
        return BigInt(GuestError.invalid);
      }
      if (bytes.byteLength > LOG_RECORD_MAX_BYTES) {
        return BigInt(GuestError.tooLarge);
      }
      const args = logAppendArgs.encode({ tags, when, closes: closes !== 0, bytes });
      const { code, bytes: reply } = await request(guest, Operation.logAppend, args);
      const { seqnum, length: streamLength, index } = logAppendReply.decode(reply);
      if (outcomePointer !== 0) {
        storeI64(guest, "outcome", outcomePointer, seqnum);
        storeI64(guest, "outcome", outcomePointer + 8, streamLength);
        storeI32(guest, "outcome", outcomePointer + 16, index);
      }
      return BigInt(code < 0 ? code : seqnum);
    },

    "neap.log_post": (tagsPointer: number, tagsLength: number, pointer: number, length: number): number | Promise<number> => {
      const tags = readTags(guestBytes(guest, "log_post: tags", tagsPointer, tagsLength));
      const bytes = guestBytes(guest, "log_post: record", pointer, length);
      if (tags === null) {
        return GuestError.invalid;
      }
      if (bytes.byteLength > LOG_RECORD_MAX_BYTES) {
        return GuestError.tooLarge;
      }
      return post(guest, Operation.logAppend, logAppendArgs.encode({ tags, when: NO_CONDITIONS, closes: false, bytes }), 0);
    },

    "neap.log_read_prev": reader("log_read_prev", Operation.logReadPrev),

    "neap.log_read_next": reader("log_read_next", Operation.logReadNext),

    "neap.log_await_next": async (
      tagPointer: number,
      tagLength: number,
      min: bigint,
      timeoutMs: bigint,
      pointer: number,
      capacity: number,
      headPointer: number,
    ): Promise<bigint> => {
      if (timeoutMs < 0n || timeoutMs > BigInt(AWAIT_MAX_MS)) {
        throw new GuestFault(`log_await_next: time-out is ${timeoutMs} ms, must be 0 to ${AWAIT_MAX_MS}`);
      }
      const awaitNext = reader("log_await_next", Operation.logAwaitNext, Number(timeoutMs));
      return awaitNext(tagPointer, tagLength, min, pointer, capacity, headPointer);
    },

    "neap.log_tail": async (tagPointer: number, tagLength: number, tailPointer: number): Promise<number> => {
      const tag = guestLogTag(guestBytes(guest, "log_tail: tag", tagPointer, tagLength));
      guestBytes(guest, "log_tail: tail", tailPointer, TAIL_BYTES);
      if (tag === null) {
        return GuestError.invalid;
      }
      const { bytes } = await request(guest, Operation.logTail, logTailArgs.encode(tag));
      const { length, last, goneUpTo, closed } = logTailReply.decode(bytes);
      const room = guestBytes(guest, "log_tail: tail", tailPointer, TAIL_BYTES);
      const view = new DataView(room.buffer, room.byteOffset, room.byteLength);
      view.setBigInt64(0, BigInt(length), true);
      view.setBigInt64(8, BigInt(last), true);
      view.setBigInt64(16, BigInt(goneUpTo), true);
      view.setInt32(24, closed ? 1 : 0, true);
      return 0;
    },

    "neap.log_trim": (tagPointer: number, tagLength: number, upTo: bigint): number | Promise<number> => {
      const bytes = guestBytes(guest, "log_trim: tag", tagPointer, tagLength);
      const tag = bytes.byteLength === 0 ? "" : guestLogTag(bytes);
      if (tag === null || !isSeqnum(upTo)) {
        return GuestError.invalid;
      }
      return post(guest, Operation.logTrim, logTrimArgs.encode({ tag, upTo: Number(upTo) }), 0);
    },
  };
};

function isSeqnum(value: bigint): boolean {
  return value >= 0n && value <= BigInt(MAX_SEQNUM);
}

/** u16 length and bytes of each tag; null unless they are 1 to LOG_TAGS_MAX different tags. */
function readTags(bytes: Uint8Array): readonly string[] | null {
  const tags: string[] = [];
  for (let offset = 0; offset < bytes.byteLength; ) {
    const next = readTag(bytes, offset);
    if (next === null || tags.length === LOG_TAGS_MAX || tags.includes(next.tag)) {
      return null;
    }
    tags.push(next.tag);
    offset = next.end;
  }
  return tags.length === 0 ? null : tags;
}

/** u16 length and bytes of the tag, u8 what (0 length, 1 last seqnum), i64 value; null unless they are at most LOG_CONDITIONS_MAX. */
function readConditions(bytes: Uint8Array): readonly LogCondition[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const when: LogCondition[] = [];
  for (let offset = 0; offset < bytes.byteLength; ) {
    const next = readTag(bytes, offset);
    if (next === null || when.length === LOG_CONDITIONS_MAX || next.end + 9 > bytes.byteLength) {
      return null;
    }
    const what = bytes[next.end] ?? 0;
    const value = view.getBigInt64(next.end + 1, true);
    if (what > 1 || !isSeqnum(value)) {
      return null;
    }
    when.push({ tag: next.tag, by: what === 0 ? "length" : "last", value: Number(value) });
    offset = next.end + 9;
  }
  return when;
}

function readTag(bytes: Uint8Array, offset: number): { readonly tag: string; readonly end: number } | null {
  if (offset + 2 > bytes.byteLength) {
    return null;
  }
  const start = offset + 2;
  const end = start + ((bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8));
  const tag = end > bytes.byteLength ? null : guestLogTag(bytes.subarray(start, end));
  return tag === null ? null : { tag, end };
}
