/** Turns WebAssembly text into an artefact, for tests that need a module of their own and not the upload pipeline. */
import { createHash } from "node:crypto";
import wabt from "wabt";
import {
  type Artefact,
  type GlobalExport,
  MEMORY_EXPORT,
  type ModuleHash,
  TABLE_EXPORT,
  WASM_PAGE_BYTES,
} from "../../host/modules/artefact.ts";
import { NO_REWRITING } from "../../host/modules/rewriting/index.ts";

const tools = await wabt();
const MUTABLE_GLOBAL = /\(export "(\$global\d+)"\)\s*\(mut (i32|i64|f32|f64)\)/g;

/**
 * The text exports what an artefact exports: memory as "$memory", a table as "$table", mutable globals as "$global0", "$global1" …
 * written `(global (export "$global0") (mut i32) …)`, and the entry as "run".
 */
export function artefactOf(wat: string): Artefact {
  const wasm = tools
    .parseWat("test.wat", wat, { exceptions: true, bulk_memory: true, mutable_globals: true })
    .toBinary({}).buffer;
  const module = new WebAssembly.Module(wasm);
  const imports = WebAssembly.Module.imports(module);
  const exports = instanceOf(module, imports).exports;
  const globals: GlobalExport[] = Array.from(wat.matchAll(MUTABLE_GLOBAL), ([, name, type]) => ({
    name: String(name),
    type: type as GlobalExport["type"],
  }));
  const memory = exports[MEMORY_EXPORT];
  if (!(memory instanceof WebAssembly.Memory)) {
    throw new Error(`the module exports no ${MEMORY_EXPORT}`);
  }
  const hash = createHash("sha256").update(wasm).digest("hex");
  return {
    ...NO_REWRITING,
    hash: hash as ModuleHash,
    wasm,
    regionSafe: false,
    entry: "run",
    entryReturns: /\(export "run"\)[^()]*\(result i32\)/.test(wat),
    globals,
    hasTable: exports[TABLE_EXPORT] !== undefined,
    memoryMaxPages: 1024,
    imports: imports.map(({ module: group, name }) => `${group}.${name}`),
    snapshot: {
      hash: createHash("sha256").update("snapshot").update(hash).digest("hex"),
      pages: memory.buffer.byteLength / WASM_PAGE_BYTES,
      runs: nonZeroPages(new Uint8Array(memory.buffer)),
      globals: globals.map(({ name }) => {
        const global = exports[name];
        return global instanceof WebAssembly.Global ? global.value : 0;
      }),
    },
  };
}

function instanceOf(module: WebAssembly.Module, imports: readonly { module: string; name: string }[]): WebAssembly.Instance {
  const none: Record<string, Record<string, () => void>> = {};
  for (const { module: group, name } of imports) {
    none[group] ??= {};
    none[group][name] = () => {};
  }
  return new WebAssembly.Instance(module, none);
}

function nonZeroPages(memory: Uint8Array): { offset: number; bytes: Uint8Array }[] {
  const runs: { offset: number; bytes: Uint8Array }[] = [];
  for (let offset = 0; offset < memory.byteLength; offset += WASM_PAGE_BYTES) {
    const bytes = memory.slice(offset, offset + WASM_PAGE_BYTES);
    if (bytes.some((byte) => byte !== 0)) {
      runs.push({ offset, bytes });
    }
  }
  return runs;
}
