/** Guests that make one host call with arguments that are out of range: which call and which arguments is their input. */
import { abiTable } from "../../host/abi/index.ts";

/** What a module must be for what it imports: one with a memory of its own, with memory regions, or with a memory shared by threads. */
export type GuestKind = "plain" | "regions" | "threads";

export interface HostCall {
  readonly kind: GuestKind;
  readonly name: string;
  readonly input: string;
}

const ARGUMENTS: readonly Readonly<Record<string, string>>[] = [
  { i32: "-1", i64: "-1", f32: "nan", f64: "nan" },
  { i32: "0x7fffffff", i64: "0x7fffffffffffffff", f32: "inf", f64: "inf" },
  { i32: "0x80000000", i64: "0x8000000000000000", f32: "-inf", f64: "-inf" },
  { i32: "65530", i64: "0", f32: "1e30", f64: "1e300" },
];

const IMPORTS = [...abiTable];
type Import = (typeof IMPORTS)[number];

function kindOf([name, { threads }]: Import): GuestKind {
  return threads ? "threads" : name.startsWith("region.") ? "regions" : "plain";
}

const importsOf = (kind: GuestKind) => IMPORTS.filter((one) => kindOf(one) === kind);
const callsOf = (kind: GuestKind) => importsOf(kind).flatMap((one) => ARGUMENTS.map((values) => ({ one, values })));

const MEMORIES: Readonly<Record<GuestKind, string>> = {
  plain: '(memory (export "memory") 1)',
  regions: '(memory (export "memory") 1)',
  threads: '(import "env" "memory" (memory 1 1024 shared))',
};
/** What a thread is started with, where there are some. */
const EXPORTS: Readonly<Record<GuestKind, string>> = {
  plain: "",
  regions: "",
  threads: '(table 2 funcref) (func (export "wasi_thread_start") (param i32 i32))',
};

export const HOST_CALLS: readonly HostCall[] = (["plain", "regions", "threads"] as const).flatMap((kind) =>
  callsOf(kind).map(({ one: [name] }, index) => ({
    kind,
    name,
    input: String.fromCharCode(33 + (index >> 4), 33 + (index & 15)),
  })),
);

/** In one with regions the first argument is the handle of an open region where it can be one. */
export function hostCallsModule(kind: GuestKind): string {
  const input = IMPORTS.filter(([name]) => name === "neap.input_read");
  const imports = (kind === "plain" ? [] : input).concat(importsOf(kind)).map(([name, { params, results }]) => {
    const at = name.indexOf(".");
    return `(import "${name.slice(0, at)}" "${name.slice(at + 1)}" (func $${name} (param ${params.join(" ")}) (result ${results.join(" ")})))`;
  });
  const cases = callsOf(kind).map(({ one: [name, { params, results }], values }, index) => {
    const taken = params.map((param, at) =>
      at === 0 && kind === "regions" && name !== "region.open" ? "(local.get $handle)" : `(${param}.const ${values[param]})`,
    );
    const call = `(call $${name} ${taken.join(" ")})`;
    return `(if (i32.eq (local.get $which) (i32.const ${index})) (then ${results.length === 0 ? call : `(drop ${call})`}))`;
  });
  const opens = "(local.set $handle (call $region.open (i32.const 8) (i32.const 4) (i32.const 100) (i32.const 100)))";
  return `(module ${imports.join("\n")} ${MEMORIES[kind]} (data (i32.const 8) "area") ${EXPORTS[kind]}
    (func (export "main") (local $which i32) (local $handle i32)
    (drop (call $neap.input_read (i32.const 0) (i32.const 0) (i32.const 2)))
    (local.set $which (i32.add
      (i32.shl (i32.sub (i32.load8_u (i32.const 0)) (i32.const 33)) (i32.const 4))
      (i32.sub (i32.load8_u (i32.const 1)) (i32.const 33))))
    ${kind === "regions" ? opens : ""}
    ${cases.join("\n")}))`;
}
