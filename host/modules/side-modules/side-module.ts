/** What the pipeline makes of a side module: a WebAssembly file that a running call loads into its own memory and table. */
import { ByteReader, ByteWriter } from "../../../state/bytes.ts";
import type { Dylink } from "./dylink.ts";

/** Of a file. */
export const SIDE_MODULE_MAX_BYTES = 16 * 1024 * 1024;
/** The module of imports that are the main module's, or a side module's. */
export const SYMBOL_MODULE = "env";
/** Modules of imports that are addresses of data, and indices of functions in the table. */
export const GotModule = { memory: "GOT.mem", functions: "GOT.func" } as const;
/** What a side module imports to lie where there is room for it. */
export const MEMORY_NAME = "memory";
export const TABLE_NAME = "__indirect_function_table";
export const LinkGlobal = { stackPointer: "__stack_pointer", memoryBase: "__memory_base", tableBase: "__table_base" } as const;

export interface SideModule extends Dylink {
  /** Checked and edited as functions are, without its start section, which is exported as START_EXPORT. */
  readonly wasm: Uint8Array;
  /** Imported functions that the host does not offer, as "module.name", and why: a text that goes on behind the name. */
  readonly notOffered: ReadonlyMap<string, string>;
  /**
   * Functions of SYMBOL_MODULE that it imports and exports, too, by name: others may have one that is to be called in its place. Their
   * types as the format has them.
   */
  readonly replaceable: ReadonlyMap<string, Uint8Array>;
}

/** The same bytes are always made into the same: a refusal is an outcome, too. */
export type PreparedSideModule =
  | { readonly kind: "module"; readonly module: SideModule }
  | { readonly kind: "refused"; readonly reason: string };

const REFUSED = 0;
const MODULE = 1;

export function encodeSideModule(prepared: PreparedSideModule): Uint8Array {
  if (prepared.kind === "refused") {
    return new ByteWriter().u8(REFUSED).text(prepared.reason).take();
  }
  const { wasm, memoryBytes, memoryAlignment, tableElements, tableAlignment } = prepared.module;
  const { needed, weak, notOffered, replaceable } = prepared.module;
  const w = new ByteWriter(wasm.byteLength + 4096).u8(MODULE);
  w.u32(memoryBytes).u32(memoryAlignment).u32(tableElements).u32(tableAlignment);
  for (const names of [needed, weak, [...notOffered].flat()]) {
    w.u32(names.length);
    for (const name of names) {
      w.text(name);
    }
  }
  w.u32(replaceable.size);
  for (const [name, type] of replaceable) {
    w.text(name).bytes(type);
  }
  return w.bytes(wasm).take();
}

/** The module is a view of `bytes`. @throws RangeError, TypeError  for bytes that are none */
export function decodeSideModule(bytes: Uint8Array): PreparedSideModule {
  const r = new ByteReader(bytes);
  if (r.u8() === REFUSED) {
    return { kind: "refused", reason: r.text() };
  }
  const size = { memoryBytes: r.u32(), memoryAlignment: r.u32(), tableElements: r.u32(), tableAlignment: r.u32() };
  const [needed, weak, pairs] = [texts(r), texts(r), texts(r)];
  const notOffered = new Map<string, string>();
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    notOffered.set(pairs[at] ?? "", pairs[at + 1] ?? "");
  }
  const replaceable = new Map<string, Uint8Array>();
  for (let left = r.u32(); left > 0; left--) {
    replaceable.set(r.text(), r.bytes());
  }
  return { kind: "module", module: { ...size, needed, weak, notOffered, replaceable, wasm: r.bytes() } };
}

function texts(r: ByteReader): string[] {
  const found: string[] = [];
  for (let left = r.u32(); left > 0; left--) {
    found.push(r.text());
  }
  return found;
}
