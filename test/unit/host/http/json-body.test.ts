import { text } from "node:stream/consumers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jsonBody, TextBytes } from "../../../../host/http/json-body.ts";

/** A slice of bytes of which each becomes an escape of six characters, and what was gathered before it. */
const PIECE_MAX_LENGTH = 6 * 48 * 1024 + 64 * 1024;

const bytes = fc
  .tuple(
    fc.uint8Array({ maxLength: 8 }),
    fc.constantFrom("", "a", "\u00e9", "\u20ac", "\u{1f40b}", '"', "\u0001"),
    fc.nat(200_000),
  )
  .map(([head, unit, count]) => Buffer.concat([head, Buffer.from(unit.repeat(count))]));

describe("a JSON body", () => {
  test("H27: is the JSON of its tree, whatever its size, in pieces that are short", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(bytes, { maxLength: 4 }), fc.jsonValue(), async (texts, other) => {
        const tree = (leaf: (value: Buffer, encoding: "utf8" | "base64") => unknown) => ({
          left: undefined,
          list: texts.map((value) => ({ utf8: leaf(value, "utf8"), base64: leaf(value, "base64") })),
          empty: {},
          other,
        });
        const wanted = JSON.stringify(tree((value, encoding) => value.toString(encoding)));
        const body = jsonBody(tree((value, encoding) => new TextBytes(value, encoding)));
        if (typeof body === "string") {
          expect(body === wanted).toBe(true);
        } else {
          const pieces: string[] = [];
          for await (const piece of body) {
            pieces.push(String(piece));
          }
          expect(pieces.join("") === wanted).toBe(true);
          expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(PIECE_MAX_LENGTH);
        }
      }),
      { numRuns: 50 },
    );
  });

  test("is a string when it is short, and a stream when it is long", async () => {
    expect(jsonBody({ a: new TextBytes(Buffer.from("x"), "utf8") })).toBe('{"a":"x"}');
    const long = jsonBody({ a: new TextBytes(Buffer.alloc(200_000, "x"), "utf8") });
    expect(typeof long).toBe("object");
    expect(typeof long === "string" ? "" : await text(long)).toBe(`{"a":"${"x".repeat(200_000)}"}`);
  });
});
