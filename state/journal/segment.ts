/**
 * The layout of segment files and frames. All numbers are little-endian.
 *
 * Segment `<number>.seg`: a header, frames without gaps, zeros to the end.
 *
 *     0        8        12      16                32       36     40     44          48       56    64
 *     +--------+--------+-------+-----------------+--------+------+------+-----------+--------+-----+
 *     | magic  | version| crc32 | journal id      | number | mark | seed | size (B)  | base   |  0  | frames …
 *     | 8 B    | u32    | u32   | 16 B            | u32    | u32  | u32  | u32       | f64    |     |
 *     +--------+--------+-------+-----------------+--------+------+------+-----------+--------+-----+
 *
 * Frame, padded with zeros to a multiple of 8:
 *
 *     0        4        8        12       16       24
 *     +--------+--------+--------+--------+--------+---------
 *     | mark   | crc32  | length | epoch  | number | payload
 *     | u32    | u32    | u32    | u32    | f64    |
 *     +--------+--------+--------+--------+--------+---------
 *
 * `mark` and `seed` are the salt, drawn for each use of a segment and told to nobody (F33): the mark begins each of its frames,
 * the seed starts their checksums. So neither the bytes of an earlier use nor bytes that a guest made look like a frame.
 *
 * A frame's checksum covers the address of the frame (`base` + offset, counted over all segments) and all its bytes from 8 on, the
 * padding included. Frames are numbered 1, 2, 3 … over the whole journal. As only one is in flight (J3), number n also says that
 * all up to n − 1 are durable, which is the durable position that F33 wants each frame to carry.
 *
 * An empty frame (length 0) is the journal's own and only says that the frame before it was durable.
 */
import { crc32 } from "node:zlib";
import { FRAME_MAX_BYTES } from "./journal.ts";

export const SEGMENT_HEADER_BYTES = 64;
export const FRAME_HEADER_BYTES = 24;
/** A whole frame without payload. */
export const EMPTY_FRAME_BYTES = FRAME_HEADER_BYTES;

const MAGIC = Buffer.from("NeapSeg\n", "latin1");
const VERSION = 1;

export interface Segment {
  /** 32 hexadecimal digits. */
  readonly journalId: string;
  /** 0, 1, 2 … */
  readonly number: number;
  /** Address of the segment's byte 0: the sizes of all segments before it. */
  readonly base: number;
  readonly sizeBytes: number;
  /** Never 0, so that zeros are no frame. */
  readonly mark: number;
  readonly seed: number;
}

export interface Frame {
  readonly number: number;
  readonly epoch: number;
  /** Within the segment. */
  readonly offset: number;
  /** With header and padding. */
  readonly sizeBytes: number;
  /** A view of the bytes that were decoded. */
  readonly payload: Uint8Array;
}

export function segmentName(number: number): string {
  return `${String(number).padStart(10, "0")}.seg`;
}

/** The segment number in a file name; undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{10}\.seg$/.test(name) ? Number.parseInt(name, 10) : undefined;
}

/** With header and padding. */
export function frameBytes(payloadBytes: number): number {
  return (FRAME_HEADER_BYTES + payloadBytes + 7) & ~7;
}

export function encodeSegmentHeader(segment: Segment): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(VERSION, 8);
  bytes.write(segment.journalId, 16, "hex");
  bytes.writeUInt32LE(segment.number, 32);
  bytes.writeUInt32LE(segment.mark, 36);
  bytes.writeUInt32LE(segment.seed, 40);
  bytes.writeUInt32LE(segment.sizeBytes, 44);
  bytes.writeDoubleLE(segment.base, 48);
  bytes.writeUInt32LE(crc32(bytes), 12);
  return bytes;
}

/** Undefined unless `bytes` are a whole header of this version. */
export function decodeSegmentHeader(bytes: Uint8Array): Segment | undefined {
  const header = Buffer.from(bytes.subarray(0, SEGMENT_HEADER_BYTES));
  if (header.length < SEGMENT_HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC)) {
    return undefined;
  }
  const checksum = header.readUInt32LE(12);
  header.writeUInt32LE(0, 12);
  if (crc32(header) !== checksum || header.readUInt32LE(8) !== VERSION) {
    return undefined;
  }
  return {
    journalId: header.toString("hex", 16, 32),
    number: header.readUInt32LE(32),
    mark: header.readUInt32LE(36),
    seed: header.readUInt32LE(40),
    sizeBytes: header.readUInt32LE(44),
    base: header.readDoubleLE(48),
  };
}

/**
 * Lays a frame out at the start of `into`.
 *
 * @param offset  where in the segment it will be written
 * @returns its size with header and padding
 */
export function encodeFrame(
  into: Buffer,
  segment: Segment,
  offset: number,
  number: number,
  epoch: number,
  payload: Uint8Array,
): number {
  const sizeBytes = frameBytes(payload.byteLength);
  into.writeUInt32LE(segment.mark, 0);
  into.writeUInt32LE(payload.byteLength, 8);
  into.writeUInt32LE(epoch, 12);
  into.writeDoubleLE(number, 16);
  into.set(payload, FRAME_HEADER_BYTES);
  into.fill(0, FRAME_HEADER_BYTES + payload.byteLength, sizeBytes);
  into.writeUInt32LE(frameChecksum(into, 0, sizeBytes, segment, offset), 4);
  return sizeBytes;
}

/**
 * The frame at `offset` of a segment; undefined when there is none.
 *
 * @param content  the segment from its byte `contentStart` on
 */
export function decodeFrame(content: Buffer, segment: Segment, offset: number, contentStart = 0): Frame | undefined {
  const at = offset - contentStart;
  if (at + FRAME_HEADER_BYTES > content.length || content.readUInt32LE(at) !== segment.mark) {
    return undefined;
  }
  const length = content.readUInt32LE(at + 8);
  const sizeBytes = frameBytes(length);
  if (length > FRAME_MAX_BYTES || at + sizeBytes > content.length) {
    return undefined;
  }
  if (content.readUInt32LE(at + 4) !== frameChecksum(content, at, sizeBytes, segment, offset)) {
    return undefined;
  }
  const start = at + FRAME_HEADER_BYTES;
  return {
    number: content.readDoubleLE(at + 16),
    epoch: content.readUInt32LE(at + 12),
    offset,
    sizeBytes,
    payload: content.subarray(start, start + length),
  };
}

/** The first frame that begins after `offset`. */
export function findFrameAfter(content: Buffer, segment: Segment, offset: number): Frame | undefined {
  const mark = Buffer.alloc(4);
  mark.writeUInt32LE(segment.mark);
  for (let at = content.indexOf(mark, offset + 1); at !== -1; at = content.indexOf(mark, at + 1)) {
    const frame = at % 8 === 0 ? decodeFrame(content, segment, at) : undefined;
    if (frame !== undefined) {
      return frame;
    }
  }
  return undefined;
}

const addressBytes = Buffer.alloc(8);

function frameChecksum(bytes: Buffer, at: number, sizeBytes: number, segment: Segment, offset: number): number {
  addressBytes.writeDoubleLE(segment.base + offset);
  return crc32(bytes.subarray(at + 8, at + sizeBytes), crc32(addressBytes, segment.seed));
}
