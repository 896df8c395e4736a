/**
 * The tenant's log: records that are appended to streams and never changed. A stream is named by a tag, a text of 1 to 256 bytes
 * without control characters; a record is bytes, in 1 to 16 streams, and has a seqnum that is larger than those of all records
 * before it. All functions of a tenant see the same streams, nobody else does.
 *
 * Every append happens exactly once, and a call that the host runs again reads again what it read.
 */
import { toBytes, toText } from "./bytes";
import * as host from "./host";

/** Above every seqnum: reads up to it find the newest record. */
export const MAX_SEQNUM: i64 = 9007199254740991;

const RECORD_MAX_BYTES: i32 = 262144;
const TAG_MAX_BYTES: i32 = 256;
const TAGS_MAX: i32 = 16;
const CONDITIONS_MAX: i32 = 16;
const NO_CONDITIONS: Condition[] = [];
const FIRST_READ_BYTES: i32 = 4096;
const OUTCOME_BYTES: i32 = 20;
const HEAD_BYTES: i32 = 12;
const TAIL_BYTES: i32 = 28;

/** A record of a stream. */
export class LogRecord {
  constructor(
    readonly seqnum: i64,
    readonly bytes: Uint8Array,
    /** It is the one that closed the stream. */
    readonly closes: bool,
  ) {}

  /** `bytes` as text. */
  get text(): string {
    return toText(this.bytes);
  }
}

/** What a read found. */
export class LogRead {
  constructor(
    /** Null when there is none, or when it is gone. */
    readonly record: LogRecord | null,
    /** Records up to this seqnum were trimmed, and one of them was asked for: go on behind it. 0 otherwise. */
    readonly goneUpTo: i64,
  ) {}

  /** Whether what was asked for was trimmed. */
  get isTrimmed(): bool {
    return this.goneUpTo > 0;
  }
}

/** A stream as it is now. */
export class LogTail {
  constructor(
    /** Records ever appended, also those that were trimmed. */
    readonly length: i64,
    /** Seqnum of the last one, 0 when there was none. */
    readonly last: i64,
    /** Records up to this seqnum are trimmed; 0 when none are. */
    readonly goneUpTo: i64,
    readonly closed: bool,
  ) {}
}

/** What must hold for an append to happen. */
export class Condition {
  private constructor(
    readonly tag: string,
    readonly what: u8,
    readonly value: i64,
  ) {}

  /** The stream has had so many records, so that the new one gets this position. */
  static length(tag: string, length: i64): Condition {
    return new Condition(tag, 0, length);
  }

  /** The stream's last record has this seqnum; 0 for a stream that has had none. */
  static last(tag: string, seqnum: i64): Condition {
    return new Condition(tag, 1, seqnum);
  }
}

/** How an append ended. */
export class Append {
  constructor(
    /** The record's seqnum, or a negative code. */
    private readonly code: i64,
    /** The stream that refused it; "" when it was appended. */
    readonly tag: string,
    /** Seqnum of the record that stood in the way; 0 when there is none, or when it was trimmed. */
    readonly winnerSeqnum: i64,
    /** Of a stream that is shorter than a condition says: its length. */
    readonly length: i64,
  ) {}

  get ok(): bool {
    return this.code > 0;
  }

  /** The record's seqnum; 0 when it was refused. */
  get seqnum(): i64 {
    return this.code > 0 ? this.code : 0;
  }

  /** Whether the stream is closed. */
  get closed(): bool {
    return this.code == host.CLOSED;
  }

  /** The record that stood in the way, or that closed the stream; null when there is none, or when it was trimmed. */
  winner(): LogRecord | null {
    return this.winnerSeqnum == 0 ? null : logbook.prev(this.tag, this.winnerSeqnum).record;
  }
}

export namespace logbook {
  /** Appends a record to a stream. Refused only when that is closed. */
  export function append(tag: string, text: string): Append {
    return appendIf([tag], toBytes(text), NO_CONDITIONS);
  }

  /** Appends one record to several streams, if all conditions hold. */
  export function appendIf(tags: string[], bytes: Uint8Array, when: Condition[]): Append {
    return appended("logbook.append", tags, bytes, when, false);
  }

  /** Appends a record without waiting to be told. When the stream is closed, nothing happens. */
  export function post(tag: string, text: string): void {
    const tags = packTags([tag]);
    const bytes = toBytes(text);
    const code = host.logPost(tags.dataStart, tags.byteLength, bytes.dataStart, bytes.byteLength);
    checked(code, "logbook.post", [tag], NO_CONDITIONS, "record", bytes.byteLength);
  }

