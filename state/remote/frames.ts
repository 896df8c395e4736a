/**
 * The bytes between two nodes. A ws message is one msgpack array of frames; every frame carries the epoch (F1).
 *
 *   request  [0, epoch, id, method, body]
 *   notice   [1, epoch, 0, method, body]     a request without an answer
 *   answer   [2, epoch, id, body]
 *   error    [3, epoch, id, code, message]
 *
 * `id` counts the sender's requests from 1.
 *
 * A frame whose body is many bytes, or ends with them, is a message of its own, and they stand behind it, where nothing copies them:
 *
 *   0xc1 | where they belong (u8) | bytes of the frame (u32) | the frame, with nil in their place | the bytes
 */
import { Packr } from "msgpackr";
import { NeapError } from "../errors.ts";
import { Anything, Count, choice, either, list, type Of, Text, tuple } from "../shape.ts";

export const FrameKind = { request: 0, notice: 1, answer: 2, error: 3 } as const;

const Frame = either(
  tuple(choice(FrameKind.request), Count, Count, Text, Anything),
  tuple(choice(FrameKind.notice), Count, choice(0), Text, Anything),
  tuple(choice(FrameKind.answer), Count, Count, Anything),
  tuple(choice(FrameKind.error), Count, Count, Text, Text),
);
export type Frame = Of<typeof Frame>;

const frames = list(Frame);
// Copied buffers: a view would keep the whole message alive, and may not be viewed as anything wider than bytes.
const codec = new Packr({ useRecords: false, copyBuffers: true, moreTypes: false, structuredClone: false });

export function pack(value: unknown): Buffer {
  return codec.pack(value);
}

/** The one value that `bytes` hold. @throws BAD_MESSAGE when they are not exactly one msgpack value */
export function unpack(bytes: Uint8Array): unknown {
  try {
    return codec.unpack(bytes);
  } catch (cause) {
    throw new NeapError("BAD_MESSAGE", `message of ${bytes.byteLength} bytes is not msgpack`, { cause });
  }
}

const ARRAY_32 = 0xdd;
export const MESSAGE_HEADER_BYTES = 5;

/** Packed frames as one message. */
export function joinFrames(packed: readonly Buffer[]): Buffer {
  const header = Buffer.allocUnsafe(MESSAGE_HEADER_BYTES);
  header[0] = ARRAY_32;
  header.writeUInt32BE(packed.length, 1);
  return Buffer.concat([header, ...packed]);
}

/** Below it a message of its own costs more than the copies. */
const TAIL_MIN_BYTES = 32 * 1024;
/** A byte that begins no msgpack. */
const TAILED = 0xc1;
const TAILED_HEADER_BYTES = 6;
/** Where a tail belongs. */
const IS_BODY = 1;
const ENDS_BODY = 2;

/** A frame on its way. */
export interface PackedFrame {
  /** The whole frame; with a tail, all of its message but that. */
  readonly head: Buffer;
  /** Bytes of the caller, which they must not change before they are sent. */
  readonly tail: Uint8Array | null;
}

export function packFrame(frame: Frame): PackedFrame {
  const body: unknown = frame.at(-1);
  if (isLong(body)) {
    return { head: tailedHead(IS_BODY, [...frame.slice(0, -1), null]), tail: body };
  }
  const last: unknown = Array.isArray(body) ? body.at(-1) : undefined;
  if (isLong(last)) {
    const rest = [...(body as unknown[]).slice(0, -1), null];
    return { head: tailedHead(ENDS_BODY, [...frame.slice(0, -1), rest]), tail: last };
  }
  return { head: pack(frame), tail: null };
}

/** @param parts  one after the other the message. @throws BAD_MESSAGE when they are no message */
export function splitMessage(parts: readonly Buffer[]): readonly Frame[] {
  const [first] = parts;
  const message =
    first?.[0] === TAILED ? [tailedFrame(parts)] : unpack(parts.length === 1 && first ? first : Buffer.concat(parts));
  if (!frames.has(message)) {
    throw new NeapError("BAD_MESSAGE", `message of ${sizeOf(parts)} bytes is not a list of frames`);
  }
  return message;
}

function isLong(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.byteLength >= TAIL_MIN_BYTES;
}

function tailedHead(place: number, frame: unknown): Buffer {
  const packed = pack(frame);
  const head = Buffer.allocUnsafe(TAILED_HEADER_BYTES + packed.length);
  head[0] = TAILED;
  head[1] = place;
  head.writeUInt32BE(packed.length, 2);
  head.set(packed, TAILED_HEADER_BYTES);
  return head;
}

/** @throws BAD_MESSAGE */
function tailedFrame(parts: readonly Buffer[]): unknown {
  const [head, tail] = headAndTail(parts);
  const frame = unpack(head.subarray(TAILED_HEADER_BYTES));
  const body: unknown = Array.isArray(frame) ? frame.at(-1) : undefined;
  const place = head[1] === IS_BODY ? frame : head[1] === ENDS_BODY ? body : undefined;
  if (!Array.isArray(place) || place.length === 0) {
    throw new NeapError("BAD_MESSAGE", `message of ${sizeOf(parts)} bytes has no place for those at its end`);
  }
  place[place.length - 1] = tail;
  return frame;
}

/** As they were sent, whatever the parts are. The tail has a buffer of its own, for the reason that `codec` copies. @throws BAD_MESSAGE */
function headAndTail(parts: readonly Buffer[]): readonly [Buffer, Uint8Array] {
  const [head, tail] = parts;
  if (parts.length === 2 && head && tail && head.length >= TAILED_HEADER_BYTES && head.length === headBytes(head)) {
    const isOwn = tail.byteLength === tail.buffer.byteLength;
    return [head, isOwn ? tail : Uint8Array.prototype.slice.call(tail)];
  }
  const whole = Buffer.concat(parts);
  if (whole.length < TAILED_HEADER_BYTES || whole.length < headBytes(whole)) {
    throw new NeapError("BAD_MESSAGE", `message of ${whole.length} bytes ends inside its frame`);
  }
  return [whole.subarray(0, headBytes(whole)), Uint8Array.prototype.slice.call(whole, headBytes(whole))];
}

function headBytes(message: Buffer): number {
  return TAILED_HEADER_BYTES + message.readUInt32BE(2);
}

function sizeOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
