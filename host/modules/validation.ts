/** What this host allows a module to be, checked before the engine sees its bytes. */
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";
import type { AbiTable } from "./abi-table.ts";
import {
  type GlobalExport,
  type ModuleLimits,
  REGION_MODULE,
  RESERVED_EXPORT_PREFIX,
  SIDE_MODULE_IMPORTS,
  THREAD_START_EXPORT,
  ZYGOTE,
} from "./artefact.ts";
import { scanBodies } from "./compile-work.ts";
import { checkEntryPoints } from "./entry-points/index.ts";
import { type BodyVisitor, scanBody } from "./instructions.ts";
import { MODULE_CAPS } from "./module-caps.ts";
import {
  type FunctionBody,
  type FunctionType,
  type ImportEntry,
  importedCount,
  type ModuleShape,
  sharedMemory,
} from "./module-shape.ts";
import { whyRefused } from "./refused-imports.ts";

/** Imports that one message says are refused. */
const REFUSALS_MAX = 16;

/** What the rest of the pipeline needs to know of a valid module. */
export interface ValidModule {
  /** "" when it has none, only typed entry points. */
  readonly entry: string;
  readonly entryReturns: boolean;
  /** Exported functions that prepare the module and that neither its start section nor its entry runs, in order. */
  readonly initialisers: readonly string[];
  /** Imported functions as "module.name", each once. */
  readonly imports: readonly string[];
}

/**
 * @throws MODULE_IMPORT_UNKNOWN  an import is not in `abi`, has another type there, or is no function
 * @throws MODULE_LIMIT  memory, table, globals, locals or instructions that this host does not allow
 * @throws MODULE_NO_ENTRY  exports neither `main` () → () or () → i32, nor `_start` () → (), and has no typed entry points
 * @throws MODULE_INVALID  a reserved export name, an index out of range, broken instructions, what `checkEntryPoints` says
 */
export function validateModule(bytes: Uint8Array, shape: ModuleShape, abi: AbiTable, limits: ModuleLimits): ValidModule {
  const imports = checkImports(shape, abi);
  checkCode(bytes, shape, limits);
  if (sharedMemory(shape) === undefined) {
    checkWithoutThreads(shape, imports, abi);
  } else {
    checkThreads(shape, imports);
  }
  if (shape.memories.length === 0 && sharedMemory(shape) === undefined) {
    throw new NeapError("MODULE_LIMIT", "the module has no memory, it must have one of its own");
  }
  checkExportNames(shape);
  const entryPoints = checkEntryPoints(bytes, shape, (name) => exportedFunction(shape, name));
  const { entry, entryReturns } = findEntry(shape, entryPoints.length > 0);
  return { entry, entryReturns, initialisers: findInitialisers(bytes, shape, entry), imports };
}

/** @throws MODULE_INVALID */
export function checkExportNames({ exports }: ModuleShape): void {
  for (const { name, offset } of exports) {
    if (name.startsWith(RESERVED_EXPORT_PREFIX)) {
      const text = `export section at offset ${offset}: ${quote(name)}: names that begin with "${RESERVED_EXPORT_PREFIX}" are reserved`;
      throw new NeapError("MODULE_INVALID", text);
    }
  }
}

/** What makes a compiler give the module a memory that threads share. */
const SHARED_MEMORY_FLAGS =
  "build it with -pthread -Wl,--import-memory,--shared-memory,--max-memory=<bytes>, and --no-check-features with a C library without threads such as Debian's, or in AssemblyScript with --enable threads --sharedMemory --maximumMemory <pages>";
const THREAD_SPAWN = "wasi.thread-spawn";

/** H23 @throws MODULE_LIMIT  it imports what only threads need */
function checkWithoutThreads(shape: ModuleShape, imports: readonly string[], abi: AbiTable): void {
  const ofThreads = imports.find((name) => abi.get(name)?.threads);
  if (ofThreads !== undefined) {
    const text = `${importPlace(shape, ofThreads)}: threads need a memory that they share, the module's is not: ${SHARED_MEMORY_FLAGS}`;
    throw new NeapError("MODULE_LIMIT", text);
  }
}

/** @param wanted  "module.name" */
function importPlace({ imports }: ModuleShape, wanted: string): string {
  const offset = imports.find(({ module, name }) => `${module}.${name}` === wanted)?.offset;
  return `import section at offset ${offset}: ${quote(wanted)}`;
}

