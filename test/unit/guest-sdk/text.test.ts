import { join } from "node:path";
import { type ASUtil, instantiate } from "@assemblyscript/loader";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../../functions/build.ts";

/** The loader marshals strings and arrays between this side and the guest's memory. */
interface TextModule extends ASUtil {
  readonly BYTES: { readonly value: number };
  encode(text: number): number;
  decode(bytes: number): number;
}

let guest: TextModule & Required<Pick<ASUtil, "__newString" | "__newArray" | "__getString" | "__getUint8Array">>;

beforeAll(async () => {
  const wasm = await compileFunction(join(import.meta.dirname, "assembly", "text.ts"), [
    "--exportRuntime",
    "--runtime",
    "minimal",
  ]);
  const { exports } = await instantiate<Record<string, unknown>>(wasm.slice());
  guest = exports as unknown as typeof guest;
});

const text = fc.string({ unit: "grapheme" }).filter((value) => value.isWellFormed());

describe("texts on their way between guest and host", () => {
  it("leave the guest as UTF-8", () => {
    fc.assert(
      fc.property(text, (value) => {
        const bytes = guest.__getUint8Array(guest.encode(guest.__newString(value)));
        expect(Buffer.from(bytes)).toEqual(Buffer.from(value));
      }),
    );
  });

  it("enter the guest from UTF-8", () => {
    fc.assert(
      fc.property(text, (value) => {
        const bytes = guest.__newArray(guest.BYTES.value, [...Buffer.from(value)]);
        expect(guest.__getString(guest.decode(bytes))).toBe(value);
      }),
    );
  });
});
