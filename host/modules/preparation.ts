/** The upload pipeline from bytes to artefact. Runs the guest's start function: only in a thread that may be killed. */
import { createHash, type Hash } from "node:crypto";
import { ByteWriter } from "../../state/bytes.ts";
import { invariant, NeapError } from "../../state/errors.ts";
import type { AbiTable } from "./abi-table.ts";
import {
  ALIAS_BASE,
  type Artefact,
  GLOBAL_EXPORT_PREFIX,
  type ModuleHash,
  type ModuleLimits,
  REGION_SAFE_EXPORT,
  SHARED_MEMORY,
  type Snapshot,
  START_EXPORT,
  usesSideModules,
  WASM_PAGE_BYTES,
  ZYGOTE,
} from "./artefact.ts";
import { type BulkInstruction, SMALL_BYTES } from "./bulk-memory.ts";
import { scanBodies } from "./compile-work.ts";
import { entryPointsSection } from "./entry-points/index.ts";
import { scanBody } from "./instructions.ts";
import { REWRITTEN_CAPS } from "./module-caps.ts";
import { guestMemory, type ModuleShape, sharedMemory } from "./module-shape.ts";
import { NO_REWRITING, type RewritingOptions } from "./rewriting/index.ts";
import { capped, editModule, type ModuleEdit } from "./section-editor.ts";
import { readSections } from "./sections.ts";
import { takeSnapshot } from "./snapshot.ts";
import { mutableGlobals, type ValidModule, validateModule } from "./validation.ts";

/** Counts the changes of the pipeline that make another artefact of the same bytes. */
const PIPELINE_VERSION = 4;
const ENGINE_MESSAGE_MAX = 400;
const ALIAS_MAX_PAGES = ALIAS_BASE / WASM_PAGE_BYTES;

/** What was uploaded, and what it is made into: equal bytes under other limits are another module. */
export function moduleHash(bytes: Uint8Array, limits: ModuleLimits, rewriting: RewritingOptions = NO_REWRITING): ModuleHash {
  return hashModule(limits, rewriting).update(bytes).digest("hex") as ModuleHash;
}

/** The beginning of `moduleHash`, before the bytes. */
export function hashModule(limits: ModuleLimits, rewriting: RewritingOptions): Hash {
  const builtIn = new ByteWriter(32).u32(PIPELINE_VERSION).u32(limits.memoryMaxPages).u32(limits.tableMaxElements);
  for (const asked of [rewriting.preemptible, rewriting.migratable]) {
    builtIn.u8(asked ? 1 : 0);
  }
  if (rewriting.aliasState) {
    builtIn.u8(1);
  }
  return createHash("sha256").update(builtIn.take());
}

/** An upload that may become an artefact. */
export interface CheckedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly shape: ModuleShape;
  readonly valid: ValidModule;
}

/** @throws MODULE_TOO_LARGE, MODULE_INVALID, MODULE_IMPORT_UNKNOWN, MODULE_LIMIT, MODULE_NO_ENTRY  see `validateModule` */
export function checkModule(bytes: Uint8Array<ArrayBuffer>, abi: AbiTable, limits: ModuleLimits): CheckedModule {
  if (bytes.byteLength > limits.moduleMaxBytes) {
    throw new NeapError(
      "MODULE_TOO_LARGE",
      `the module has ${bytes.byteLength} bytes, at most ${limits.moduleMaxBytes} are allowed`,
    );
  }
  const shape = readSections(bytes);
  const valid = validateModule(bytes, shape, abi, limits);
  checkWithEngine(bytes, shape);
  return { bytes, shape, valid };
}

/** A module that nothing is asked for: checks it and makes its artefact. @throws what `checkModule` and `makeArtefact` throw */
export function prepareModule(
  bytes: Uint8Array<ArrayBuffer>,
  abi: AbiTable,
  limits: ModuleLimits,
  beforeStart: () => void = () => {},
): Artefact {
  return makeArtefact(checkModule(bytes, abi, limits), bytes, { limits, rewriting: NO_REWRITING }, beforeStart);
}

/** The module as it is given to the rewriting: whatever is state of a sandbox is exported, and so is not optimized away. */
export function rewritable(
  { bytes, shape }: CheckedModule,
  limits: ModuleLimits,
  rewriting: RewritingOptions,
): Uint8Array<ArrayBuffer> {
  return editModule(bytes, shape, { ...editOf(bytes, shape, limits, rewriting), globals: [], bulk: [] });
}