function exportPlace({ exports }: ModuleShape, wanted: string): string {
  const offset = exports.find(({ name }) => name === wanted)?.offset;
  return `export section at offset ${offset}: ${quote(wanted)}`;
}

/** @throws MODULE_LIMIT, MODULE_NO_ENTRY */
function checkThreads(shape: ModuleShape, imports: readonly string[]): void {
  const region = imports.find((name) => name.startsWith(`${REGION_MODULE}.`));
  if (region !== undefined) {
    const text = `${importPlace(shape, region)}: a module whose memory is shared by threads cannot use memory regions`;
    throw new NeapError("MODULE_LIMIT", text);
  }
  const sideModules = imports.find((name) => SIDE_MODULE_IMPORTS.has(name));
  if (sideModules !== undefined) {
    const text = `${importPlace(shape, sideModules)}: a module whose memory is shared by threads cannot have side modules`;
    throw new NeapError("MODULE_LIMIT", text);
  }
  const start = exportedFunction(shape, THREAD_START_EXPORT);
  const isStart = start !== undefined && sameTypes(start.params, ["i32", "i32"]) && start.results.length === 0;
  if (imports.includes(THREAD_SPAWN) && !isStart) {
    const found =
      start === undefined ? "it exports none" : `${exportPlace(shape, THREAD_START_EXPORT)} has type ${typeText(start)}`;
    const text = `a module that imports ${quote(THREAD_SPAWN)} must export ${THREAD_START_EXPORT} (i32, i32) -> (); ${found}`;
    throw new NeapError("MODULE_NO_ENTRY", text);
  }
}

/**
 * What a module may consist of, whoever it is for.
 * @throws MODULE_LIMIT, MODULE_INVALID  see `validateModule`
 */
export function checkCode(bytes: Uint8Array, shape: ModuleShape, limits: ModuleLimits): void {
  checkMemory(shape, limits);
  checkTable(shape, limits);
  mutableGlobals(shape);
  checkBodies(shape);
  scanBodies(bytes, shape, visitorOf(shape));
}

/** Instances of a module with a shared memory keep all their segments, see preparation.ts. */
function visitorOf(shape: ModuleShape): BodyVisitor {
  return sharedMemory(shape) === undefined ? {} : { dataDrop: () => {} };
}

/** Those that take an index of a function: all but a shared memory, which the section editor makes an import of this host's. */
function functionImports(shape: ModuleShape): ImportEntry[] {
  const isGuests = ({ kind, limits }: ImportEntry) =>
    kind === "memory" && limits?.shared === true && sharedMemory(shape) !== undefined;
  return shape.imports.filter((entry) => !isGuests(entry));
}

/** @throws MODULE_IMPORT_UNKNOWN  with all that are refused, of very many the first */
function checkImports(shape: ModuleShape, abi: AbiTable): string[] {
  const offered = new Set<string>();
  const refused: string[] = [];
  for (const entry of functionImports(shape)) {
    const name = `${entry.module}.${entry.name}`;
    const why = entry.kind === "function" ? whyNotOffered(entry, shape, abi) : whyNoImport(entry);
    if (why === null) {
      offered.add(name);
    } else {
      refused.push(`at offset ${entry.offset}: ${quote(name)} ${why}`);
    }
  }
  if (refused.length > 0) {
    const rest = refused.length - REFUSALS_MAX;
    const text = refused.slice(0, REFUSALS_MAX).join("; ");
    throw new NeapError("MODULE_IMPORT_UNKNOWN", `import section ${text}${rest > 0 ? `; and ${rest} more` : ""}`);
  }
  return [...offered];
}

function whyNoImport({ kind }: ImportEntry): string {
  const threads = kind === "memory" ? ", unless it is shared by threads" : "";
  return `is a ${kind}: only functions can be imported, a module brings its own memory${threads}, table and globals`;
}

/** Of an imported function: null when this host has one of its name and type, else a text that goes on behind its name. */
export function whyNotOffered({ module, name, typeIndex }: ImportEntry, shape: ModuleShape, abi: AbiTable): string | null {
  const actual = shape.types[typeIndex];
  if (actual === undefined) {
    return `has type ${typeIndex}, the module has ${shape.types.length} types`;
  }
  const expected = module.includes(".") ? undefined : abi.get(`${module}.${name}`);
  if (expected === undefined) {
    const reason = whyRefused(module, name);
    return `${typeText(actual)} is not offered by this host${reason === null ? "" : `: ${reason}`}`;
  }
  return sameTypes(actual.params, expected.params) && sameTypes(actual.results, expected.results)
    ? null
    : `has type ${typeText(actual)}, this host offers ${typeText(expected)}`;
}

