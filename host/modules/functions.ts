/** The contract of the function registry: names → modules, in the tenant's LogBook (design §13.13). */
import type { LogBookId, SeqNum } from "../../state/ids.ts";
import type { Shard } from "../../state/logbook/logbook.ts";
import type { Artefact, ModuleHash } from "./artefact.ts";

export interface FunctionVersion {
  readonly name: string;
  readonly hash: ModuleHash;
  readonly sizeBytes: number;
  readonly uploadedMs: number;
  /** Where the registry entry lies: what an answer that used it depends on. */
  readonly seqnum: SeqNum;
}

export interface Functions {
  /**
   * Validates, rewrites, starts and stores a module, then names it. Durable when this resolves; calls that arrive later run it,
   * calls that run keep their module. Runs outside this thread.
   *
   * @throws UNKNOWN errors of the pipeline: MODULE_INVALID, MODULE_TOO_LARGE, MODULE_IMPORT_UNKNOWN … each naming section, import or limit
   */
  upload(tenant: LogBookId, name: string, body: AsyncIterable<Uint8Array>): Promise<FunctionVersion>;
  /** The version that a call arriving now runs, with the owner's applied tail (F29). @throws UNKNOWN_FUNCTION */
  resolve(shard: Shard, tenant: LogBookId, name: string): Promise<{ version: FunctionVersion; tail: SeqNum }>;
  /** The module as it was uploaded. @throws UNKNOWN_FUNCTION */
  download(tenant: LogBookId, name: string): Promise<Uint8Array>;
  list(tenant: LogBookId): Promise<readonly FunctionVersion[]>;
  /** A loaded artefact: from memory, this node's cache folder, or the owner's blobs. @throws BLOB_MISSING */
  artefact(shard: Shard, hash: ModuleHash): Promise<Artefact>;
}