/** To be called before the rewriting. @throws MODULE_LIMIT  it cannot be had with a shared memory, side modules, or a memory so large */
export function checkRewriting({ shape, valid }: CheckedModule, rewriting: RewritingOptions): void {
  for (const option of ["preemptible", "migratable", "aliasState"] as const) {
    if (rewriting[option] && sharedMemory(shape) !== undefined) {
      throw new NeapError("MODULE_LIMIT", `the memory is shared by threads: the function cannot be ${option}`);
    }
  }
  for (const option of ["migratable", "aliasState"] as const) {
    if (rewriting[option] && usesSideModules(valid)) {
      throw new NeapError("MODULE_LIMIT", `the module has side modules, by env.dlopen: the function cannot be ${option}`);
    }
  }
  if (rewriting.aliasState && rewriting.migratable) {
    throw new NeapError(
      "MODULE_LIMIT",
      "aliasState: pointers into memory of this node go nowhere else: the function cannot be migratable",
    );
  }
  const { min = 0 } = shape.memories[0] ?? {};
  if (rewriting.aliasState && min > ALIAS_MAX_PAGES) {
    const text = `the memory has ${min} pages, at most ${ALIAS_MAX_PAGES} are possible with aliasState: state lies behind them`;
    throw new NeapError("MODULE_LIMIT", text);
  }
}

/**
 * @param wasm  the module as it shall run: its own bytes, or what the rewriting made of them
 * @param beforeStart  called once, right before the first instruction of the module runs
 * @throws MODULE_START_FAILED  the start function trapped, called the host, or its data does not fit the memory
 * @throws MODULE_REWRITE_FAILED  what the rewriting made is not a valid module
 * @throws MODULE_LIMIT  a function has become one that takes the engine too long
 */
export function makeArtefact(
  { bytes, shape: shapeBefore, valid }: CheckedModule,
  wasm: Uint8Array<ArrayBuffer>,
  { limits, rewriting }: { readonly limits: ModuleLimits; readonly rewriting: RewritingOptions },
  beforeStart: () => void,
): Artefact {
  if (wasm !== bytes && !WebAssembly.validate(wasm)) {
    throw new NeapError("MODULE_REWRITE_FAILED", "the engine refuses the rewritten module");
  }
  const shape = wasm === bytes ? shapeBefore : readSections(wasm, REWRITTEN_CAPS);
  const whole = sharedMemory(shape) === undefined ? wasm : withoutDrops(wasm, shape);
  if (wasm !== bytes) {
    scanBodies(whole, shape);
  }
  const edit = editOf(whole, shape, limits, rewriting);
  const globals = mutableGlobals(shape).map(({ index, type }) => ({ name: GLOBAL_EXPORT_PREFIX + index, type }));

  const startable = new WebAssembly.Module(editModule(whole, shape, edit));
  beforeStart();
  const exports = runStart(startable, valid.initialisers, edit);
  const snapshot: Snapshot = takeSnapshot(exports, globals);

  const entryPoints = entryPointsSection(shapeBefore);
  const edited = editModule(whole, shape, {
    ...edit,
    memoryMinPages: snapshot.pages,
    activeData: false,
    // As it was uploaded: the rewriting drops it.
    added: entryPoints === undefined ? [] : [bytes.subarray(entryPoints.start, entryPoints.end)],
  });
  invariant(WebAssembly.validate(edited), "the edited module is valid");
  return {
    ...rewriting,
    hash: moduleHash(bytes, limits, rewriting),
    wasm: edited,
    entry: valid.entry,
    entryReturns: valid.entryReturns,
    globals,
    hasTable: shape.tables.length > 0,
    memoryMaxPages: edit.memoryMaxPages,
    imports: sharedMemory(shape) === undefined ? valid.imports : [...valid.imports, SHARED_MEMORY],
    regionSafe: shape.exports.some(({ name }) => name === REGION_SAFE_EXPORT),
    snapshot,
  };
}

const NOP = 0x01;

/** The same module, in which no data.drop does anything: instances for threads have all segments, too. */
function withoutDrops(bytes: Uint8Array<ArrayBuffer>, shape: ModuleShape): Uint8Array<ArrayBuffer> {
  const copy = bytes.slice();
  for (const body of shape.bodies) {
    scanBody(bytes, body, { dataDrop: ({ start, end }) => copy.fill(NOP, start, end) });
  }
  return copy;
}

