import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeEntryPoints, signatureText } from "../../../../../host/modules/entry-points/index.ts";
import { hasCode } from "../../../../../state/errors.ts";

const TYPES = [
  { kind: "i32" },
  { kind: "string" },
  { kind: "class", name: "Node", id: 4, sizeBytes: 16, fields: [{ name: "next", offset: 0, type: 3 }] },
  { kind: "nullable", of: 2 },
  { kind: "array", id: 5, of: 3 },
  { kind: "typedArray", id: 6, of: 0 },
  { kind: "staticArray", id: 7, of: 1 },
];
const ENTRY = {
  name: "run",
  parameters: [
    { name: "nodes", type: 4 },
    { name: "numbers", type: 5 },
  ],
  result: 6,
};

function decoded(section: unknown): string {
  try {
    return decodeEntryPoints(Buffer.from(typeof section === "string" ? section : JSON.stringify(section)))
      .map(signatureText)
      .join();
  } catch (error) {
    expect(hasCode(error, "MODULE_INVALID") || hasCode(error, "MODULE_LIMIT")).toBe(true);
    return (error as Error).message;
  }
}

const section = (change: object = {}): object => ({ version: 1, types: TYPES, entryPoints: [ENTRY], ...change });
const typed = (type: object): object => section({ types: [...TYPES, type] });
const named = (change: object): object => section({ entryPoints: [{ ...ENTRY, ...change }] });

describe("the section of typed entry points", () => {
  it("says what they take and return", () => {
    expect(decoded(section())).toBe("run(nodes: Array<Node | null>, numbers: Int32Array): StaticArray<string>");
  });

  it.each<[unknown, string]>([
    ["{", "it is not JSON"],
    ["\xff", "it is not JSON"],
    ["7", "the section must be an object"],
    [{}, "version is missing, must be 1"],
    [section({ version: 2 }), "version is 2, must be 1"],
    [section({ types: {} }), "types must be a list"],
    [section({ types: [7] }), "types[0] must be an object"],
    [section({ types: [{ kind: "map" }] }), 'types[0].kind is "map", which is no type'],
    [section({ types: [{ kind: "__proto__" }] }), "which is no type"],
    [section({ types: [{ kind: "array", id: 1, of: 0 }] }), "types[0].of is 0, which is no type that may be named here"],
    [typed({ kind: "array", id: -1, of: 0 }), "types[7].id is -1, must be a whole number"],
    [typed({ kind: "array", id: 1.5, of: 0 }), "types[7].id is 1.5"],
    [typed({ kind: "array", id: 1, of: "0" }), 'types[7].of is "0"'],
    [typed({ kind: "typedArray", id: 1, of: 1 }), "types[7].of is string, of which there is no typed array"],
    [typed({ kind: "nullable", of: 0 }), "types[7].of is i32, which cannot be null"],
    [typed({ kind: "nullable", of: 3 }), "types[7].of is nullable, which cannot be null"],
    [typed({ kind: "class", name: "a b", id: 1, sizeBytes: 8, fields: [] }), 'types[7].name is "a b", must be a name'],
    [typed({ kind: "class", name: "A", id: 1, sizeBytes: 1e9, fields: [] }), "types[7].sizeBytes is 1000000000"],
    [
      typed({ kind: "class", name: "A", id: 1, sizeBytes: 8, fields: [{ name: "f", offset: 8, type: 0 }] }),
      "types[7].fields[0].offset is 8",
    ],
    [
      typed({ kind: "class", name: "A", id: 1, sizeBytes: 8, fields: [{ name: "f", offset: 2, type: 0 }] }),
      "types[7].fields[0].offset is 2",
    ],
    [
      typed({ kind: "class", name: "A", id: 1, sizeBytes: 8, fields: [{ name: "f", offset: 0, type: 99 }] }),
      "types[7].fields[0].type is 99",
    ],
    [
      typed({ kind: "class", name: "A", id: 1, sizeBytes: 8, fields: [0, 4].map((offset) => ({ name: "f", offset, type: 0 })) }),
      "two have the same name",
    ],
    [named({ name: "$memory" }), 'entryPoints[0].name is "$memory"'],
    [named({ name: "a/b" }), 'entryPoints[0].name is "a/b"'],
    [named({ parameters: [{ name: "p", type: 50 }] }), "entryPoints[0].parameters[0].type is 50"],
    [named({ parameters: [1, 1].map(() => ({ name: "p", type: 0 })) }), "entryPoints[0].parameters: two have the same name"],
    [named({ result: undefined }), "entryPoints[0].result is missing"],
    [section({ entryPoints: [ENTRY, ENTRY] }), "entryPoints: two have the same name"],
    [section({ entryPoints: Array(129).fill(ENTRY) }), "entryPoints has 129 entries, at most 128"],
    [section({ types: Array(513).fill({ kind: "i32" }) }), "types has 513 entries, at most 512"],
    [" ".repeat(32 * 1024 + 1), "at most 32768 are allowed"],
    [`{"version":${"[".repeat(16_000)}${"]".repeat(16_000)}}`, "version is a list of 1, must be 1"],
  ])("is refused: %#", (given, text) => {
    expect(decoded(given)).toContain(text);
  });

  it("is read or refused whatever its bytes are", () => {
    const valid = Buffer.from(JSON.stringify(section()));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(valid.byteLength - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(valid);
        for (const [at, byte] of changes) {
          bytes[at] = byte;
        }
        try {
          decodeEntryPoints(bytes).map(signatureText);
        } catch (error) {
          expect(hasCode(error, "MODULE_INVALID") || hasCode(error, "MODULE_LIMIT")).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});