  /** Appends a stream's last record: every later append is refused with it. */
  export function close(tag: string, text: string): Append {
    return appended("logbook.close", [tag], toBytes(text), NO_CONDITIONS, true);
  }

  /** The last record with a seqnum up to `max`; MAX_SEQNUM for the newest. */
  export function prev(tag: string, max: i64): LogRead {
    const name = toBytes(tag);
    const head = memory.data(HEAD_BYTES, 8);
    const room = new Uint8Array(FIRST_READ_BYTES);
    const size = host.logReadPrev(name.dataStart, name.byteLength, max, room.dataStart, room.byteLength, head);
    return found("logbook.prev", tag, "max", max, size, head, room);
  }

  /** The first record with a seqnum of `min` or more: one above the last one read goes through a stream without gaps. */
  export function next(tag: string, min: i64): LogRead {
    const name = toBytes(tag);
    const head = memory.data(HEAD_BYTES, 8);
    const room = new Uint8Array(FIRST_READ_BYTES);
    const size = host.logReadNext(name.dataStart, name.byteLength, min, room.dataStart, room.byteLength, head);
    return found("logbook.next", tag, "min", min, size, head, room);
  }

  /**
   * Like `next`, and waits for such a record, for `timeoutMs` but no longer than half of the call's time limit. Nothing when
   * none came, or when none can come as the stream is closed.
   */
  export function awaitNext(tag: string, min: i64, timeoutMs: i64): LogRead {
    const name = toBytes(tag);
    const head = memory.data(HEAD_BYTES, 8);
    const room = new Uint8Array(FIRST_READ_BYTES);
    const size = host.logAwaitNext(name.dataStart, name.byteLength, min, timeoutMs, room.dataStart, room.byteLength, head);
    return found("logbook.awaitNext", tag, "min", min, size, head, room);
  }

  /** The stream as it is now. */
  export function tail(tag: string): LogTail {
    const name = toBytes(tag);
    const at = memory.data(TAIL_BYTES, 8);
    checked(host.logTail(name.dataStart, name.byteLength, at), "logbook.tail", [tag], NO_CONDITIONS, "", 0);
    return new LogTail(load<i64>(at), load<i64>(at, 8), load<i64>(at, 16), load<i32>(at, 24) != 0);
  }

  /** Takes the records with a seqnum up to `upTo` away from a stream. In their other streams they stay. */
  export function trim(tag: string, upTo: i64): void {
    const name = toBytes(tag);
    if (name.byteLength == 0) throw new Error("logbook.trim: '' is not a tag: trimAll trims all streams");
    checked(host.logTrim(name.dataStart, name.byteLength, upTo), "logbook.trim", [tag], NO_CONDITIONS, "upTo", upTo);
  }

  /** Takes the records with a seqnum up to `upTo` away from all streams of the tenant's functions. */
  export function trimAll(upTo: i64): void {
    if (host.logTrim(0, 0, upTo) < 0) throw new Error("logbook.trimAll: " + outOfRange("upTo", upTo));
  }
}

function appended(what: string, tags: string[], bytes: Uint8Array, when: Condition[], closes: bool): Append {
  const names = packTags(tags);
  const conditions = packConditions(when);
  const outcome = memory.data(OUTCOME_BYTES, 8);
  const code = host.logAppend(
    names.dataStart,
    names.byteLength,
    conditions.dataStart,
    conditions.byteLength,
    bytes.dataStart,
    bytes.byteLength,
    closes ? 1 : 0,
    outcome,
  );
  if (code > 0) return new Append(code, "", 0, 0);
  checked(code, what, tags, when, "record", bytes.byteLength);
  const index = load<i32>(outcome, 16);
  const tag = index < when.length ? when[index].tag : tags[index - when.length];
  return new Append(code, tag, load<i64>(outcome), load<i64>(outcome, 8));
}

/** A record that is larger than `room` is read again: its seqnum is known now, so that costs no step. */
function found(what: string, tag: string, field: string, asked: i64, size: i64, head: usize, room: Uint8Array): LogRead {
  if (size == host.NOT_FOUND) return new LogRead(null, 0);
  const seqnum = load<i64>(head);
  if (size == host.TRIMMED) return new LogRead(null, seqnum);
  checked(size, what, [tag], NO_CONDITIONS, field, asked);
  const closes = load<i32>(head, 8) != 0;
  if (size <= room.byteLength) return new LogRead(new LogRecord(seqnum, room.subarray(0, <i32>size), closes), 0);
  const name = toBytes(tag);
  const whole = new Uint8Array(<i32>size);
  const again = host.logReadPrev(name.dataStart, name.byteLength, seqnum, whole.dataStart, whole.byteLength, 0);
  return again == size ? new LogRead(new LogRecord(seqnum, whole, closes), 0) : new LogRead(null, seqnum);
}

