import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type GlobalExport, WASM_PAGE_BYTES } from "../../../../host/modules/artefact.ts";
import { captureDelta, decodeDelta } from "../../../../host/sandbox/executor/delta.ts";
import { MemoryImage } from "../../../../host/sandbox/executor/memory-image.ts";
import { touchedPages } from "../../../../host/sandbox/executor/touched-pages.ts";

const snapshot = (pages: number, ...runs: [number, string][]) => ({
  hash: "",
  pages,
  globals: [],
  runs: runs.map(([offset, text]) => ({ offset, bytes: Buffer.from(text) })),
});

/** A memory that looks like the image. */
function memoryOf(image: MemoryImage, pages = image.pages): Uint8Array {
  const memory = new Uint8Array(pages * WASM_PAGE_BYTES);
  image.copyTo(memory, Array(image.pages).keys());
  return memory;
}

/** Pages, number of globals, one global. */
const HEADER_BYTES = 15;

const declared: GlobalExport[] = (["i32", "i64", "f32", "f64"] as const).map((type, at) => ({ name: `$global${at}`, type }));

describe("a delta", () => {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 0.999999, noNaN: true }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 9_000 }),
  });

  test("applied to its base gives the memory and the globals it was taken of, whatever was edited or grown", () => {
    fc.assert(
      fc.property(
        fc.array(edit, { maxLength: 6 }),
        fc.array(edit, { maxLength: 6 }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer(),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.float({ noNaN: true }),
        fc.double(),
        (baseEdits, edits, grown, i32, i64, f32, f64) => {
          const base = MemoryImage.ofSnapshot({ ...snapshot(3), runs: baseEdits.map((e) => runOf(e, 3)) });
          const memory = memoryOf(base, 3 + grown);
          for (const e of edits) {
            const { offset, bytes } = runOf(e, 3 + grown);
            memory.set(bytes, offset);
          }
          const values = [i32, i64, f32, f64];
          const globals = declared.map(({ type }, at) => ({ type, value: values[at] ?? 0 }));
          const delta = decodeDelta(Uint8Array.from(captureDelta(memory, base, globals)), declared);
          expect(delta.pages).toBe(3 + grown);
          expect(delta.globals).toEqual(values);
          expect(Buffer.compare(memoryOf(base.with(delta.runs, delta.pages)), memory)).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("holds the bytes that were set to zero, and not what equals its own page of the base", () => {
    const base = MemoryImage.ofSnapshot(snapshot(3, [0, "first"], [WASM_PAGE_BYTES, "second"], [2 * WASM_PAGE_BYTES, "third"]));
    const memory = memoryOf(base);
    memory.fill(0, WASM_PAGE_BYTES, WASM_PAGE_BYTES + 6);
    const delta = decodeDelta(captureDelta(memory, base, []), []);
    expect(delta.runs.map(({ offset, bytes }) => [offset, Buffer.from(bytes).toString("latin1")])).toEqual([
      [WASM_PAGE_BYTES, "\0".repeat(8)],
    ]);
  });

  test("of a memory that was only grown holds no bytes of it", () => {
    const base = MemoryImage.ofSnapshot(snapshot(1, [8, "tide"]));
    const bytes = captureDelta(memoryOf(base, 200), base, []);
    expect(bytes.byteLength).toBe(6);
  });

  test("is the same whether or not it is known which pages were touched", () => {
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 4 }), fc.array(edit, { maxLength: 12 }), (baseEdits, edits) => {
        const base = MemoryImage.ofSnapshot({ ...snapshot(3), runs: baseEdits.map((e) => runOf(e, 3)) });
        const memory = new Uint8Array(new WebAssembly.Memory({ initial: 80 }).buffer);
        base.copyTo(memory, Array(base.pages).keys());
        for (const e of edits) {
          const { offset, bytes } = runOf(e, 80);
          memory.set(bytes, offset);
        }
        const known = Uint8Array.from(captureDelta(memory, base, []));
        expect(Buffer.compare(known, captureDelta(memory, base, [], null))).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("of a large memory touches none of its pages, where the system says which are", () => {
    const base = MemoryImage.ofSnapshot(snapshot(1));
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 1024 }).buffer);
    const isTouched = touchedPages(memory);
    if (isTouched === null) {
      expect(process.platform).not.toBe("linux");
      return;
    }
    const written = [0, 1, 15, 16, 4000, 4096, 16_383];
    for (const page of written) {
      memory.fill(7, page * 4096, (page + 1) * 4096);
    }
    const delta = decodeDelta(captureDelta(memory, base, []), []);
    expect(delta.runs.map(({ offset }) => offset / 4096)).toEqual([0, 15, 16, 4000, 4096, 16_383]);
    const after = touchedPages(memory);
    const pages = Array.from({ length: memory.byteLength / 4096 }, (_, page) => page);
    expect(pages.filter((page) => after?.(page))).toEqual(written);
  });

  test("that reaches outside its memory, ends early or has other globals is refused", () => {
    const base = MemoryImage.ofSnapshot(snapshot(1));
    const memory = memoryOf(base);
    memory.fill(1, 0, 100);
    const bytes = Uint8Array.from(captureDelta(memory, base, [{ type: "i64", value: 1n }]));
    const i64: GlobalExport[] = [{ name: "$global0", type: "i64" }];
    expect(decodeDelta(bytes, i64).runs.length).toBe(1);
    expect(() => decodeDelta(bytes, [])).toThrow(RangeError);
    expect(() => decodeDelta(bytes, [{ name: "$global0", type: "f64" }])).toThrow(RangeError);
    for (let length = 0; length < bytes.byteLength; length++) {
      const cut = bytes.subarray(0, length);
      if (length !== HEADER_BYTES) {
        expect(() => decodeDelta(cut, i64)).toThrow(RangeError);
      }
    }
    new DataView(bytes.buffer).setUint32(HEADER_BYTES, WASM_PAGE_BYTES - 99, true);
    expect(() => decodeDelta(bytes, i64)).toThrow(RangeError);
  });
});

function runOf({ at, bytes }: { at: number; bytes: Uint8Array }, pages: number) {
  const size = pages * WASM_PAGE_BYTES;
  const offset = Math.floor(at * size);
  return { offset, bytes: bytes.subarray(0, size - offset) };
}
