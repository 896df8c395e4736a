import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameType } from "../../../../../host/sandbox/frames/protocol.ts";
import { isShared } from "../../../../../host/sandbox/frames/shared-bytes.ts";
import { BrokenFrame, FrameReader, FrameWriter } from "../../../../../host/sandbox/process/frames.ts";

const BODY_MAX_BYTES = 1024 * 1024;

const types = fc.constantFrom(...Object.values(FrameType));
const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const f64 = fc.double({ noNaN: true });
/** Small ones, and ones that do not go with others. */
const sizes = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 100_000 }));
const frames = fc.array(
  fc.record({
    type: types,
    code: fc.integer({ min: 0, max: 65_535 }),
    call: i32,
    attempt: i32,
    a: i32,
    b: i32,
    c: i32,
    x: f64,
    y: f64,
    z: f64,
    bodyBytes: sizes,
    tailBytes: sizes,
  }),
  { maxLength: 30 },
);

/** Everything that the writer hands out, as one. */
function written(write: (writer: FrameWriter) => void): Buffer {
  const pieces: Uint8Array[] = [];
  const writer = new FrameWriter((bytes) => pieces.push(bytes));
  write(writer);
  writer.flush();
  return Buffer.concat(pieces);
}

/** Feeds the bytes in chunks of these sizes, again and again, and takes what is whole after each. */
function read(reader: FrameReader, bytes: Buffer, chunkSizes: readonly number[], take: () => boolean): void {
  for (let at = 0, turn = 0; at < bytes.byteLength; turn++) {
    const sizeBytes = chunkSizes[turn % chunkSizes.length] as number;
    reader.push(bytes.subarray(at, at + sizeBytes));
    at += sizeBytes;
    while (take()) {}
  }
}

describe("frames in a pipe", () => {
  test("arrive once, in order and unchanged, in whatever pieces the pipe gives them", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 8 }), (sent, chunkSizes) => {
        const bodies = sent.map(({ bodyBytes, tailBytes }, at) => [
          Buffer.alloc(bodyBytes, at + 1),
          Buffer.alloc(tailBytes, 255 - at),
        ]);
        const bytes = written((writer) => {
          for (const [at, { bodyBytes: _, tailBytes: __, ...frame }] of sent.entries()) {
            const [body, tail] = bodies[at] as [Buffer, Buffer];
            writer.add({ ...frame, body, tail });
            // The caller's again: what arrives must not change.
            body.fill(0);
            tail.fill(0);
          }
        });
        const reader = new FrameReader(BODY_MAX_BYTES, false);
        let received = 0;
        read(reader, bytes, chunkSizes, () => {
          const frame = reader.next();
          if (frame === undefined) {
            return false;
          }
          const { bodyBytes, tailBytes, ...fields } = sent[received] as (typeof sent)[number];
          const expected = Buffer.concat([Buffer.alloc(bodyBytes, received + 1), Buffer.alloc(tailBytes, 255 - received)]);
          expect(frame).toMatchObject(fields);
          expect(expected.equals(frame.body)).toBe(true);
          received += 1;
          return true;
        });
        expect([received, reader.pendingBytes]).toEqual([sent.length, 0]);
      }),
      { numRuns: 60 },
    );
  });

  test("a body in shared memory is in shared memory there, and is not copied on its way out", () => {
    const body = new Uint8Array(new SharedArrayBuffer(200_000)).fill(7);
    const pieces: Uint8Array[] = [];
    const writer = new FrameWriter((bytes) => pieces.push(bytes));
    writer.add({ type: FrameType.reply, body });
    expect(pieces.at(-1)).toBe(body);
    const reader = new FrameReader(BODY_MAX_BYTES, false);
    for (const piece of pieces) {
      reader.push(Buffer.from(piece));
    }
    const frame = reader.next();
    expect([frame?.body.byteLength, isShared(frame?.body ?? body), frame?.body.every((byte) => byte === 7)]).toEqual([
      200_000,
      true,
      true,
    ]);
  });

  test("an object arrives as it was, with its views, numbers that JSON does not know, and big integers", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(50_000)).fill(3);
    const object = { wasm: shared, runs: [{ offset: 4, bytes: Uint8Array.of(1, 2) }], globals: [-0, Number.NaN, 5n], none: null };
    const bytes = written((writer) => writer.addObject({ type: FrameType.load, a: 9 }, object));
    const reader = new FrameReader(BODY_MAX_BYTES, true);
    reader.push(bytes);
    const frame = reader.next();
    const { wasm, ...rest } = (frame?.attachment ?? {}) as typeof object;
    expect([frame?.a, rest]).toEqual([9, { runs: object.runs, globals: object.globals, none: null }]);
    expect(Buffer.from(shared).equals(wasm)).toBe(true);
  });

  test("of any bytes whatever a reader makes frames or throws BrokenFrame, and makes no room for more than may be", () => {
    const headers = fc.uint8Array({ minLength: 60, maxLength: 60 }).map((bytes) => {
      bytes.set([0, 0], 2);
      return bytes;
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(headers, fc.uint8Array({ maxLength: 300 })), { maxLength: 10 }), (chunks) => {
        const reader = new FrameReader(BODY_MAX_BYTES, false);
        try {
          for (const chunk of chunks) {
            reader.push(Buffer.from(chunk));
            for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
              expect(frame.body.byteLength).toBeLessThanOrEqual(BODY_MAX_BYTES);
              expect([Object.values(FrameType).includes(frame.type), frame.attachment]).toEqual([true, undefined]);
            }
          }
        } catch (error) {
          expect(error).toBeInstanceOf(BrokenFrame);
        }
      }),
    );
  });
});
