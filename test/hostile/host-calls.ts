/** A guest that makes one host call with arguments that are out of range: which call and which arguments is its input. */
import { abiTable } from "../../host/abi/index.ts";

const ARGUMENTS: readonly Readonly<Record<string, string>>[] = [
  { i32: "-1", i64: "-1", f64: "nan" },
  { i32: "0x7fffffff", i64: "0x7fffffffffffffff", f64: "inf" },
  { i32: "0x80000000", i64: "0x8000000000000000", f64: "-inf" },
  { i32: "65530", i64: "0", f64: "1e300" },
];

/** Without those to memory regions, which a tenant in a process of its own does not get, and those of threads, for which it needs another memory. */
const IMPORTS = [...abiTable].filter(([name, { threads }]) => !name.startsWith("region.") && !threads);
const CALLS = IMPORTS.flatMap(([name, type]) => ARGUMENTS.map((values) => ({ name, type, values })));

export const HOST_CALLS = CALLS.map(({ name }, index) => ({
  name,
  input: String.fromCharCode(33 + (index >> 4), 33 + (index & 15)),
}));

export function hostCallsModule(): string {
  const imports = IMPORTS.map(([name, { params, results }]) => {
    const at = name.indexOf(".");
    return `(import "${name.slice(0, at)}" "${name.slice(at + 1)}" (func $${name} (param ${params.join(" ")}) (result ${results.join(" ")})))`;
  });
  const cases = CALLS.map(({ name, type, values }, index) => {
    const call = `(call $${name} ${type.params.map((param) => `(${param}.const ${values[param]})`).join(" ")})`;
    return `(if (i32.eq (local.get $which) (i32.const ${index})) (then ${type.results.length === 0 ? call : `(drop ${call})`}))`;
  });
  return `(module ${imports.join("\n")} (memory (export "memory") 1) (func (export "main") (local $which i32)
    (drop (call $neap.input_read (i32.const 0) (i32.const 0) (i32.const 2)))
    (local.set $which (i32.add
      (i32.shl (i32.sub (i32.load8_u (i32.const 0)) (i32.const 33)) (i32.const 4))
      (i32.sub (i32.load8_u (i32.const 1)) (i32.const 33))))
    ${cases.join("\n")}))`;
}