/** u16 length and bytes of each tag. */
function packTags(tags: string[]): Uint8Array {
  let sizeBytes = 0;
  for (let i = 0; i < tags.length; i++) sizeBytes += 2 + String.UTF8.byteLength(tags[i]);
  const packed = new Uint8Array(sizeBytes);
  let at = packed.dataStart;
  for (let i = 0; i < tags.length; i++) at = packTag(tags[i], at);
  return packed;
}

/** A tag like that, u8 what, i64 value. */
function packConditions(when: Condition[]): Uint8Array {
  let sizeBytes = 0;
  for (let i = 0; i < when.length; i++) sizeBytes += 2 + String.UTF8.byteLength(when[i].tag) + 9;
  const packed = new Uint8Array(sizeBytes);
  let at = packed.dataStart;
  for (let i = 0; i < when.length; i++) {
    at = packTag(when[i].tag, at);
    store<u8>(at, when[i].what);
    store<i64>(at + 1, when[i].value);
    at += 9;
  }
  return packed;
}

/** Returns where it ends. A tag that is too long is refused by the host, whatever its length says. */
function packTag(tag: string, at: usize): usize {
  const bytes = toBytes(tag);
  store<u16>(at, <u16>min(bytes.byteLength, 0xffff));
  memory.copy(at + 2, bytes.dataStart, bytes.byteLength);
  return at + 2 + bytes.byteLength;
}

/**
 * Passes refusals on; a tag, number or record that may not be is a mistake of the program and ends the call.
 *
 * `value`: of `field`, a seqnum; or the size of a record.
 */
function checked(code: i64, what: string, tags: string[], when: Condition[], field: string, value: i64): void {
  if (code == host.INVALID) throw new Error(what + ": " + mistake(tags, when, field, value));
  if (code == host.TOO_LARGE) {
    const limit = RECORD_MAX_BYTES.toString();
    throw new Error(what + "('" + tags.join("', '") + "'): the record has " + value.toString() + " bytes, the limit is " + limit);
  }
}

/** The first thing that the host has refused, with its limit. */
function mistake(tags: string[], when: Condition[], field: string, value: i64): string {
  if (tags.length < 1 || tags.length > TAGS_MAX) {
    return "tags holds " + tags.length.toString() + ", must hold 1 to " + TAGS_MAX.toString();
  }
  for (let i = 0; i < tags.length; i++) {
    const wrong = tagMistake(tags[i]);
    if (wrong != "") return wrong;
    if (tags.indexOf(tags[i]) < i) return "tag '" + tags[i] + "' is twice in tags";
  }
  if (when.length > CONDITIONS_MAX) {
    return "when holds " + when.length.toString() + " conditions, must hold at most " + CONDITIONS_MAX.toString();
  }
  for (let i = 0; i < when.length; i++) {
    const wrong = tagMistake(when[i].tag);
    if (wrong != "") return "condition: " + wrong;
    if (!isSeqnum(when[i].value)) {
      return "condition: " + outOfRange((when[i].what == 0 ? "length of '" : "last of '") + when[i].tag + "'", when[i].value);
    }
  }
  return outOfRange(field, value);
}

/** "" when there is none. */
function tagMistake(tag: string): string {
  const sizeBytes = String.UTF8.byteLength(tag);
  if (sizeBytes < 1 || sizeBytes > TAG_MAX_BYTES) {
    return "tag '" + tag.slice(0, 64) + "' has " + sizeBytes.toString() + " bytes, must have 1 to " + TAG_MAX_BYTES.toString();
  }
  for (let i = 0; i < tag.length; i++) {
    const code = tag.codePointAt(i);
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
    if (isControl || (code >= 0xd800 && code < 0xe000)) {
      return "tag '" + tag + "' has the control character, or half of another, " + code.toString();
    }
    if (code > 0xffff) i++;
  }
  return "";
}

function outOfRange(field: string, value: i64): string {
  return field + " is " + value.toString() + ", must be 0 to " + MAX_SEQNUM.toString();
}

function isSeqnum(value: i64): bool {
  return value >= 0 && value <= MAX_SEQNUM;
}
