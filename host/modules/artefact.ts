/** What the upload pipeline makes of a module, and what a sandbox needs to run it. */
import type { Brand } from "../../state/ids.ts";
import type { RewritingOptions } from "./rewriting/index.ts";

/**
 * Names what a call runs: SHA-256 of the uploaded bytes and of the limits and the rewriting that are built into the artefact, 64 hex
 * digits. An instance that pins it runs under the same limits on every attempt (F24).
 */
export type ModuleHash = Brand<string, "ModuleHash">;

/**
 * A module that was validated, rewritten and started once. Kept by `hash`; equal uploads give equal artefacts.
 *
 * In `wasm`: no start section (the start function has already run into the snapshot); the memory's and the table's maximum are
 * capped; the memory is exported as MEMORY_EXPORT, the table, if any, as TABLE_EXPORT, every mutable global as
 * `GLOBAL_EXPORT_PREFIX + index`.
 *
 * A new instance of `wasm` has `snapshot.pages` pages of zeros, as its data segments are in the snapshot: with the snapshot's runs
 * and globals written it is in the state after the start function. Memory and these globals are all the state that it has: the
 * pipeline refuses instructions that change tables or drop segments.
 */
export interface Artefact extends RewritingOptions {
  readonly hash: ModuleHash;
  readonly wasm: Uint8Array;
  /** The exported function a call runs that names no other; "": it has only typed entry points, in a custom section of `wasm`. */
  readonly entry: string;
  /** Whether the entry returns an i32, the return value of the call (else 0). */
  readonly entryReturns: boolean;
  /** Names of the mutable globals' exports in index order, with their value types. */
  readonly globals: readonly GlobalExport[];
  readonly hasTable: boolean;
  readonly memoryMaxPages: number;
  /** Imported functions as "module.name", and the memory of `usesThreads`. */
  readonly imports: readonly string[];
  /** It exports REGION_SAFE_EXPORT: whatever memory regions hold, it may be run again from the log (F23). */
  readonly regionSafe: boolean;
  readonly snapshot: Snapshot;
}

export interface GlobalExport {
  readonly name: string;
  readonly type: "i32" | "i64" | "f32" | "f64";
}

/** Memory and globals right after the start function (a Proto-Faaslet): every sandbox begins here, and deltas are made against it. */
export interface Snapshot {
  /** SHA-256 over pages, runs and globals, 64 hex digits (H15). */
  readonly hash: string;
  readonly pages: number;
  /** The parts of memory that are not zero, ascending, not touching. */
  readonly runs: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  /** In the order of `Artefact.globals`; i64 as bigint. */
  readonly globals: readonly (number | bigint)[];
}

/** A module's own exports may not begin with it. */
export const RESERVED_EXPORT_PREFIX = "$";
export const MEMORY_EXPORT = "$memory";
export const TABLE_EXPORT = "$table";
export const GLOBAL_EXPORT_PREFIX = "$global";
/** The function of the start section, which only the upload runs. */
export const START_EXPORT = "$start";
/** The second memory of a migratable module, into which its stack is unwound. */
export const STACK_EXPORT = "$stack";
/** By the names that Asyncify gives them. */
export const ASYNCIFY_EXPORTS = {
  asyncify_start_unwind: "$startUnwind",
  asyncify_stop_unwind: "$stopUnwind",
  asyncify_start_rewind: "$startRewind",
  asyncify_stop_rewind: "$stopRewind",
  asyncify_get_state: "$unwindState",
} as const;
/** Imports that rewriting adds are of this module; no upload may import from it. */
export const REWRITING_MODULE = "$host";
/** Imports of memory regions are of this module. */
export const REGION_MODULE = "region";
/** Faasm's function () → i32 that prepares a module once, for all its calls; 0 is success. */
export const ZYGOTE = "_faasm_zygote";
/** An export of this name, of whatever kind, says that the function may be run again when the regions it used are gone. */
export const REGION_SAFE_EXPORT = "neap_region_safe";
/** A shared memory; at 0 the word that says whether the guest shall give way (`rewriting/passes/polls.ts`). */
export const CONTROL_IMPORT = "control";
/** The memory of a module whose calls have threads: every thread's instance imports the same. */
export const SHARED_MEMORY_IMPORT = "memory";
export const SHARED_MEMORY = `${REWRITING_MODULE}.${SHARED_MEMORY_IMPORT}`;
/** (i32, i32) → (): what a thread runs that `wasi.thread-spawn` has started. */
export const THREAD_START_EXPORT = "wasi_thread_start";
/** By which a module has side modules: a table of its instance may grow then, which no snapshot and no delta holds. */
export const SIDE_MODULE_IMPORTS: ReadonlySet<string> = new Set(["env.dlopen", "env.dlsym", "env.dlclose", "env.dlerror"]);
/** The shared memory of the tenant's memory regions. */
export const ARENA_IMPORT = "arena";
/** Where the addresses of the tenant's memory regions begin, for modules whose state is aliased; their own memory ends there. */
export const ALIAS_BASE = 2 ** 30;
/** () → i32: gives way; then 0 to go on, 1 to trap. */
export const INTERRUPT_IMPORT = "interrupt";
export const WASM_PAGE_BYTES = 65_536;

/** Whether the module reaches memory regions: its sandboxes need the tenant's memory of them. */
export function usesRegions({ aliasState, imports }: Artefact): boolean {
  return aliasState || traitsOf(imports).usesRegions;
}

/** Whether calls of the module can have threads: its memory is shared by those of a call. */
export function usesThreads({ imports }: Pick<Artefact, "imports">): boolean {
  return traitsOf(imports).usesThreads;
}

/** Whether calls of the module can have side modules. */
export function usesSideModules({ imports }: Pick<Artefact, "imports">): boolean {
  return traitsOf(imports).usesSideModules;
}

interface Traits {
  readonly usesRegions: boolean;
  readonly usesThreads: boolean;
  readonly usesSideModules: boolean;
}

/** Asked several times for each call. */
const traits = new WeakMap<readonly string[], Traits>();

function traitsOf(imports: readonly string[]): Traits {
  let found = traits.get(imports);
  if (found === undefined) {
    found = {
      usesRegions: imports.some((name) => name.startsWith(`${REGION_MODULE}.`)),
      usesThreads: imports.includes(SHARED_MEMORY),
      usesSideModules: imports.some((name) => SIDE_MODULE_IMPORTS.has(name)),
    };
    traits.set(imports, found);
  }
  return found;
}

/** What the upload pipeline enforces. Part of the configuration. */
export interface ModuleLimits {
  readonly moduleMaxBytes: number;
  readonly memoryMaxPages: number;
  readonly tableMaxElements: number;
  /** Wall time of the whole pipeline, the start function included. */
  readonly uploadTimeoutMs: number;
}
