import { join } from "node:path";
import { type ASUtil, instantiate } from "@assemblyscript/loader";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../../functions/build.ts";

interface JsonModule extends ASUtil {
  quote(text: number): number;
  unquote(quoted: number): number;
}

let guest: JsonModule & Required<Pick<ASUtil, "__newString" | "__getString">>;

beforeAll(async () => {
  const wasm = await compileFunction(join(import.meta.dirname, "assembly", "json.ts"), ["--runtime", "minimal"]);
  guest = (await instantiate<Record<string, unknown>>(wasm.slice())).exports as unknown as typeof guest;
});

const quote = (text: string) => guest.__getString(guest.quote(guest.__newString(text)));
const unquote = (quoted: string) => guest.__getString(guest.unquote(guest.__newString(quoted)));

/** Half surrogates, controls, quotes and backslashes among them. */
const text = fc.string({
  unit: fc.oneof(fc.string({ unit: "binary", minLength: 1, maxLength: 1 }), fc.constantFrom('"', "\\", "\n", "\u0000", "\ud83d")),
});

describe("json", () => {
  it("quotes what JSON.parse reads as the same text", () => {
    fc.assert(fc.property(text, (value) => void expect(JSON.parse(quote(value))).toBe(value)));
  });

  it("unquotes what JSON.stringify writes, and every escape", () => {
    fc.assert(fc.property(text, (value) => void expect(unquote(JSON.stringify(value))).toBe(value)));
    expect(unquote('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00eB"')).toBe('"\\/\b\f\n\r\të');
  });

  it.each(["", '"', "a", '"a', 'a"', '"a"b"', '"\\"', '"\\x"', '"\\u12"', '"\\u12g4"'])(
    "refuses %j, which is no text",
    (quoted) => {
      expect(() => unquote(quoted)).toThrow("json.unquote");
    },
  );
});