function sameTypes(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((type, at) => type === right[at]);
}

function typeText(type: { readonly params: readonly string[]; readonly results: readonly string[] }): string {
  const shown = (types: readonly string[]) =>
    types.length <= 16 ? types.join(", ") : `${types.slice(0, 16).join(", ")}, … ${types.length} in all`;
  return `(${shown(type.params)}) -> (${shown(type.results)})`;
}

function checkMemory(shape: ModuleShape, limits: ModuleLimits): void {
  const shared = sharedMemory(shape);
  const memory = shared ?? shape.memories[0];
  if (memory === undefined) {
    return;
  }
  const where = `${shape.memories.length > 0 ? "memory" : "import"} section at offset ${memory.start}`;
  if (shared !== undefined && shape.memories.length + importedCount(shape, "memory") > 1) {
    throw new NeapError(
      "MODULE_LIMIT",
      `${where}: the memory is shared by threads, and there is another one, which is not allowed`,
    );
  }
  const kinds = { "64-bit": memory.is64, "with a page size of its own": memory.customPageSize };
  for (const [kind, is] of Object.entries(kinds)) {
    if (is) {
      throw new NeapError("MODULE_LIMIT", `${where}: the memory is ${kind}, which is not allowed`);
    }
  }
  if (memory.min > limits.memoryMaxPages) {
    const text = `${where}: the memory begins with ${memory.min} pages of 64 KiB, at most ${limits.memoryMaxPages} are allowed`;
    throw new NeapError("MODULE_LIMIT", text);
  }
}

function checkTable(shape: ModuleShape, limits: ModuleLimits): void {
  const table = shape.tables[0]?.limits;
  if (table === undefined) {
    return;
  }
  const where = `table section at offset ${table.start}`;
  if (table.is64 || table.shared || table.customPageSize) {
    throw new NeapError("MODULE_LIMIT", `${where}: a 64-bit or shared table is not allowed`);
  }
  if (table.min > limits.tableMaxElements) {
    const text = `${where}: the table begins with ${table.min} elements, at most ${limits.tableMaxElements} are allowed`;
    throw new NeapError("MODULE_LIMIT", text);
  }
}

/**
 * The module's own mutable globals by their indices, ascending.
 * @throws MODULE_LIMIT  one has a type that a snapshot does not hold
 */
export function mutableGlobals(shape: ModuleShape): { readonly index: number; readonly type: GlobalExport["type"] }[] {
  const imported = importedCount(shape, "global");
  return shape.globals.flatMap(({ type, mutable, offset }, at) => {
    const index = imported + at;
    if (!mutable) {
      return [];
    }
    if (type !== "i32" && type !== "i64" && type !== "f32" && type !== "f64") {
      const text = `global section at offset ${offset}: global ${index} is a mutable ${type}; mutable globals must be i32, i64, f32 or f64`;
      throw new NeapError("MODULE_LIMIT", text);
    }
    return [{ index, type }];
  });
}

function checkBodies(shape: ModuleShape): void {
  let total = 0;
  for (const body of shape.bodies) {
    const sizeBytes = body.end - body.declarations;
    if (sizeBytes > MODULE_CAPS.bodyBytes) {
      const text = `code section at offset ${body.declarations}: a function has ${sizeBytes} bytes, at most ${MODULE_CAPS.bodyBytes} are allowed`;
      throw new NeapError("MODULE_LIMIT", text);
    }
    total += body.locals;
    if (body.locals > MODULE_CAPS.localsOfFunction) {
      const text = `code section at offset ${body.start}: a function has ${body.locals} locals, at most ${MODULE_CAPS.localsOfFunction} are allowed`;
      throw new NeapError("MODULE_LIMIT", text);
    }
  }
  if (total > MODULE_CAPS.locals) {
    throw new NeapError(
      "MODULE_LIMIT",
      `code section at offset ${shape.bodies[0]?.declarations}: the functions have ${total} locals, at most ${MODULE_CAPS.locals} are allowed`,
    );
  }
}

