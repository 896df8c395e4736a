import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PIECE_BYTES, SMALL_BYTES } from "../../../../host/modules/bulk-memory.ts";
import { prepareModule } from "../../../../host/modules/index.ts";
import { wat } from "../../../support/guest-modules.ts";
import { ABI, LIMITS } from "./fixtures.ts";

const PAGES = 64;
const MEMORY_BYTES = PAGES * 65_536;
/** No two halves of it are alike. */
const TEXT = Array.from({ length: (5 * PIECE_BYTES) / 2 }, (_, at) => ((at * 2_654_435_761) >>> 29).toString()).join("");
const PLAIN = wat(`(module (memory (export "memory") ${PAGES} ${PAGES})
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (data $bytes "${TEXT}") (data (i32.const 0) "${"tide".repeat(1_000)}")
  (func (export "init") (param i32 i32 i32) (memory.init $bytes (local.get 0) (local.get 1) (local.get 2)))
  (func (export "spent") (param i32 i32 i32) (memory.init 1 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "main")))`);

const KINDS = ["fill", "copy", "init", "spent"] as const;
type Operation = (target: number, value: number, length: number) => void;

function instanceOf(bytes: Uint8Array<ArrayBuffer>) {
  const { memory, ...operations } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  const { fill, copy, init, spent } = operations as Record<(typeof KINDS)[number], Operation>;
  return { memory: new Uint8Array((memory as WebAssembly.Memory).buffer), fill, copy, init, spent };
}

/** "ok", or the text of the trap. */
function outcome(run: () => void): string {
  try {
    run();
    return "ok";
  } catch (error) {
    expect(error).toBeInstanceOf(WebAssembly.RuntimeError);
    return String(error);
  }
}

const { wasm } = prepareModule(PLAIN, ABI, { ...LIMITS, moduleMaxBytes: 4_000_000 });
const WRITTEN = Uint8Array.from(wasm);

describe("bulk instructions in pieces", () => {
  const near = (value: number) => fc.integer({ min: -3, max: 3 }).map((offset) => (value + offset) | 0);
  const size = fc.oneof(
    ...[0, PIECE_BYTES, 2 * PIECE_BYTES, (5 * PIECE_BYTES) / 2, 3 * PIECE_BYTES, MEMORY_BYTES, -1, 2 ** 31].map(near),
    fc.integer({ min: 0, max: MEMORY_BYTES }),
  );
  const step = fc.record({ kind: fc.constantFrom(...KINDS), target: size, value: size, length: size });

  test("do what the instructions do: the same bytes, the same traps, nothing written by what traps", () => {
    const property = fc.property(fc.array(step, { minLength: 1, maxLength: 4 }), (steps) => {
      const [plain, written] = [instanceOf(PLAIN), instanceOf(WRITTEN)];
      // What the active segment has left is in the snapshot of the one, and in the memory of the other.
      plain.memory.fill(0);
      for (let at = 0; at < MEMORY_BYTES; at += 977) {
        plain.memory[at] = at >>> 3;
        written.memory[at] = at >>> 3;
      }
      for (const { kind, target, value, length } of steps) {
        const [expected, found] = [plain, written].map((each) => outcome(() => each[kind](target, value, length)));
        expect(found).toBe(expected);
        expect(Buffer.compare(plain.memory, written.memory)).toBe(0);
      }
    });
    const length = 2 * PIECE_BYTES + 7;
    const long = KINDS.map((kind) => ({ kind, target: 10, value: 3, length }));
    // Pieces that overlap by half: whichever comes first, one of the two writes what another one has yet to read.
    const [here, there] = [3, PIECE_BYTES / 2];
    const overlapping = [
      { kind: "copy" as const, target: there, value: here, length },
      { kind: "copy" as const, target: here, value: there, length },
    ];
    const examples = [...long, ...overlapping].map((one): [typeof long] => [[one]]);
    fc.assert(property, { numRuns: 150, examples });
  });

  test("are calls of functions behind all others; those of a small constant length stay as they are", () => {
    const text = (length: string) =>
      wat(`(module (memory 64) (func (export "main") (memory.fill (i32.const 0) (i32.const 1) (i32.const ${length}))))`);
    const functions = (bytes: Uint8Array<ArrayBuffer>) => prepareModule(bytes, ABI, LIMITS).wasm.byteLength;
    const small = functions(text(`${SMALL_BYTES}`));
    expect(small).toBeLessThan(functions(text(`${SMALL_BYTES + 1}`)) - 100);
    expect(small).toBeLessThan(functions(text("-1")) - 100);
  });

  test("leave functions, globals and segments of a module as they were", () => {
    const { wasm: bytes } = prepareModule(
      wat(`(module (import "neap" "tick" (func $tick)) (memory (export "memory") 64) (table 2 funcref) (elem (i32.const 0) $get $clear)
        (global $n (mut i32) (i32.const 0)) (data "abc") (type $t (func (result i32)))
        (func $clear (param i32) (local i64 f64) (memory.fill (i32.const 0) (i32.const 7) (local.get 0)))
        (func $get (type $t) (i32.load8_u (i32.const 2000000)))
        (func $init (memory.init 0 (i32.const 8) (i32.const 0) (i32.const 3)))
        (func (export "main") (result i32)
          (call $clear (i32.const 3000000)) (call $tick) (call $init)
          (memory.copy (i32.const 1000) (i32.const 8) (global.get $n))
          (call_indirect (type $t) (i32.const 0))))`),
      ABI,
      LIMITS,
    );
    let ticks = 0;
    const module = new WebAssembly.Module(Uint8Array.from(bytes));
    const { main } = new WebAssembly.Instance(module, { neap: { tick: () => ++ticks } }).exports;
    expect([(main as () => number)(), ticks]).toEqual([7, 1]);
  });
});
