import { describe, expect, it } from "vitest";
import { entryPointsOf, signatureText } from "../../../../../host/modules/entry-points/index.ts";
import { checkModule, makeArtefact, prepareModule, rewritable } from "../../../../../host/modules/preparation.ts";
import { NO_REWRITING } from "../../../../../host/modules/rewriting/index.ts";
import { readSections } from "../../../../../host/modules/sections.ts";
import { entryPoints, runtimeWat, SECTION, typedModule, withSection } from "../../../../support/entry-points.ts";
import { wat } from "../../../../support/guest-modules.ts";
import { ABI, LIMITS, refusal } from "../fixtures.ts";

const ADD = `(func (export "add") (param i32 i64) (result f64) (f64.const 0))`;
const SAID = entryPoints(
  [{ kind: "u8" }, { kind: "i64" }, { kind: "f64" }],
  [
    {
      name: "add",
      parameters: [
        { name: "a", type: 0 },
        { name: "b", type: 1 },
      ],
      result: 2,
    },
  ],
);

const refused = (module: Uint8Array<ArrayBuffer>): string => refusal(() => prepareModule(module, ABI, LIMITS));

describe("a module with typed entry points", () => {
  it("needs no main, and keeps what it says of them", () => {
    const artefact = prepareModule(typedModule(ADD, SAID), ABI, LIMITS);
    expect(artefact).toMatchObject({ entry: "", entryReturns: false });
    expect(entryPointsOf(artefact).map(signatureText)).toEqual(["add(a: u8, b: i64): f64"]);
  });

  it("keeps what it says of them when the rewriting has dropped it", () => {
    const checked = checkModule(typedModule(ADD, SAID), ABI, LIMITS);
    const rewritten = rewritable(checked, LIMITS, NO_REWRITING);
    expect(readSections(rewritten).sections.some(({ name }) => name === SECTION)).toBe(false);
    const artefact = makeArtefact(checked, rewritten, { limits: LIMITS, rewriting: NO_REWRITING }, () => {});
    expect(entryPointsOf(artefact).map(signatureText)).toEqual(["add(a: u8, b: i64): f64"]);
  });

  it("may have a main beside them", () => {
    const artefact = prepareModule(typedModule(`${ADD} (func (export "main"))`, SAID), ABI, LIMITS);
    expect(artefact.entry).toBe("main");
    expect(entryPointsOf(artefact)).toHaveLength(1);
  });

  it("a module without the section has none", () => {
    const artefact = prepareModule(wat(runtimeWat(`${ADD} (func (export "main"))`)), ABI, LIMITS);
    expect(entryPointsOf(artefact)).toEqual([]);
    expect(refused(wat(runtimeWat(ADD)))).toMatch(/^MODULE_NO_ENTRY/);
    expect(refused(typedModule(ADD, entryPoints([], [])))).toMatch(/^MODULE_NO_ENTRY/);
  });

  it.each<[string, Uint8Array<ArrayBuffer>, string]>([
    ["which it does not export", typedModule("", SAID), "MODULE_INVALID: custom section neap.entry-points at offset"],
    [
      "of another type",
      typedModule(`(func (export "add") (param i32 i32) (result f64) (f64.const 0))`, SAID),
      "exports no function of the type of add(a: u8, b: i64): f64",
    ],
    [
      "that is no function",
      typedModule(`(global (export "add") i32 (i32.const 0))`, SAID),
      "exports no function of the type of add",
    ],
    ["said twice", withSection(typedModule(ADD, SAID), SAID), "there is one already"],
    [
      "without the runtime",
      withSection(wat(`(module (memory (export "memory") 1) ${ADD})`), SAID),
      "build it with --exportRuntime",
    ],
    [
      "with another runtime",
      withSection(wat(runtimeWat(ADD).replace("(param $id i32)", "(param $id i64)")), SAID),
      "AssemblyScript's runtime, __new among it",
    ],
    [
      "whose types may change",
      withSection(wat(runtimeWat(ADD).replace(`i32 (i32.const 16)`, `(mut i32) (i32.const 16)`)), SAID),
      "must export __rtti_base, an i32 that does not change",
    ],
    [
      "without a memory of that name",
      withSection(wat(runtimeWat(ADD).replace(`"memory"`, `"store"`)), SAID),
      `its memory as "memory"`,
    ],
    [
      "whose memory threads share",
      withSection(wat(runtimeWat(ADD).replace(`"memory") 1`, `"memory") 1 2 shared`)), SAID),
      "MODULE_LIMIT: custom section neap.entry-points: the memory is shared by threads",
    ],
    ["said in nonsense", typedModule(ADD, "nonsense"), "MODULE_INVALID: custom section neap.entry-points: it is not JSON"],
    [
      "said at too great length",
      typedModule(ADD, " ".repeat(40_000)),
      "MODULE_LIMIT: custom section neap.entry-points: 40000 bytes",
    ],
  ])("is refused when it says one %s", (_, module, text) => {
    expect(refused(module)).toContain(text);
  });
});
