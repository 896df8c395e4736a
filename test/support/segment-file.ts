/** The journal's segment files of a host that is not running, for tests that damage them. */
import { closeSync, globSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { decodeFrame, decodeSegmentHeader, type Frame, SEGMENT_HEADER_BYTES } from "../../state/journal/segment.ts";

/** The segments of a data folder, oldest first. */
export function segmentFiles(dataDirectory: string): string[] {
  const folder = join(dataDirectory, "journal");
  return globSync("*.seg", { cwd: folder })
    .sort()
    .map((name) => join(folder, name));
}

/** The frames of a segment, oldest first. */
export function framesOf(path: string): Frame[] {
  const content = readFileSync(path);
  const segment = decodeSegmentHeader(content);
  if (segment === undefined) {
    throw new Error(`${path} is no segment`);
  }
  const frames: Frame[] = [];
  let offset = SEGMENT_HEADER_BYTES;
  for (let frame = decodeFrame(content, segment, offset); frame !== undefined; frame = decodeFrame(content, segment, offset)) {
    frames.push(frame);
    offset += frame.sizeBytes;
  }
  return frames;
}

/** Flips the lowest bit of each byte. */
export function flip(path: string, offset: number, sizeBytes: number): void {
  const bytes = readFileSync(path).subarray(offset, offset + sizeBytes);
  overwrite(
    path,
    offset,
    bytes.map((byte) => byte ^ 1),
  );
}

export function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const file = openSync(path, "r+");
  writeSync(file, bytes, 0, bytes.byteLength, offset);
  closeSync(file);
}
