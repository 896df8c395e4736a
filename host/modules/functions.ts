/** The contract of the function registry: names → modules, in the tenant's LogBook. */
import type { LogBookId, SeqNum } from "../../state/ids.ts";
import type { Shard } from "../../state/logbook/logbook.ts";
import type { Mode } from "../../state/logbook/modes.ts";
import type { FunctionLimits } from "../tenancy/index.ts";
import type { Artefact, ModuleHash } from "./artefact.ts";
import type { Environment } from "./environment.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import type { RewritingOptions } from "./rewriting/index.ts";

export interface FunctionVersion extends RewritingOptions {
  readonly name: string;
  readonly hash: ModuleHash;
  readonly sizeBytes: number;
  readonly uploadedMs: number;
  /** Its own protocol, for scopes that nobody has chosen one for. */
  readonly protocol: Mode | null;
  /** Where the registry entry lies: what an answer that used it depends on. */
  readonly seqnum: SeqNum;
  /** null: the host's own. */
  readonly retry: RetryPolicy | null;
  /** Of its own; null: none. */
  readonly limits: FunctionLimits | null;
  /** What its programs see; null: nothing. */
  readonly environment: Environment | null;
}

/** What a function has of its own; what is left out stays as it is. */
export interface FunctionOptions {
  /** How calls are tried again; null: as the host's configuration says. */
  readonly retry?: RetryPolicy | null;
  /** All of its own limits: a limit that is not among them is none of its own any more; null: none is. */
  readonly limits?: FunctionLimits | null;
  /** All of its variables, as `limits`. */
  readonly environment?: Environment | null;
}

/** What is left out is null or false. */
export interface UploadOptions extends Partial<RewritingOptions> {
  readonly protocol?: Mode;
}

export interface Functions {
  /**
   * Validates, rewrites, starts and stores a module, then names it. Durable when this resolves; calls that arrive later run it,
   * calls that run keep their module. The pipeline runs outside this thread. Nothing is stored when it throws one of these:
   *
   * @throws BAD_NAME  `name` is not a name (`isName`)
   * @throws MODULE_TOO_LARGE  the body has more than `moduleMaxBytes`; it is not read further
   * @throws MODULE_INVALID  not WebAssembly, or broken; names section and offset
   * @throws MODULE_IMPORT_UNKNOWN  names the import, its type, and the type this host offers
   * @throws MODULE_LIMIT  names what it has more of than allowed, or the instruction that is not allowed
   * @throws MODULE_NO_ENTRY  exports neither `main` nor `_start` of a type that can be called
   * @throws MODULE_REWRITE_FAILED  the module cannot be made preemptible or migratable, or not in the time that there is for it
   * @throws MODULE_START_FAILED  the start function trapped, called the host, or ran beyond `uploadTimeoutMs`
   * @throws OVERLOADED  too many uploads are under way
   */
  upload(tenant: LogBookId, name: string, body: AsyncIterable<Uint8Array>, options?: UploadOptions): Promise<FunctionVersion>;
  /**
   * Sets options for calls that begin from now on. Uploads keep them. Limits of modules count too: the module is made anew from what
   * was uploaded. Durable when this resolves.
   * @throws UNKNOWN_FUNCTION
   * @throws BAD_REQUEST  a limit is above the tenant's
   * @throws what `upload` throws, when the module does not fit its limits
   */
  setOptions(tenant: LogBookId, name: string, options: FunctionOptions): Promise<FunctionVersion>;
  /**
   * The version that a call arriving now runs, with the owner's applied tail (F29); with `cursor` the version a guest at that
   * cursor sees, which is the same in every replay.
   * @throws UNKNOWN_FUNCTION
   */
  resolve(shard: Shard, tenant: LogBookId, name: string, cursor?: SeqNum): Promise<{ version: FunctionVersion; tail: SeqNum }>;
  /** What calls that begin now run, when what names it is durable. @throws UNKNOWN_FUNCTION */
  current(tenant: LogBookId, name: string): Promise<Artefact>;
  /** The module as it was uploaded, when what names it is durable. @throws UNKNOWN_FUNCTION */
  download(tenant: LogBookId, name: string): Promise<Uint8Array>;
  /** The current version of each function, by the time of its first upload, when durable. */
  list(tenant: LogBookId): Promise<readonly FunctionVersion[]>;
  /** A loaded artefact, from memory or the owner's blobs; one that is loading is waited for. @throws BLOB_MISSING */
  artefact(shard: Shard, hash: ModuleHash): Promise<Artefact>;
  /**
   * A side module as sandboxes take it (`decodeSideModule`): checked and rewritten outside this thread, kept by the hash of its content.
   * That it is refused is an outcome, the same in every replay.
   * @param read  called when no other side module of the tenant is read or prepared, so that one at a time is in memory. Null: there is none
   * @param preemptible  whether the function is that opens it
   * @throws MODULE_LIMIT, MODULE_REWRITE_FAILED, OVERLOADED  that took more than an upload has. What `read` throws
   */
  sideModule(tenant: LogBookId, read: () => Promise<ArrayBuffer | null>, preemptible: boolean): Promise<Uint8Array | null>;
}
