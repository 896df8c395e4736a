/** The upload pipeline from bytes to artefact. Runs the guest's start function: only in a thread that may be killed. */
import { createHash } from "node:crypto";
import { ByteWriter } from "../../state/bytes.ts";
import { invariant, NeapError } from "../../state/errors.ts";
import type { AbiTable } from "./abi-table.ts";
import {
  type Artefact,
  GLOBAL_EXPORT_PREFIX,
  type ModuleHash,
  type ModuleLimits,
  type Snapshot,
  START_EXPORT,
} from "./artefact.ts";
import type { ModuleShape } from "./module-shape.ts";
import { capped, editModule } from "./section-editor.ts";
import { readSections } from "./sections.ts";
import { takeSnapshot } from "./snapshot.ts";
import { validateModule } from "./validation.ts";

/** Counts the changes of the pipeline that make another artefact of the same bytes. */
const PIPELINE_VERSION = 2;
const ENGINE_MESSAGE_MAX = 400;

/** What was uploaded, and where: equal bytes under other limits are another module. */
export function moduleHash(bytes: Uint8Array, limits: ModuleLimits): ModuleHash {
  const builtIn = new ByteWriter(16).u32(PIPELINE_VERSION).u32(limits.memoryMaxPages).u32(limits.tableMaxElements).take();
  return createHash("sha256").update(builtIn).update(bytes).digest("hex") as ModuleHash;
}

/**
 * @param beforeStart  called once, right before the first instruction of the module runs
 * @throws MODULE_TOO_LARGE, MODULE_INVALID, MODULE_IMPORT_UNKNOWN, MODULE_LIMIT, MODULE_NO_ENTRY  see `validateModule`
 * @throws MODULE_START_FAILED  the start function trapped, called the host, or its data does not fit the memory
 */
export function prepareModule(
  bytes: Uint8Array<ArrayBuffer>,
  abi: AbiTable,
  limits: ModuleLimits,
  beforeStart: () => void = () => {},
): Artefact {
  if (bytes.byteLength > limits.moduleMaxBytes) {
    throw new NeapError(
      "MODULE_TOO_LARGE",
      `the module has ${bytes.byteLength} bytes, at most ${limits.moduleMaxBytes} are allowed`,
    );
  }
  const shape = readSections(bytes);
  const valid = validateModule(bytes, shape, abi, limits);
  checkWithEngine(bytes);

  const [memory] = shape.memories;
  invariant(memory !== undefined, "a valid module has a memory");
  const memoryMaxPages = capped(memory, limits.memoryMaxPages);
  const edit = {
    memoryMinPages: memory.min,
    memoryMaxPages,
    tableMaxElements: limits.tableMaxElements,
    globals: valid.mutableGlobals.map(({ index }) => index),
    activeData: true,
    bulk: valid.bulk,
  };
  const globals = valid.mutableGlobals.map(({ index, type }) => ({ name: GLOBAL_EXPORT_PREFIX + index, type }));

  const startable = new WebAssembly.Module(editModule(bytes, shape, edit));
  beforeStart();
  const exports = runStart(startable, shape, valid.initialisers);
  const snapshot: Snapshot = takeSnapshot(exports, globals);

  const wasm = editModule(bytes, shape, { ...edit, memoryMinPages: snapshot.pages, activeData: false });
  invariant(WebAssembly.validate(wasm), "the rewritten module is valid");
  return {
    hash: moduleHash(bytes, limits),
    wasm,
    entry: valid.entry,
    entryReturns: valid.entryReturns,
    globals,
    hasTable: shape.tables.length > 0,
    memoryMaxPages,
    imports: valid.imports,
    snapshot,
  };
}

/** The engine's own validation of the bytes as they were uploaded, so that its offsets are those of the caller's file. */
function checkWithEngine(bytes: Uint8Array<ArrayBuffer>): void {
  if (WebAssembly.validate(bytes)) {
    return;
  }
  try {
    new WebAssembly.Module(bytes);
  } catch (error) {
    throw new NeapError("MODULE_INVALID", messageOf(error).replace(/^WebAssembly\.Module\(\): /, ""));
  }
  throw new NeapError("MODULE_INVALID", "the engine refuses the module");
}

/** Instantiates the module and runs what prepares it. Host calls fail, as what they answer could differ from upload to upload. */
function runStart(module: WebAssembly.Module, shape: ModuleShape, initialisers: readonly string[]): WebAssembly.Exports {
  let hostCall: string | undefined;
  const imports: Record<string, Record<string, () => never>> = {};
  for (const { module: from, name } of shape.imports) {
    imports[from] ??= {};
    imports[from][name] = () => {
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
        run();
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
  const text = error instanceof Error ? error.message : String(error);
  return text.length > ENGINE_MESSAGE_MAX ? `${text.slice(0, ENGINE_MESSAGE_MAX)}…` : text;
}
