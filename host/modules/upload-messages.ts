/** What the upload's thread and its starter tell each other. */
import type { AbiFunction } from "./abi-table.ts";
import type { ModuleHash, ModuleLimits } from "./artefact.ts";
import type { RewritingOptions } from "./rewriting/index.ts";

export interface UploadJob {
  /** Handed over, and back with the answer. May have been grown while it was received. */
  readonly module: ArrayBuffer;
  readonly abi: readonly (readonly [string, AbiFunction])[];
  readonly limits: ModuleLimits;
  readonly rewriting: RewritingOptions;
}

export type UploadMessage =
  /** A process rewrites the module; the thread sees to its time itself. */
  | { readonly kind: "rewriting" }
  | { readonly kind: "rewritten" }
  /** The module's own code is about to run. */
  | { readonly kind: "starting" }
  | { readonly kind: "prepared"; readonly prepared: PreparedModule }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

export interface PreparedModule {
  readonly hash: ModuleHash;
  /** SHA-256 of the uploaded bytes, 64 hex digits. */
  readonly uploadHash: string;
  readonly module: Uint8Array;
  readonly artefact: Uint8Array;
}
