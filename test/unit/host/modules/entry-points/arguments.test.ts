import { describe, expect, it } from "vitest";
import {
  checkArguments,
  type EntryPoint,
  parseArguments,
  type ValueType,
} from "../../../../../host/modules/entry-points/index.ts";
import type { PlainKind } from "../../../../../host/modules/entry-points/value-type.ts";
import { hasCode } from "../../../../../state/errors.ts";

const plain = (kind: PlainKind): ValueType => ({ kind });
const list = (of: ValueType): ValueType => ({ kind: "array", id: 5, of });
const orNull = (of: ValueType): ValueType => ({ kind: "nullable", of });
const item: ValueType = {
  kind: "class",
  name: "Item",
  id: 6,
  sizeBytes: 16,
  fields: [
    { name: "name", offset: 0, type: plain("string") },
    { name: "price", offset: 8, type: plain("f64") },
    { name: "note", offset: 4, type: orNull(plain("string")) },
  ],
};
const chain: {
  kind: "class";
  name: string;
  id: number;
  sizeBytes: number;
  fields: { name: string; offset: number; type: ValueType }[];
} = {
  kind: "class",
  name: "Chain",
  id: 7,
  sizeBytes: 4,
  fields: [],
};
chain.fields.push({ name: "next", offset: 0, type: orNull(chain) });

function entryPoint(...types: readonly ValueType[]): EntryPoint {
  return { name: "run", parameters: types.map((type, at) => ({ name: `p${at}`, type })), result: null };
}

/** What the check says of the JSON text. */
function said(json: string, ...types: readonly ValueType[]): string {
  try {
    checkArguments(entryPoint(...types), parseArguments(Buffer.from(json)));
    return "taken";
  } catch (error) {
    expect(hasCode(error, "ARGUMENT_INVALID")).toBe(true);
    return (error as Error).message;
  }
}

describe("arguments are taken exactly if they are of the type", () => {
  it.each([
    ["i8", ["-128", "127", "-0", "1.0", "1e2"], ["128", "-129", "0.5", '"1"', "true", "null", "[]", "{}"]],
    ["u8", ["0", "255"], ["256", "-1"]],
    ["i16", ["-32768", "32767"], ["32768"]],
    ["u16", ["65535"], ["65536", "-1"]],
    ["i32", ["-2147483648", "2147483647"], ["2147483648", "1e400", "1e-3"]],
    ["u32", ["4294967295"], ["4294967296", "-1"]],
    [
      "i64",
      ["9007199254740991", '"9223372036854775807"', '"-9223372036854775808"'],
      ["9007199254740993", '"9223372036854775808"', '"1.0"', '""', '"0x10"', '" 1"', "1.5"],
    ],
    ["u64", ['"18446744073709551615"', "0"], ['"18446744073709551616"', "-1", '"-1"', `"${"1".repeat(40)}"`]],
    ["f32", ["3.4e38", "0.1", "1e-60", '"NaN"', '"Infinity"', '"-Infinity"'], ["3.5e38", "1e400", '"nan"', '"1"', "null"]],
    ["f64", ["1.7e308", "-1e-320"], ["1e309", "-1e309", "true"]],
    ["bool", ["true", "false"], ["0", "1", '"true"', "null"]],
    ["string", ['""', '"\\ud800"', '"Zo\\u00eb"'], ["1", "null", '["a"]']],
  ] as const)("%s", (kind, good, bad) => {
    for (const json of good) {
      expect([json, said(`[${json}]`, plain(kind))]).toEqual([json, "taken"]);
    }
    for (const json of bad) {
      expect([json, said(`[${json}]`, plain(kind))]).toEqual([json, expect.stringMatching(/^arguments\[0\] is .+, must be /)]);
    }
  });

  it("lists, objects and null, to any depth that their types have", () => {
    const nested = list(list(orNull(item)));
    expect(said('[[[{"name":"a","price":1},null],[]]]', nested)).toBe("taken");
    expect(said('[[[{"name":"a","price":1,"note":null}]]]', nested)).toBe("taken");
    expect(said('[[[{"name":"a","price":"1"}]]]', nested)).toMatch(/^arguments\[0\]\[0\]\[0\]\.price is "1", must be f64/);
    expect(said('[[[{"name":"a"}]]]', nested)).toMatch(/^arguments\[0\]\[0\]\[0\]\.price is missing, must be f64/);
    expect(said('[[[{"name":"a","price":1,"prize":2}]]]', nested)).toBe(
      'arguments[0][0][0] has "prize", which Item does not have',
    );
    expect(said("[[[7]]]", nested)).toBe("arguments[0][0][0] is 7, must be Item");
    expect(said("[[[[]]]]", nested)).toBe("arguments[0][0][0] is a list of 0, must be Item");
    expect(said("[[{}]]", nested)).toBe("arguments[0][0] is an object, must be Array<Item | null>");
    expect(said("[null]", list(item))).toBe("arguments[0] is null, must be Array<Item>");
  });

  it("by place or by name, each once and no others", () => {
    const two = [plain("i32"), orNull(plain("string"))];
    expect(said("[1, null]", ...two)).toBe("taken");
    expect(said('{"p1": "a", "p0": 1}', ...two)).toBe("taken");
    expect(said('{"p0": 1}', ...two)).toBe("taken");
    expect(said('{"p1": "a"}', ...two)).toMatch(/^arguments\.p0 is missing, must be i32/);
    expect(said('{"p0": 1, "P1": "a"}', ...two)).toBe(
      'arguments has "P1", which run(p0: i32, p1: string | null): void does not have',
    );
    expect(said("[1]", ...two)).toBe("arguments has 1 values, run(p0: i32, p1: string | null): void takes 2");
    expect(said("[1, null, 2]", ...two)).toContain("arguments has 3 values");
    expect(said("7", ...two)).toMatch(/^arguments is 7, must be a list of values, or an object/);
    expect(said("null", ...two)).toMatch(/^arguments is null, must be/);
    expect(said("", plain("i32"))).toContain("arguments has 0 values");
    expect(said("")).toBe("taken");
  });

  it("members that JSON may name like an object's own are members like others", () => {
    expect(said('{"__proto__": {"p0": 1}, "p0": 1}', plain("i32"))).toContain('arguments has "__proto__"');
    expect(said('{"constructor": 1}', plain("i32"))).toContain('arguments has "constructor"');
    expect(said("{}", plain("i32"))).toMatch(/^arguments\.p0 is missing/);
    expect(said('[{"name": "a", "price": 1, "toString": 1}]', item)).toContain('has "toString"');
  });

  it("no deeper than 64", () => {
    const nested = (depth: number) => `[${'{"next":'.repeat(depth)}null${"}".repeat(depth)}]`;
    expect(said(nested(64), chain)).toBe("taken");
    expect(said(nested(66), chain)).toMatch(/ is more than 64 lists and objects deep$/);
    expect(said(nested(100_000), chain)).toMatch(/deep$/);
  });
});
