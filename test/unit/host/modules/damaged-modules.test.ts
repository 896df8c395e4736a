import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeArtefact } from "../../../../host/modules/artefact-codec.ts";
import { type Artefact, prepareModule } from "../../../../host/modules/index.ts";
import { Uploads } from "../../../../host/modules/uploads.ts";
import { NeapError } from "../../../../state/errors.ts";
import { assemblyScript, wat } from "../../../support/guest-modules.ts";
import { ABI, LIMITS } from "./fixtures.ts";

const CODES = ["MODULE_INVALID", "MODULE_IMPORT_UNKNOWN", "MODULE_LIMIT", "MODULE_NO_ENTRY", "MODULE_START_FAILED"];

const SECTION = /^(truncated: )?(module|[a-z ]+ section) at offset \d+\b/;
const HEADER = /^the upload is empty|^not WebAssembly|^truncated: the module's header|^WebAssembly version|^a component/;
const MISSING = /^the module has no memory|^the module must export /;
/** Where something is wrong; what is missing is nowhere. */
const PLACE = new RegExp([SECTION, HEADER, MISSING].map(({ source }) => source).join("|"));

type Damage = { kind: "flip" | "set" | "remove" | "cut"; at: number; value: number };

const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom("flip", "flip", "set", "remove", "cut"),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  value: fc.integer({ min: 0, max: 255 }),
});

function damaged(bytes: Uint8Array<ArrayBuffer>, list: readonly Damage[]): Uint8Array<ArrayBuffer> {
  let result = bytes.slice();
  for (const { kind, at, value } of list) {
    const offset = Math.floor(at * result.byteLength);
    switch (kind) {
      case "flip":
        result[offset] = (result[offset] ?? 0) ^ (1 << (value & 7));
        break;
      case "set":
        result[offset] = value;
        break;
      case "remove":
        result = Uint8Array.from(Buffer.concat([result.subarray(0, offset), result.subarray(offset + 1)]));
        break;
      case "cut":
        result = result.slice(0, offset);
        break;
    }
  }
  return result;
}

/** Whether the module was refused with a known code and a text, or made into an artefact that the engine takes. */
function judge(run: () => Artefact): void {
  try {
    const artefact = run();
    expect(WebAssembly.validate(Uint8Array.from(artefact.wasm))).toBe(true);
    expect(artefact.snapshot.pages).toBeLessThanOrEqual(LIMITS.memoryMaxPages);
  } catch (error) {
    if (!(error instanceof NeapError)) {
      throw error;
    }
    expect(CODES).toContain(error.code);
    expect(error.message).toMatch(error.code === "MODULE_START_FAILED" ? /.{10}/ : PLACE);
    expect(error.message.length).toBeLessThan(600);
  }
}

describe("damaged modules", () => {
  /** Nothing runs before its first call, so that these can be judged in this thread. */
  const still =
    wat(`(module (import "neap" "read" (func (param i32 i64) (result i32))) (memory 1 9) (table 4 funcref) (tag (param i32))
    (global (mut i64) (i64.const 5)) (global f32 (f32.const 1)) (elem (i32.const 1) func $f $f) (data (i32.const 9) "hello") (data "p")
    (func $f (param i32) (result i32) (local i64 i64) (block (result i32) (br_table 0 0 0 (local.get 0) (i32.const 1))))
    (func (export "main") (result i32) (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 1))
      (v128.store (i32.const 0) (v128.const i32x4 1 2 3 4))
      (try (result i32) (do (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 1))) (catch 0))))`);
  let started: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    const source =
      "let squares: i32[] = []; for (let i = 0; i < 10; i++) squares.push(i * i); export function main(): i32 { return squares[3]; }";
    started = await assemblyScript(source, ["--optimize"]);
  });

  test("the undamaged ones are valid", () => {
    expect(prepareModule(still, ABI, LIMITS).entry).toBe("main");
    expect(prepareModule(started, ABI, LIMITS).entry).toBe("main");
  });

  test("every truncation of a module is refused", () => {
    for (let sizeBytes = 0; sizeBytes < still.byteLength; sizeBytes++) {
      judge(() => prepareModule(still.slice(0, sizeBytes), ABI, LIMITS));
    }
  });

  test("every single bit flipped: refused with a known code, or an artefact the engine takes", () => {
    for (let bit = 0; bit < still.byteLength * 8; bit++) {
      const bytes = still.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      judge(() => prepareModule(bytes, ABI, LIMITS));
    }
  });

  test("several damages at once: refused with a known code, or an artefact the engine takes", () => {
    const property = fc.property(fc.array(damage, { minLength: 1, maxLength: 6 }), (list) => {
      judge(() => prepareModule(damaged(still, list), ABI, LIMITS));
    });
    fc.assert(property, { numRuns: 3_000 });
  });

  test("damaged modules with a start function end in time, in a thread of their own", async () => {
    const limits = { ...LIMITS, uploadTimeoutMs: 3_000 };
    const uploads = new Uploads(ABI, null);
    const property = fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (list) => {
      const outcome = await uploads.prepare(damaged(started, list).buffer, limits).then(
        ({ artefact, hash }) =>
          () =>
            decodeArtefact(artefact, hash),
        (error: unknown) => () => {
          throw error;
        },
      );
      judge(outcome);
    });
    await fc.assert(property, { numRuns: 60 });
  }, 600_000);
});
