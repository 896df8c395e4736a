/** Guests that make random host calls with random arguments, one after the other. */
import fc from "fast-check";
import { abiTable } from "../../host/abi/index.ts";
import { wat } from "../support/guest-modules.ts";

const TYPES = [...abiTable].filter(([name, { threads }]) => name !== "neap.sleep" && !threads);

const i32 = fc.oneof(
  fc.constantFrom("0", "1", "3", "8", "64", "65528", "65535", "65536", "0x7fffffff", "0x80000000", "-1"),
  fc.nat(70_000).map(String),
);
const i64 = fc.oneof(
  fc.constantFrom("0", "1", "-1", "0x7fffffffffffffff", "0x8000000000000000", "9007199254740993"),
  fc.nat(999).map(String),
);
const f64 = fc.constantFrom("nan", "inf", "-inf", "0", "-1", "1e300");
const VALUES: Readonly<Record<string, fc.Arbitrary<string>>> = { i32, i64, f64 };

const call = fc.constantFrom(...TYPES).chain(([name, { params, results }]) =>
  fc.tuple(...params.map((type) => VALUES[type] ?? i32)).map((values) => {
    const text = `(call $${name} ${values.map((value, at) => `(${params[at]}.const ${value})`).join(" ")})`;
    return results.length === 0 ? text : `(drop ${text})`;
  }),
);

export const anyHostCalls: fc.Arbitrary<Uint8Array<ArrayBuffer>> = fc
  .array(fc.tuple(call, fc.boolean()), { minLength: 1, maxLength: 8 })
  .map((calls) => {
    const imports = TYPES.map(([name, { params, results }]) => {
      const dot = name.indexOf(".");
      return `(import "${name.slice(0, dot)}" "${name.slice(dot + 1)}" (func $${name} (param ${params.join(" ")}) (result ${results.join(" ")})))`;
    });
    const body = calls.map(([text, catches]) => (catches ? `(try (do ${text}) (catch_all))` : text));
    return wat(`(module ${imports.join("\n")} (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 0) $part)
      (data (i32.const 0) "key") (data (i32.const 64) "fuzzed") (func $part (result i32) (i32.const 5))
      (func (export "main") ${body.join("\n")}))`);
  });
