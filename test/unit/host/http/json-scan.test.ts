import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeJsonFault, parseShallowJson } from "../../../../host/http/json-scan.ts";

test.each([
  ["", "it ends too early, at position 0"],
  ["  ", "it ends too early, at position 2"],
  ['{"a":1', "it ends too early, at position 6"],
  ['{"a":"x', "it ends too early, at position 7"],
  ['{"a":tr', "it ends too early, at position 7"],
  ['{"a" 1}', 'unexpected "1" at position 5 (line 1, column 6)'],
  ["{a:1}", 'unexpected "a" at position 1 (line 1, column 2)'],
  ['{"a":1,}', 'unexpected "}" at position 7 (line 1, column 8)'],
  ["[1,]", 'unexpected "]" at position 3 (line 1, column 4)'],
  ["[1 2]", 'unexpected "2" at position 3 (line 1, column 4)'],
  ["[1}", 'unexpected "}" at position 2 (line 1, column 3)'],
  ["01", 'unexpected "1" at position 1 (line 1, column 2)'],
  ["nul!", 'unexpected "!" at position 3 (line 1, column 4)'],
  ['{\n "a": tru}', 'unexpected "}" at position 11 (line 2, column 10)'],
  ['"a\nb"', 'unexpected "\\n" at position 2 (line 1, column 3)'],
  ['"\\x"', 'unexpected "x" at position 2 (line 1, column 3)'],
  ['"\\u12g4"', 'unexpected "g" at position 5 (line 1, column 6)'],
  ["{} {}", 'unexpected "{" at position 3 (line 1, column 4)'],
  ["['a']", `unexpected "'" at position 1 (line 1, column 2)`],
])("%j: %s", (text, fault) => {
  expect(describeJsonFault(text)).toBe(fault);
});

test("the position is the engine's own where the engine says one", () => {
  const cut = fc
    .json()
    .chain((text) => fc.tuple(fc.constant(text), fc.nat({ max: text.length }), fc.constantFrom("", "}", ",", "x", '"', "\n")));
  fc.assert(
    fc.property(cut, ([text, at, inserted]) => {
      const broken = text.slice(0, at) + inserted + text.slice(at + 1);
      let message = "";
      try {
        JSON.parse(broken);
      } catch (error) {
        message = (error as Error).message;
      }
      const engine = /at position ([0-9]+)/.exec(message)?.[1];
      if (engine !== undefined && !message.startsWith("Unterminated")) {
        expect(describeJsonFault(broken)).toContain(`at position ${engine}`);
      }
    }),
    { numRuns: 2000 },
  );
});

test("deep nesting is no problem", () => {
  expect(describeJsonFault("[".repeat(200_000))).toBe("it ends too early, at position 200000");
});

describe("parseShallowJson", () => {
  const wanted = (key: string) => ["a", "b", "\u00e9", "__proto__"].includes(key);
  const shallow = (value: unknown): unknown =>
    Array.isArray(value) ? [] : typeof value === "object" && value !== null ? {} : value;
  /** By JSON.parse. */
  function plainly(text: string): unknown {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
      ? Object.fromEntries(Object.entries(parsed).flatMap(([key, value]) => (wanted(key) ? [[key, shallow(value)]] : [])))
      : shallow(parsed);
  }
  const attempt = (parse: () => unknown): unknown => {
    try {
      return { value: parse() };
    } catch (error) {
      return error instanceof SyntaxError ? "no JSON" : error;
    }
  };

  const key = fc.constantFrom('"a"', '"b"', '"\\u0061"', '"\u00e9"', '"c"', '"__proto__"', '"\\x"');
  const leaf = fc.constantFrom("1", "-0.5e3", "true", "null", '"x\\n\\ud83d\\udc0b"', '"\\u12"', "01", "{}", "[]", "", "{", "]");
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: "small" }, leaf, tie("list"), tie("object")),
    list: fc.array(tie("value"), { maxLength: 3 }).map((values) => `[${values.join(" ,")}]`),
    object: fc
      .array(fc.tuple(key, tie("value")), { maxLength: 4 })
      .map((all) => ` {${all.map(([k, v]) => `${k} : ${v}`).join(",\n")}} `),
  }));

  test("is JSON.parse without what is not wanted: the same values, the same order, the same refusals", () => {
    fc.assert(
      fc.property(value, (text) => {
        const [ours, theirs] = [attempt(() => parseShallowJson(String(text), wanted)), attempt(() => plainly(String(text)))];
        expect(JSON.stringify(ours)).toBe(JSON.stringify(theirs));
      }),
      { numRuns: 3000 },
    );
  });
});
