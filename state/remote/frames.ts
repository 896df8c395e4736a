/**
 * The bytes between two nodes. A ws message is one msgpack array of frames; every frame carries the epoch (F1).
 *
 *   request  [0, epoch, id, method, body]
 *   notice   [1, epoch, 0, method, body]     a request without an answer
 *   answer   [2, epoch, id, body]
 *   error    [3, epoch, id, code, message]
 *
 * `id` counts the sender's requests from 1.
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

/** @throws BAD_MESSAGE when the bytes are not a message */
export function splitMessage(bytes: Uint8Array): readonly Frame[] {
  const message = unpack(bytes);
  if (!frames.has(message)) {
    throw new NeapError("BAD_MESSAGE", `message of ${bytes.byteLength} bytes is not a list of frames`);
  }
  return message;
}
