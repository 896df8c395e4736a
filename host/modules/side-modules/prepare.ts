/**
 * The pipeline for side modules: what functions go through, but for what a side module has none of, an entry, a memory, a table and a
 * snapshot. None of its code runs here.
 */
import { invariant, NeapError } from "../../../state/errors.ts";
import { quote } from "../../../state/ids.ts";
import type { AbiTable } from "../abi-table.ts";
import type { ModuleLimits } from "../artefact.ts";
import { REWRITTEN_CAPS } from "../module-caps.ts";
import { type ImportEntry, type ModuleShape, sharedMemory } from "../module-shape.ts";
import { bulkInstructions, checkWithEngine } from "../preparation.ts";
import { editModule, unsignedLeb } from "../section-editor.ts";
import { readSections } from "../sections.ts";
import { checkCode, checkExportNames, whyNotOffered } from "../validation.ts";
import { type Dylink, readDylink } from "./dylink.ts";
import {
  GotModule,
  LinkGlobal,
  MEMORY_NAME,
  SIDE_MODULE_MAX_BYTES,
  type SideModule,
  SYMBOL_MODULE,
  TABLE_NAME,
} from "./side-module.ts";

const LINK_GLOBALS: readonly string[] = Object.values(LinkGlobal);
const GOT_MODULES: readonly string[] = Object.values(GotModule);

export interface CheckedSideModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly shape: ModuleShape;
  readonly dylink: Dylink;
  readonly notOffered: ReadonlyMap<string, string>;
  readonly replaceable: ReadonlyMap<string, Uint8Array>;
  /** Imported functions that may suspend the guest, as "module.name". */
  readonly suspending: readonly string[];
}

/**
 * @throws MODULE_TOO_LARGE, MODULE_INVALID, MODULE_LIMIT  see `validateModule` and `readDylink`
 * @throws MODULE_IMPORT_UNKNOWN  it imports what is no function and not of the convention for dynamic linking
 */
export function checkSideModule(bytes: Uint8Array<ArrayBuffer>, abi: AbiTable, limits: ModuleLimits): CheckedSideModule {
  if (bytes.byteLength > SIDE_MODULE_MAX_BYTES) {
    const text = `it has ${bytes.byteLength} bytes, a side module at most ${SIDE_MODULE_MAX_BYTES}`;
    throw new NeapError("MODULE_TOO_LARGE", text);
  }
  const shape = readSections(bytes);
  const dylink = readDylink(bytes, shape);
  for (const [kind, own] of [
    ["memory", shape.memories],
    ["table", shape.tables],
  ] as const) {
    if (own.length > 0) {
      throw new NeapError("MODULE_LIMIT", `it has a ${kind} of its own: a side module uses the main module's`);
    }
  }
  const functions = shape.imports.filter((entry) => !isOfConvention(entry, shape));
  checkCode(bytes, shape, limits);
  checkExportNames(shape);
  checkWithEngine(bytes, shape);
  const notOffered = new Map<string, string>();
  const suspending: string[] = [];
  for (const entry of functions) {
    const name = `${entry.module}.${entry.name}`;
    const why = whyNotForSideModules(entry, shape, abi);
    if (why !== null) {
      notOffered.set(name, why);
    } else if (abi.get(name)?.suspends) {
      suspending.push(name);
    }
  }
  return { bytes, shape, dylink, notOffered, replaceable: replaceableIn(shape, functions), suspending };
}

/** @param wasm  the module as it shall run: its own bytes, or what the rewriting made of them */
export function makeSideModule(
  { bytes, dylink, notOffered, replaceable }: CheckedSideModule,
  wasm: Uint8Array<ArrayBuffer>,
): SideModule {
  if (wasm !== bytes && !WebAssembly.validate(wasm)) {
    throw new NeapError("MODULE_REWRITE_FAILED", "the engine refuses the rewritten side module");
  }
  const edited = editSideModule(wasm);
  invariant(WebAssembly.validate(edited), "the edited side module is valid");
  return { ...dylink, notOffered, replaceable, wasm: edited };
}

/** Without its start section and with bulk instructions in pieces. */
export function editSideModule(wasm: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const shape = readSections(wasm, REWRITTEN_CAPS);
  const bulk = bulkInstructions(wasm, shape);
  return editModule(wasm, shape, {
    ...{ memoryMinPages: 0, memoryMaxPages: 0, tableMaxElements: 0 },
    ...{ globals: [], activeData: true, bulk },
  });
}

/** Linkers make such imports of what C++ has in several modules at once, as inline functions. Types without a byte of their own are left out. */
function replaceableIn(shape: ModuleShape, functions: readonly ImportEntry[]): ReadonlyMap<string, Uint8Array> {
  const exported = new Set(shape.exports.filter(({ kind }) => kind === "function").map(({ name }) => name));
  const found = new Map<string, Uint8Array>();
  for (const { module, name, typeIndex } of functions) {
    const type = shape.types[typeIndex];
    const bytes = type === undefined ? [undefined] : [type.params, type.results].map(typeBytes);
    if (module === SYMBOL_MODULE && exported.has(name) && bytes.every((each) => each !== undefined)) {
      found.set(name, Uint8Array.from([0x60, ...bytes.flatMap((each) => each ?? [])]));
    }
  }
  return found;
}

const VALUE_TYPES: Readonly<Record<string, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

function typeBytes(types: readonly string[]): number[] | undefined {
  const bytes = types.flatMap((type) => VALUE_TYPES[type] ?? []);
  return bytes.length === types.length ? [...unsignedLeb(bytes.length), ...bytes] : undefined;
}

/** False for functions. @throws MODULE_IMPORT_UNKNOWN, MODULE_LIMIT */
function isOfConvention({ module, name, kind, offset, limits }: ImportEntry, shape: ModuleShape): boolean {
  const refuse = (text: string): never => {
    throw new NeapError("MODULE_IMPORT_UNKNOWN", `import section at offset ${offset}: ${quote(`${module}.${name}`)} ${text}`);
  };
  const isFirst = () => shape.imports.find((entry) => entry.kind === kind)?.offset === offset;
  switch (kind) {
    case "function":
      return false;
    case "memory":
      if (module !== SYMBOL_MODULE || name !== MEMORY_NAME || !isFirst()) {
        refuse(`is a memory: a side module imports one, ${SYMBOL_MODULE}.${MEMORY_NAME}`);
      }
      if (limits?.is64 || limits?.customPageSize || sharedMemory(shape) !== undefined) {
        refuse("is a shared or 64-bit memory: the main module's is none");
      }
      return true;
    case "table":
      if (module !== SYMBOL_MODULE || name !== TABLE_NAME || !isFirst()) {
        refuse(`is a table: a side module imports one, ${SYMBOL_MODULE}.${TABLE_NAME}`);
      }
      return true;
    case "global":
      if (module === SYMBOL_MODULE ? !LINK_GLOBALS.includes(name) : !GOT_MODULES.includes(module)) {
        refuse(
          `is a global: a side module imports ${LINK_GLOBALS.join(", ")} of ${SYMBOL_MODULE}, and those of ${GOT_MODULES.join(", ")}`,
        );
      }
      return true;
    default:
      return refuse(`is a ${kind}: a side module cannot import it`);
  }
}

function whyNotForSideModules(entry: ImportEntry, shape: ModuleShape, abi: AbiTable): string | null {
  const listed = abi.get(`${entry.module}.${entry.name}`);
  return listed?.inline || listed?.threads ? "is not for side modules" : whyNotOffered(entry, shape, abi);
}
