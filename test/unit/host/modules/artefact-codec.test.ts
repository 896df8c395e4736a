import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeArtefact, encodeArtefact } from "../../../../host/modules/artefact-codec.ts";
import { type ModuleHash, prepareModule } from "../../../../host/modules/index.ts";
import { wat } from "../../../support/guest-modules.ts";
import { ABI, asyncRefusal, LIMITS, refusal } from "./fixtures.ts";

const artefact = prepareModule(
  wat(`(module (import "neap" "tick" (func)) (memory 1) (table 1 funcref) (global (mut i32) (i32.const -5)) (global (mut i64) (i64.const -9223372036854775808))
    (global (mut f32) (f32.const nan)) (global (mut f64) (f64.const -0)) (data (i32.const 8) "hello") (data (i32.const 800) "far") (func (export "main")))`),
  ABI,
  LIMITS,
);
const bytes = Uint8Array.from(encodeArtefact(artefact));

describe("artefact bytes", () => {
  test("an artefact is read as it was written", () => {
    expect(decodeArtefact(bytes, artefact.hash)).toEqual(artefact);
  });

  test.each([
    { preemptible: true, migratable: false, aliasState: false },
    { preemptible: false, migratable: true, aliasState: false },
    { preemptible: false, migratable: false, aliasState: true },
  ])("what it was made to be is kept: %o", (flags) => {
    const { preemptible, migratable, aliasState } = decodeArtefact(encodeArtefact({ ...artefact, ...flags }), artefact.hash);
    expect({ preemptible, migratable, aliasState }).toEqual(flags);
  });

  test("equal artefacts have equal bytes, whatever was in the buffer before", () => {
    expect(Buffer.from(encodeArtefact(decodeArtefact(bytes, artefact.hash))).equals(bytes)).toBe(true);
  });

  test("the artefact of another module is refused", () => {
    const other = "0".repeat(64) as ModuleHash;
    expect(refusal(() => decodeArtefact(bytes, other))).toBe(
      `BLOB_MISSING: the artefact of module ${other} cannot be read; upload the module again`,
    );
  });

  test("cut, grown or overwritten at its head: refused, never another artefact", async () => {
    for (let sizeBytes = 0; sizeBytes < bytes.byteLength; sizeBytes++) {
      const cut = async () => decodeArtefact(bytes.subarray(0, sizeBytes), artefact.hash);
      expect(await asyncRefusal(cut())).toMatch(/^BLOB_MISSING: /);
    }
    const grown = Buffer.concat([bytes, Buffer.of(0)]);
    expect(refusal(() => decodeArtefact(grown, artefact.hash))).toMatch(/^BLOB_MISSING: /);
    const property = fc.property(fc.integer({ min: 0, max: 75 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ change;
      expect(refusal(() => decodeArtefact(changed, artefact.hash))).toMatch(/^BLOB_MISSING: /);
    });
    fc.assert(property);
  });
});