/** `main` goes before `_start`; C's main (i32, i32) -> i32 is not an entry, its `_start` is. With typed entry points none is needed. */
function findEntry(shape: ModuleShape, hasEntryPoints: boolean): { entry: string; entryReturns: boolean } {
  const main = exportedFunction(shape, "main");
  if (main?.params.length === 0 && (main.results.length === 0 || sameTypes(main.results, ["i32"]))) {
    return { entry: "main", entryReturns: main.results.length === 1 };
  }
  const start = exportedFunction(shape, "_start");
  if (start !== undefined && isProcedure(start)) {
    return { entry: "_start", entryReturns: false };
  }
  if (hasEntryPoints) {
    return { entry: "", entryReturns: false };
  }
  const found = Object.entries({ main, _start: start })
    .filter(([, type]) => type !== undefined)
    .map(([name, type]) => `${exportPlace(shape, name)} has type ${typeText(type ?? { params: [], results: [] })}`);
  const text = `the module must export main () -> () or () -> (i32), or _start () -> ()`;
  throw new NeapError("MODULE_NO_ENTRY", `${text}; ${found.length > 0 ? found.join("; ") : "it exports neither"}`);
}

function isProcedure(type: FunctionType): boolean {
  return type.params.length === 0 && type.results.length === 0;
}

/**
 * `_initialize` of a reactor, which runs the constructors itself, else `__wasm_call_ctors`, unless the entry calls it: a linker that
 * is told to export it leaves it out of `_start`, newer start-up code has it there all the same. Behind them Faasm's `_faasm_zygote`,
 * which needs them: then they run although the entry calls them, too, as they do in Faasm.
 * @throws MODULE_INVALID  the linker has put the constructors into each export, so that they would run again and again
 */
function findInitialisers(bytes: Uint8Array, shape: ModuleShape, entry: string): string[] {
  const entryCalls = calledBy(bytes, shape, entry);
  const zygote = zygoteOf(shape);
  const constructors = ["_initialize", "__wasm_call_ctors"].find((name) => {
    const type = exportedFunction(shape, name);
    return type !== undefined && isProcedure(type);
  });
  if (constructors !== undefined) {
    const isCalled = entryCalls.includes(functionIndex(shape, constructors));
    return [...(isCalled && zygote.length === 0 ? [] : [constructors]), ...zygote];
  }
  const [first] = zygote.flatMap((name) => calledBy(bytes, shape, name));
  if (first !== undefined && first === entryCalls[0]) {
    const text = `${ZYGOTE} and ${entry} both begin with a call of function ${first}: link with --export=__wasm_call_ctors`;
    throw new NeapError("MODULE_INVALID", text);
  }
  return zygote;
}

/** @throws MODULE_INVALID */
function zygoteOf(shape: ModuleShape): string[] {
  const type = exportedFunction(shape, ZYGOTE);
  if (type === undefined) {
    return [];
  }
  if (type.params.length > 0 || !sameTypes(type.results, ["i32"])) {
    throw new NeapError("MODULE_INVALID", `${exportPlace(shape, ZYGOTE)} has type ${typeText(type)}, it must be () -> (i32)`);
  }
  return [ZYGOTE];
}

/** What the exported function calls, in order; nothing for an import. */
function calledBy(bytes: Uint8Array, shape: ModuleShape, name: string): number[] {
  const body: FunctionBody | undefined = shape.bodies[functionIndex(shape, name) - functionImports(shape).length];
  const called: number[] = [];
  if (body !== undefined) {
    scanBody(bytes, body, { ...visitorOf(shape), call: (index) => called.push(index) });
  }
  return called;
}

function functionIndex(shape: ModuleShape, name: string): number {
  return shape.exports.find((entry) => entry.name === name && entry.kind === "function")?.index ?? -1;
}

/** The type of the function exported as `name`; undefined when there is none. */
function exportedFunction(shape: ModuleShape, name: string): FunctionType | undefined {
  const index = functionIndex(shape, name);
  if (index < 0) {
    return undefined;
  }
  const imports = functionImports(shape);
  const typeIndex = imports[index]?.typeIndex ?? shape.functions[index - imports.length];
  const type = typeIndex === undefined ? undefined : shape.types[typeIndex];
  if (type === undefined) {
    const count = imports.length + shape.functions.length;
    const text = `${exportPlace(shape, name)}: function ${index} or its type is missing, there are ${count}`;
    throw new NeapError("MODULE_INVALID", text);
  }
  return type;
}
