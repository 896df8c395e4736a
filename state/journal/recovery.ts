/**
 * What a crash left behind: finds the end of the journal, repairs it, and reads the frames before it.
 *
 * Owns: the judgement of bytes on disk at an opening. Does not own: writing new frames.
 *
 * R1. One torn frame at the end is accepted and nothing else: whatever is bad before a valid frame is damage (F33).
 * R2. Nothing is written before the end was found without damage.
 * R3. After `repairTail` the last frame is on disk, whatever the page cache held, and only zeros follow it (F12).
 */
import { NeapError } from "../errors.ts";
import { UNFINISHED_SUFFIX } from "./allocation.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { FRAME_MAX_BYTES, JOURNAL_BEGIN, type JournalFrame, type JournalPosition } from "./journal.ts";
import {
  decodeFrame,
  decodeSegmentHeader,
  FRAME_HEADER_BYTES,
  type Frame,
  findFrameAfter,
  frameBytes,
  SEGMENT_HEADER_BYTES,
  type Segment,
  segmentName,
  segmentNumber,
} from "./segment.ts";

const MAXIMAL_FRAME_BYTES = frameBytes(FRAME_MAX_BYTES);

export interface Tail {
  /** Number and epoch of the last frame, 0 when the journal has none. */
  readonly number: number;
  readonly epoch: number;
  /** Index of the segment and offset in it where the next frame goes. */
  readonly segment: number;
  readonly offset: number;
  /** Bytes of the last frame; undefined when the journal has none. */
  readonly lastFrame: Uint8Array | undefined;
  /** Bytes of a torn frame that are not zero. */
  readonly torn: { readonly segment: number; readonly offset: number; readonly sizeBytes: number } | undefined;
}

/**
 * The segments of the folder, oldest first, unused ones included; unfinished ones are removed. The first ones may be released:
 * whether they were still needed is for `readFrames` to say.
 *
 * @throws JOURNAL_DAMAGED  a segment between others is missing, has another size than it was made with, a bad header, or belongs
 *   elsewhere
 */
export function listSegments(disk: Disk): Segment[] {
  const numbers: number[] = [];
  for (const name of disk.list()) {
    const number = segmentNumber(name);
    if (number !== undefined) {
      numbers.push(number);
    } else if (name.endsWith(`.seg${UNFINISHED_SUFFIX}`)) {
      disk.remove(name);
    }
  }
  numbers.sort((a, b) => a - b);
  const segments: Segment[] = [];
  const first = numbers[0] ?? 0;
  for (const number of numbers) {
    if (number !== first + segments.length) {
      throw damage(disk, first + segments.length, 0, "the file is missing");
    }
    segments.push(readHeader(disk, number, segments.at(-1)));
  }
  return segments;
}

/** @throws JOURNAL_DAMAGED  names the file and the offset of the first bad frame of the last used segment */
export function findTail(disk: Disk, segments: readonly Segment[]): Tail {
  let torn: Tail["torn"];
  for (let index = lastUsed(disk, segments); index >= 0; index -= 1) {
    const segment = at(segments, index);
    const content = readSegment(disk, segment, 0, segment.sizeBytes);
    const { last, end } = scan(disk, segment, content);
    const junkEnd = endOfContent(content, end);
    if (junkEnd > end) {
      const later = findFrameAfter(content, segment, end);
      if (later !== undefined || torn !== undefined || junkEnd - end > MAXIMAL_FRAME_BYTES) {
        const why = later === undefined ? "more than one torn frame" : `a bad frame before the valid frame ${later.number}`;
        throw damage(disk, segment.number, end, why);
      }
      torn = { segment: index, offset: end, sizeBytes: junkEnd - end };
    }
    if (last === undefined && torn?.segment !== index) {
      throw damage(disk, segment.number, end, "no frame, in spite of what follows in the next segment");
    }
    if (last !== undefined || segment.number === 0) {
      return {
        number: last?.number ?? 0,
        epoch: last?.epoch ?? 0,
        segment: index,
        offset: end,
        lastFrame: last && content.subarray(last.offset, end),
        torn,
      };
    }
  }
  const first = segments[0]?.number ?? 0;
  if (first > 0) {
    throw damage(disk, first, SEGMENT_HEADER_BYTES, "no frame, and the segments before are missing");
  }
  return { number: 0, epoch: 0, segment: 0, offset: SEGMENT_HEADER_BYTES, lastFrame: undefined, torn: undefined };
}

/**
 * Writes the last frame again and zeros over the torn one, and flushes them and the folder: after a failed flush, or a kill before
 * it, the bytes that were read may exist in the page cache only (F12).
 */
export function repairTail(disk: Disk, segments: readonly Segment[], tail: Tail): void {
  const { torn, lastFrame } = tail;
  if (torn !== undefined) {
    rewrite(disk, at(segments, torn.segment), torn.offset, Buffer.alloc(torn.sizeBytes));
  }
  if (lastFrame !== undefined) {
    rewrite(disk, at(segments, tail.segment), tail.offset - lastFrame.byteLength, lastFrame);
  }
  disk.syncDirectory();
}

/**
 * The frames with a payload after `from` and up to `to`, oldest first. Payloads are views that stay valid. Reads these bytes and no
 * others.
 *
 * @throws JOURNAL_DAMAGED  at once when `from` is not in the journal; as soon as a frame is bad or missing
 */