function editOf(bytes: Uint8Array, shape: ModuleShape, limits: ModuleLimits, { aliasState }: RewritingOptions): ModuleEdit {
  const memory = sharedMemory(shape) ?? shape.memories[0];
  invariant(memory !== undefined, "a valid module has a memory");
  return {
    memoryMinPages: memory.min,
    memoryMaxPages: capped(memory, Math.min(limits.memoryMaxPages, aliasState ? ALIAS_MAX_PAGES : Number.POSITIVE_INFINITY)),
    tableMaxElements: limits.tableMaxElements,
    globals: mutableGlobals(shape).map(({ index }) => index),
    activeData: true,
    bulk: bulkInstructions(bytes, shape),
  };
}

/** Those of the guest's memory: what the rewriting has added uses others, and little of them. */
export function bulkInstructions(bytes: Uint8Array, shape: ModuleShape): BulkInstruction[] {
  const memory = guestMemory(shape);
  const found: BulkInstruction[] = [];
  const bulk = (instruction: BulkInstruction) => {
    const { kind, segment, memories } = instruction;
    const isSmall = kind === "init" && (shape.dataSegments[segment]?.sizeBytes ?? 0) <= SMALL_BYTES;
    if (!isSmall && memories.every((index) => index === memory)) {
      found.push(instruction);
    }
  };
  for (const body of shape.bodies) {
    scanBody(bytes, body, { bulk });
  }
  return found;
}

/** The engine's own validation of the bytes as they were uploaded, so that its offsets are those of the caller's file. @throws MODULE_INVALID */
export function checkWithEngine(bytes: Uint8Array<ArrayBuffer>, { sections }: ModuleShape): void {
  if (WebAssembly.validate(bytes)) {
    return;
  }
  try {
    new WebAssembly.Module(bytes);
  } catch (error) {
    const { text, offset } = ENGINE_COMPLAINT.exec(String(error))?.groups ?? {};
    const section = sections.find(({ start, end }) => start <= Number(offset) && Number(offset) < end);
    const where = section === undefined ? "module" : `${section.name} section`;
    throw new NeapError("MODULE_INVALID", `${where} at offset ${offset}: ${shortened(text ?? String(error))}`);
  }
  throw new NeapError("MODULE_INVALID", "the engine refuses the module");
}

/** What is wrong, and at which byte. */
const ENGINE_COMPLAINT = /WebAssembly\.Module\(\): (?<text>.*) @\+(?<offset>\d+)$/s;

/** Instantiates the module and runs what prepares it. Host calls fail, as what they answer could differ from upload to upload. */
function runStart(
  module: WebAssembly.Module,
  initialisers: readonly string[],
  { memoryMinPages: initial, memoryMaxPages: maximum }: ModuleEdit,
): WebAssembly.Exports {
  let hostCall: string | undefined;
  const imports: Record<string, Record<string, WebAssembly.Memory | (() => never)>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] =
      kind === "memory"
        ? new WebAssembly.Memory({
            ...(`${from}.${name}` === SHARED_MEMORY ? { initial, maximum } : { initial: 1, maximum: 1 }),
            shared: true,
          })
        : () => {
            hostCall ??= `${from}.${name}`;
            throw new Error(`${hostCall} was called`);
          };
  }
  let running = "instantiation";
  const failed = (text: string): never => {
    throw new NeapError("MODULE_START_FAILED", `${running}: ${text}`);
  };
  let exports: WebAssembly.Exports = {};
  try {
    exports = new WebAssembly.Instance(module, imports).exports;
    for (const name of [START_EXPORT, ...initialisers]) {
      const run = exports[name];
      if (typeof run === "function") {
        running = name === START_EXPORT ? "start function" : name;
        const value: unknown = run();
        if (name === ZYGOTE && value !== 0) {
          throw new Error(`it returned ${value}, must be 0`);
        }
      }
    }
  } catch (error) {
    failed(hostCall === undefined ? messageOf(error) : hostCallText(hostCall));
  }
  // a guest can catch what an import throws and go on
  return hostCall === undefined ? exports : failed(hostCallText(hostCall));
}

function hostCallText(hostCall: string): string {
  return `it called ${hostCall}; host calls are not available before the first call of the function`;
}

function messageOf(error: unknown): string {
  return shortened(error instanceof Error ? error.message : String(error));
}

function shortened(text: string): string {
  return text.length > ENGINE_MESSAGE_MAX ? `${text.slice(0, ENGINE_MESSAGE_MAX)}…` : text;
}
