/** What the upload pipeline makes of a module, and what a sandbox needs to run it. */
import type { Brand } from "../../state/ids.ts";

/** SHA-256 of the uploaded bytes, 64 hex digits. */
export type ModuleHash = Brand<string, "ModuleHash">;

/**
 * A module that was validated, rewritten and started once. Kept by `hash`; equal uploads give equal artefacts.
 *
 * In `wasm`: no start section (the start function has already run into the snapshot); the memory's and the table's maximum are
 * capped; the memory is exported as MEMORY_EXPORT, the table, if any, as TABLE_EXPORT, every mutable global as
 * `GLOBAL_EXPORT_PREFIX + index`.
 */
export interface Artefact {
  readonly hash: ModuleHash;
  readonly wasm: Uint8Array;
  /** The exported function a call runs. */
  readonly entry: string;
  /** Whether the entry returns an i32, the return value of the call (else 0). */
  readonly entryReturns: boolean;
  /** Names of the mutable globals' exports in index order, with their value types. */
  readonly globals: readonly GlobalExport[];
  readonly hasTable: boolean;
  readonly memoryMaxPages: number;
  /** Imported functions as "module.name". */
  readonly imports: readonly string[];
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

export const MEMORY_EXPORT = "$memory";
export const TABLE_EXPORT = "$table";
export const GLOBAL_EXPORT_PREFIX = "$global";
export const WASM_PAGE_BYTES = 65_536;

/** What the upload pipeline enforces. Part of the configuration. */
export interface ModuleLimits {
  readonly moduleMaxBytes: number;
  readonly memoryMaxPages: number;
  readonly tableMaxElements: number;
  /** Wall time of the whole pipeline, the start function included. */
  readonly uploadTimeoutMs: number;
}
