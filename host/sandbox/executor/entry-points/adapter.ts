/**
 * What stands between the resident stack and a module with typed entry points: a module whose one function makes room for the
 * arguments, calls the export with them, and hands on what it returns.
 *
 *     while (more()) { made(__pin(__new(size(), id()))) }
 *     switch (which()) { case 0: return main(); case 1: result(total(i32(0), f64(1))); return 0; … }
 *
 * The guest is called from WebAssembly alone: whatever it calls in turn can be suspended and stopped in the middle, its allocator
 * included. It is generated, as WebAssembly has no other way to call functions of types that are known late.
 */
import { type EntryPoint, RUNTIME_MEMORY, RUNTIME_TYPES, wasmType } from "../../../modules/entry-points/index.ts";
import { signedLeb, unsignedLeb } from "../../../modules/leb.ts";
import { moduleOf, section, text, vector } from "../module-bytes.ts";

/** What the host does for the adapter. `i32` … `f64` give the argument at an index, `result…` take what the export returns. */
export interface AdapterImports {
  readonly more: () => number;
  readonly size: () => number;
  readonly id: () => number;
  readonly made: (pointer: number) => void;
  readonly which: () => number;
  readonly i32: (index: number) => number;
  readonly i64: (index: number) => bigint;
  readonly f32: (index: number) => number;
  readonly f64: (index: number) => number;
  readonly resultI32: (value: number) => void;
  readonly resultI64: (value: bigint) => void;
  readonly resultF32: (value: number) => void;
  readonly resultF64: (value: number) => void;
  readonly nothing: () => void;
}

type WasmType = keyof typeof CODES;

interface Signature {
  readonly params: readonly WasmType[];
  readonly results: readonly WasmType[];
}

const CODES = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c } as const;
const RESULTS = { i32: "resultI32", i64: "resultI64", f32: "resultF32", f64: "resultF64" } as const;
const HOST_FUNCTIONS: Readonly<Record<keyof AdapterImports, Signature>> = {
  more: { params: [], results: ["i32"] },
  size: { params: [], results: ["i32"] },
  id: { params: [], results: ["i32"] },
  made: { params: ["i32"], results: [] },
  which: { params: [], results: ["i32"] },
  i32: { params: ["i32"], results: ["i32"] },
  i64: { params: ["i32"], results: ["i64"] },
  f32: { params: ["i32"], results: ["f32"] },
  f64: { params: ["i32"], results: ["f64"] },
  resultI32: { params: ["i32"], results: [] },
  resultI64: { params: ["i64"], results: [] },
  resultF32: { params: ["f32"], results: [] },
  resultF64: { params: ["f64"], results: [] },
  nothing: { params: [], results: [] },
};
const VOID = 0x40;
const END = 0x0b;
const CALL = 0x10;

/** @param main  the module's own entry; null when it has none */
export function adapterModule(
  entryPoints: readonly EntryPoint[],
  main: { readonly name: string; readonly returns: boolean } | null,
): WebAssembly.Module {
  const hostNames = Object.keys(HOST_FUNCTIONS);
  const guest: { readonly name: string; readonly signature: Signature }[] = [
    { name: "__new", signature: { params: ["i32", "i32"], results: ["i32"] } },
    { name: "__pin", signature: { params: ["i32"], results: ["i32"] } },
    ...entryPoints.map((entryPoint) => ({ name: entryPoint.name, signature: signatureOf(entryPoint) })),
    ...(main === null ? [] : [{ name: main.name, signature: { params: [], results: main.returns ? (["i32"] as const) : [] } }]),
  ];
  const host = (name: keyof AdapterImports) => [CALL, ...unsignedLeb(hostNames.indexOf(name))];
  const guests = (at: number) => [CALL, ...unsignedLeb(hostNames.length + at)];
  const [allocate, pin, first] = [guests(0), guests(1), 2];
  const body = [
    ...[1, 1, CODES.i32],
    ...[0x02, VOID, 0x03, VOID],
    ...[...host("more"), 0x45, 0x0d, 1],
    ...[...host("size"), ...host("id"), ...allocate, ...pin, ...host("made")],
    ...[0x0c, 0, END, END],
    ...[...host("which"), 0x21, 0],
    ...(main === null ? [] : ifChosen(0, [...guests(first + entryPoints.length), ...(main.returns ? [] : i32Const(0))])),
    ...entryPoints.flatMap(({ parameters, result }, at) =>
      ifChosen(at + 1, [
        ...parameters.flatMap(({ type }, index) => [...i32Const(index), ...host(wasmType(type))]),
        ...guests(first + at),
        ...host(result === null ? "nothing" : RESULTS[wasmType(result)]),
        ...i32Const(0),
      ]),
    ),
    ...[0x00, END],
  ];
  const imported = [
    ...Object.entries(HOST_FUNCTIONS).map(([name, signature]) => ({ group: "host", name, signature })),
    ...guest.map((one) => ({ group: "guest", ...one })),
  ];
  const types = [...imported.map(({ signature }) => signature), { params: [], results: ["i32"] } as const];
  const run = imported.length;
  return moduleOf(
    section(1, vector(types.map(typeBytes))),
    section(2, vector(imported.map(({ group, name }, at) => [...text(group), ...text(name), 0, ...unsignedLeb(at)]))),
    section(3, [1, ...unsignedLeb(run)]),
    section(7, [1, ...text("run"), 0, ...unsignedLeb(run)]),
    section(10, [1, ...unsignedLeb(body.length), ...body]),
  );
}

/**
 * A module with the memory of a guest and what `@assemblyscript/loader` calls of its runtime: the loader makes the names of exports
 * into properties, and a guest's are anybody's.
 */
export function bridgeModule(): WebAssembly.Module {
  const functions = ["__new", "__pin", "__unpin"];
  return moduleOf(
    section(
      1,
      vector([
        typeBytes({ params: ["i32", "i32"], results: ["i32"] }),
        typeBytes({ params: ["i32"], results: ["i32"] }),
        typeBytes({ params: ["i32"], results: [] }),
      ]),
    ),
    section(
      2,
      vector([
        [...text("guest"), ...text(RUNTIME_MEMORY), 0x02, 0x00, 0x00],
        [...text("guest"), ...text(RUNTIME_TYPES), 0x03, CODES.i32, 0x00],
        ...functions.map((each, at) => [...text("host"), ...text(each), 0x00, at]),
      ]),
    ),
    section(
      7,
      vector([
        [...text(RUNTIME_MEMORY), 0x02, 0],
        [...text(RUNTIME_TYPES), 0x03, 0],
        ...functions.map((each, at) => [...text(each), 0x00, at]),
      ]),
    ),
  );
}

function signatureOf({ parameters, result }: EntryPoint): Signature {
  return { params: parameters.map(({ type }) => wasmType(type)), results: result === null ? [] : [wasmType(result)] };
}

/** `if (which == at) { …; return }` */
function ifChosen(at: number, instructions: readonly number[]): number[] {
  return [...[0x20, 0], ...i32Const(at), ...[0x46, 0x04, VOID], ...instructions, ...[0x0f, END]];
}

function i32Const(value: number): number[] {
  return [0x41, ...signedLeb(value)];
}

function typeBytes({ params, results }: Signature): number[] {
  const codes = (types: readonly WasmType[]) => vector(types.map((type) => [CODES[type]]));
  return [0x60, ...codes(params), ...codes(results)];
}
