/** What the upload's thread or process tells its starter. */
import type { ModuleHash } from "./artefact.ts";
import type { RewriteRequest } from "./rewriting/index.ts";

export interface PreparedModule {
  readonly hash: ModuleHash;
  /** SHA-256 of the uploaded bytes, 64 hex digits. */
  readonly uploadHash: string;
  readonly module: Uint8Array;
  readonly artefact: Uint8Array;
}

export type UploadMessage =
  /** To be rewritten elsewhere; the rewritten module is the only answer there is to any message. */
  | { readonly kind: "rewriting"; readonly module: Uint8Array<ArrayBuffer>; readonly request: RewriteRequest }
  /** The module's own code is about to run. */
  | { readonly kind: "starting" }
  | { readonly kind: "prepared"; readonly prepared: PreparedModule }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

/** As the byte that begins it in a pipe. */
export const UPLOAD_KINDS = ["rewriting", "starting", "prepared", "refused"] as const satisfies readonly UploadMessage["kind"][];