export function* readFrames(
  disk: Disk,
  segments: readonly Segment[],
  to: JournalPosition,
  from: JournalPosition = JOURNAL_BEGIN,
): Generator<JournalFrame> {
  const last = to.frame;
  let read = from.frame;
  if (read > last) {
    const what = `the checkpoint holds frames up to ${read}, the journal ends with ${last}: they are not of one moment`;
    throw damage(disk, segments.at(-1)?.number ?? 0, 0, what);
  }
  const start = segments[0]?.base ?? 0;
  if (from.address < start) {
    const needed = from.frame === 0 ? "there is no checkpoint" : `the checkpoint ends with frame ${from.frame}`;
    throw damage(disk, (segments[0]?.number ?? 0) - 1, 0, `the file is missing and still needed: ${needed}`);
  }
  let end = { segment: segments[0]?.number ?? 0, offset: SEGMENT_HEADER_BYTES };
  for (const segment of segments) {
    if (read === last) {
      return;
    }
    if (segment.base + segment.sizeBytes <= from.address) {
      continue;
    }
    let offset = Math.max(SEGMENT_HEADER_BYTES, from.address - segment.base);
    const contentStart = offset;
    const content = readSegment(disk, segment, contentStart, Math.min(segment.sizeBytes, to.address - segment.base));
    while (read < last) {
      const frame = decodeFrame(content, segment, offset, contentStart);
      if (frame?.number !== read + 1) {
        break;
      }
      read += 1;
      offset += frame.sizeBytes;
      end = { segment: segment.number, offset };
      if (frame.payload.byteLength > 0) {
        const address = segment.base + frame.offset;
        const after = { frame: read, address: address + frame.sizeBytes };
        yield { address: address + FRAME_HEADER_BYTES, end: after, payload: frame.payload };
      }
    }
    // No frame begins with zeros, so the next one is in the next segment; anything else is a bad frame.
    const next = content.subarray(offset - contentStart, offset - contentStart + FRAME_HEADER_BYTES);
    if (read < last && endOfContent(next, 0) > 0) {
      throw damage(disk, segment.number, offset, `frame ${read + 1} of ${last} is bad`);
    }
  }
  if (read < last) {
    throw damage(disk, end.segment, end.offset, `frame ${read + 1} of ${last} is missing`);
  }
}

function readHeader(disk: Disk, number: number, previous: Segment | undefined): Segment {
  const file = disk.open(segmentName(number));
  try {
    const sizeBytes = file.sizeBytes();
    const segment = decodeSegmentHeader(file.read(0, Math.min(sizeBytes, SEGMENT_HEADER_BYTES)));
    if (segment === undefined) {
      throw damage(disk, number, 0, "not a segment header of this version");
    }
    if (segment.sizeBytes !== sizeBytes) {
      throw damage(disk, number, sizeBytes, `the file has ${sizeBytes} bytes instead of ${segment.sizeBytes}`);
    }
    const firstBase = number === 0 ? 0 : segment.base;
    const base = previous === undefined ? firstBase : previous.base + previous.sizeBytes;
    const journalId = previous?.journalId ?? segment.journalId;
    if (segment.number !== number || segment.base !== base || segment.journalId !== journalId) {
      throw damage(disk, number, 0, "the header belongs to another place or another journal");
    }
    return segment;
  } finally {
    file.close();
  }
}

/** Index of the last segment that frames may have been written to, -1 without any. */
function lastUsed(disk: Disk, segments: readonly Segment[]): number {
  return segments.findLastIndex((segment) =>
    withFile(disk, segment, (file) => {
      // Whatever was written, a frame came first.
      const sizeBytes = Math.min(SEGMENT_HEADER_BYTES + MAXIMAL_FRAME_BYTES, segment.sizeBytes);
      return endOfContent(file.read(0, sizeBytes), SEGMENT_HEADER_BYTES) > SEGMENT_HEADER_BYTES;
    }),
  );
}

/** The run of valid frames from the segment's beginning. */
function scan(disk: Disk, segment: Segment, content: Buffer): { last: Frame | undefined; end: number } {
  let last: Frame | undefined;
  let end = SEGMENT_HEADER_BYTES;
  for (let frame = decodeFrame(content, segment, end); frame !== undefined; frame = decodeFrame(content, segment, end)) {
    if (last !== undefined && frame.number !== last.number + 1) {
      throw damage(disk, segment.number, end, `frame ${frame.number} follows frame ${last.number}`);
    }
    last = frame;
    end += frame.sizeBytes;
  }
  return { last, end };
}

const zeros = Buffer.alloc(64 * 1024);

/** The position after the last byte that is not 0, at least `from`. */
function endOfContent(content: Buffer, from: number): number {
  let end = content.length;
  while (end - from >= zeros.length && content.compare(zeros, 0, zeros.length, end - zeros.length, end) === 0) {
    end -= zeros.length;
  }
  while (end > from && content[end - 1] === 0) {
    end -= 1;
  }
  return end;
}

function readSegment(disk: Disk, segment: Segment, start: number, end: number): Buffer {
  return withFile(disk, segment, (file) => file.read(start, Math.max(0, end - start)));
}

function rewrite(disk: Disk, segment: Segment, offset: number, bytes: Uint8Array): void {
  withFile(disk, segment, (file) => {
    file.write(offset, bytes);
    file.flush();
  });
}

function withFile<T>(disk: Disk, segment: Segment, use: (file: DiskFile) => T): T {
  const file = disk.open(segmentName(segment.number));
  try {
    return use(file);
  } finally {
    file.close();
  }
}

function at(segments: readonly Segment[], index: number): Segment {
  const segment = segments[index];
  if (segment === undefined) {
    throw new RangeError(`segment ${index} of ${segments.length}`);
  }
  return segment;
}

function damage(disk: Disk, segment: number, offset: number, what: string): NeapError {
  return new NeapError("JOURNAL_DAMAGED", `${disk.directory}/${segmentName(segment)} at offset ${offset}: ${what}`);
}
