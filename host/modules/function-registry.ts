/**
 * The function registry over the tenant's LogBook.
 *
 * Owns: names → versions as records with two tags, the function's own and that of all functions; blobs of modules and artefacts.
 * Does not own: what a module may be (`validation.ts`), running it, or collecting old versions: they stay, as an instance that
 * pinned one may still be replayed (F6).
 *
 *  1. A record is ordered only after both its blobs are flushed (F6).
 *  2. What is decoded is kept per session of the owner: another epoch may use a seqnum again (F1, F7).
 */
import { invariant, NeapError } from "../../state/errors.ts";
import { isName, type LogBookId, MAX_SEQNUM, NAME_RULE, NO_SEQNUM, quote, type SeqNum } from "../../state/ids.ts";
import { RecordKind } from "../../state/logbook/kinds.ts";
import type { LogRecord, Shard, ShardSource } from "../../state/logbook/logbook.ts";
import { BLOB_CHUNK_BYTES, type BlobRef, type BlobStore } from "../../state/objects/blobs.ts";
import { functionTag } from "../../state/tags.ts";
import type { ProcessStarter } from "../processes/index.ts";
import type { FunctionLimits, Tenancy } from "../tenancy/index.ts";
import type { AbiTable } from "./abi-table.ts";
import type { Artefact, ModuleHash } from "./artefact.ts";
import { ArtefactCache } from "./artefact-cache.ts";
import { decodeArtefact } from "./artefact-codec.ts";
import type { FunctionOptions, Functions, FunctionVersion, UploadOptions } from "./functions.ts";
import {
  artefactBlobName,
  encodeFunctionData,
  type FunctionData,
  originalBlobName,
  type RegistryEntry,
  registryEntry,
} from "./registry-entry.ts";
import type { RewritingOptions } from "./rewriting/index.ts";
import { SideModules } from "./side-modules/side-modules.ts";
import { TenantTurns } from "./tenant-turns.ts";
import { receiveUpload } from "./upload-body.ts";
import { Uploads } from "./uploads.ts";

export interface FunctionRegistryOptions {
  readonly shards: ShardSource;
  readonly abi: AbiTable;
  readonly tenancy: Tenancy;
  /** Bytes of artefacts kept in memory. */
  readonly cacheMaxBytes: number;
  /** Of processes that rewrite modules and prepare those of isolated tenants. Without it there are neither. */
  readonly starter?: ProcessStarter;
  /** Whether what a tenant's modules say must not reach this process. Default: no tenant's. */
  readonly isIsolated?: (tenant: LogBookId) => boolean;
  /** Told of each module that was uploaded here, before the upload is acknowledged. */
  readonly onUpload?: (artefact: Artefact, tenant: LogBookId) => void;
}

/** No function has the empty name: the stream of all functions' records. */
const ALL_FUNCTIONS_TAG = functionTag("");
const OWNER_WAIT_MS = 5_000;
/** Uploads that are received, wait or are prepared; each may hold a module's bytes. */
const UPLOADS_MAX = 16;
/** Of one tenant. */
const TENANT_UPLOADS_MAX = 12;
const ENTRIES_PER_SHARD_MAX = 10_000;

type MadeModule = Pick<FunctionData, "hash" | "artefact" | "original">;

export class FunctionRegistry implements Functions {
  readonly #options: FunctionRegistryOptions;
  readonly #modules: Uploads;
  readonly #artefacts: ArtefactCache;
  readonly #sideModules: SideModules;
  readonly #entries = new WeakMap<Shard, Map<SeqNum, RegistryEntry>>();
  /** To make a module: others' uploads do not wait behind those of one tenant, each of which may take a minute. */
  readonly #turns = new TenantTurns();
  #uploads = 0;
  readonly #tenantUploads = new Map<LogBookId, number>();

  constructor(options: FunctionRegistryOptions) {
    this.#options = options;
    this.#modules = new Uploads(options.abi, options.starter ?? null);
    this.#artefacts = new ArtefactCache(options.cacheMaxBytes);
    this.#sideModules = new SideModules(new Uploads(options.abi, options.starter ?? null));
  }

  async upload(
    tenant: LogBookId,
    name: string,
    body: AsyncIterable<Uint8Array>,
    options: UploadOptions = {},
  ): Promise<FunctionVersion> {
    if (!isName(name)) {
      throw new NeapError("BAD_NAME", `function name ${quote(name)} is not a name: ${NAME_RULE}`);
    }
    if (this.#uploads >= UPLOADS_MAX) {
      throw new NeapError("OVERLOADED", `${UPLOADS_MAX} uploads are under way already`);
    }
    const own = this.#tenantUploads.get(tenant) ?? 0;
    if (own >= TENANT_UPLOADS_MAX) {
      throw new NeapError("OVERLOADED", `${TENANT_UPLOADS_MAX} uploads of tenant ${tenant} are under way already`);
    }
    this.#countUploads(tenant, 1);
    try {
      return await this.#upload(tenant, name, body, options);
    } finally {
      this.#countUploads(tenant, -1);
    }
  }

  #countUploads(tenant: LogBookId, change: 1 | -1): void {
    this.#uploads += change;
    const own = (this.#tenantUploads.get(tenant) ?? 0) + change;
    if (own === 0) {
      this.#tenantUploads.delete(tenant);
    } else {
      this.#tenantUploads.set(tenant, own);
    }
  }

  async #upload(
    tenant: LogBookId,
    name: string,
    body: AsyncIterable<Uint8Array>,
    { protocol, preemptible = false, migratable = false, aliasState = false }: UploadOptions,
  ): Promise<FunctionVersion> {
    const rewriting = { preemptible, migratable, aliasState };
    const shard = await this.#options.shards.available(OWNER_WAIT_MS);
    let own = (await this.#newest(shard, tenant, name))?.version.limits ?? null;
    let module = await receiveUpload(body, this.#options.tenancy.of(tenant).uploadLimits(own).moduleMaxBytes);
    for (;;) {
      const made = await this.#make(tenant, module, own, rewriting);
      let limits = own;
      const version = await this.#name(tenant, name, (before) => {
        limits = before?.version.limits ?? null;
        const isAsMade = this.#isSameModule(tenant, own, limits);
        const { retry = null, environment = null } = before?.version ?? {};
        return isAsMade ? { name, ...made, ...rewriting, retry, limits, environment, protocol: protocol ?? null } : null;
      });
      if (version !== null) {
        return version;
      }
      own = limits;
      module = await ownBytes(shard.blobs, made.original);
    }
  }

  async setOptions(tenant: LogBookId, name: string, options: FunctionOptions): Promise<FunctionVersion> {
    if (options.limits) {
      this.#options.tenancy.of(tenant).checkOwn(options.limits);
    }
    for (;;) {
      const shard = await this.#options.shards.available(OWNER_WAIT_MS);
      const now = await this.#newest(shard, tenant, name);
      if (now === null) {
        throw unknownFunction(tenant, name);
      }
      const { version, artefact, original } = now;
      const { retry = version.retry, limits = version.limits, environment = version.environment } = options;
      const { protocol, preemptible, migratable, aliasState } = version;
      const rewriting = { preemptible, migratable, aliasState };
      const made = this.#isSameModule(tenant, version.limits, limits)
        ? { hash: version.hash, artefact, original }
        : await this.#make(tenant, await ownBytes(shard.blobs, original), limits, rewriting);
      const data = { name, ...made, retry, limits, environment, protocol, ...rewriting };
      const changed = await this.#name(tenant, name, (before) => (before?.version.seqnum === version.seqnum ? data : null));
      if (changed !== null) {
        return changed;
      }
    }
  }

  /** Whether the same bytes give the same artefact under both. */
  #isSameModule(tenant: LogBookId, left: FunctionLimits | null, right: FunctionLimits | null): boolean {
    const of = this.#options.tenancy.of(tenant);
    return JSON.stringify(of.uploadLimits(left)) === JSON.stringify(of.uploadLimits(right));
  }

  /** The module under the limits that the function has, stored, and ready to run here. */
  async #make(
    tenant: LogBookId,
    module: ArrayBuffer,
    own: FunctionLimits | null,
    rewriting: RewritingOptions,
  ): Promise<MadeModule> {
    const { tenancy, shards, isIsolated, onUpload } = this.#options;
    const limits = tenancy.of(tenant).uploadLimits(own);
    const prepared = await this.#turns.run(tenant, () => this.#modules.prepare(module, limits, rewriting, isIsolated?.(tenant)));
    const { hash, uploadHash, artefact: bytes } = prepared;
    const shard = await shards.available(OWNER_WAIT_MS);
    const original = await putBlob(shard.blobs, originalBlobName(uploadHash), prepared.module);
    const artefact = await putBlob(shard.blobs, artefactBlobName(hash), bytes);
    onUpload?.(await this.#artefacts.get(hash, async () => loaded(bytes, hash)), tenant);
    return { hash, artefact, original };
  }

  async #newest(shard: Shard, tenant: LogBookId, name: string): Promise<RegistryEntry | null> {
    const { record } = await shard.book(tenant).readPrev(functionTag(name), MAX_SEQNUM);
    return record === null ? null : this.#entry(shard, record);
  }

  /** Appends what `change` makes of the function's newest entry; nothing, and null, when it makes null. Durable when it resolves. */
  async #name(
    tenant: LogBookId,
    name: string,
    change: (before: RegistryEntry | null) => FunctionData | null,
  ): Promise<FunctionVersion | null> {
    const shard = await this.#options.shards.available(OWNER_WAIT_MS);
    const tag = functionTag(name);
    const book = shard.book(tenant);
    for (;;) {
      const { record: before } = await book.readPrev(tag, MAX_SEQNUM);
      const data = change(before === null ? null : this.#entry(shard, before));
      if (data === null) {
        return null;
      }
      const { artefact, original } = data;
      const record = {
        kind: RecordKind.function,
        tags: [tag, ALL_FUNCTIONS_TAG],
        data: encodeFunctionData(data),
        blobs: [artefact, original],
      };
      const result = await book.append({ records: [record], when: [{ tag, last: before?.seqnum ?? NO_SEQNUM }] });
      if (result.kind === "appended") {
        await shard.whenDurable(result.seqnum);
        const { artefact: _artefact, original: _original, ...named } = data;
        const { seqnum, timeMs: uploadedMs } = result;
        return { ...named, sizeBytes: original.sizeBytes, uploadedMs, seqnum };
      }
      invariant(result.kind === "conflict", `an append to the registry was answered ${result.kind}`);
    }
  }

  resolve(
    shard: Shard,
    tenant: LogBookId,
    name: string,
    cursor: SeqNum = MAX_SEQNUM,
  ): Promise<{ version: FunctionVersion; tail: SeqNum }> {
    return this.#find(shard, tenant, name, cursor);
  }

  async current(tenant: LogBookId, name: string): Promise<Artefact> {
    const shard = await this.#options.shards.available(OWNER_WAIT_MS);
    const { version, tail } = await this.#find(shard, tenant, name, MAX_SEQNUM);
    await shard.whenDurable(tail);
    return this.artefact(shard, version.hash);
  }

  async download(tenant: LogBookId, name: string): Promise<Uint8Array> {
    const shard = await this.#options.shards.available(OWNER_WAIT_MS);
    const { original, tail } = await this.#find(shard, tenant, name, MAX_SEQNUM);
    await shard.whenDurable(tail);
    return readBlob(shard.blobs, original);
  }

  async list(tenant: LogBookId): Promise<readonly FunctionVersion[]> {
    const shard = await this.#options.shards.available(OWNER_WAIT_MS);
    const { records, tail } = await shard.book(tenant).readStream(ALL_FUNCTIONS_TAG, 0);
    await shard.whenDurable(tail);
    const versions = records.map((record) => this.#entry(shard, record).version);
    return [...new Map(versions.map((version) => [version.name, version])).values()];
  }

  artefact(shard: Shard, hash: ModuleHash): Promise<Artefact> {
    return this.#artefacts.get(hash, async () => {
      const name = artefactBlobName(hash);
      const sizeBytes = await shard.blobs.size(name);
      if (sizeBytes === null) {
        throw new NeapError("BLOB_MISSING", `the owner does not hold the artefact of module ${hash}`);
      }
      return loaded(await readBlob(shard.blobs, { name, sizeBytes }), hash);
    });
  }

  sideModule(tenant: LogBookId, read: () => Promise<ArrayBuffer | null>, preemptible: boolean): Promise<Uint8Array | null> {
    const { tenancy, isIsolated } = this.#options;
    const limits = tenancy.of(tenant).uploadLimits(null);
    return this.#sideModules.prepared(tenant, read, { limits, preemptible, isIsolated: isIsolated?.(tenant) ?? false });
  }

  async #find(
    shard: Shard,
    tenant: LogBookId,
    name: string,
    cursor: SeqNum,
  ): Promise<{ version: FunctionVersion; original: BlobRef; tail: SeqNum }> {
    if (!isName(name)) {
      throw unknownFunction(tenant, name);
    }
    const { record, tail } = await shard.book(tenant).readPrev(functionTag(name), cursor);
    if (record === null) {
      throw unknownFunction(tenant, name);
    }
    const { version, original } = this.#entry(shard, record);
    return { version, original, tail };
  }

  #entry(shard: Shard, record: LogRecord): RegistryEntry {
    const entries = this.#entries.get(shard) ?? new Map<SeqNum, RegistryEntry>();
    this.#entries.set(shard, entries);
    const known = entries.get(record.seqnum);
    if (known !== undefined) {
      return known;
    }
    if (entries.size >= ENTRIES_PER_SHARD_MAX) {
      entries.clear();
    }
    const entry = registryEntry(record);
    entries.set(record.seqnum, entry);
    return entry;
  }
}

function unknownFunction(tenant: LogBookId, name: string): NeapError {
  return new NeapError("UNKNOWN_FUNCTION", `tenant ${tenant} has no function ${quote(name)}`);
}

function loaded(bytes: Uint8Array, hash: ModuleHash): { artefact: Artefact; sizeBytes: number } {
  return { artefact: decodeArtefact(bytes, hash), sizeBytes: bytes.byteLength };
}

/** What was uploaded, to be handed to a thread. */
async function ownBytes(blobs: BlobStore, original: BlobRef): Promise<ArrayBuffer> {
  const bytes = await readBlob(blobs, original);
  return bytes.buffer;
}

async function putBlob(blobs: BlobStore, name: BlobRef["name"], bytes: Uint8Array): Promise<BlobRef> {
  const writer = await blobs.create(name);
  try {
    for (let at = 0; at < bytes.byteLength; at += BLOB_CHUNK_BYTES) {
      await writer.write(bytes.subarray(at, at + BLOB_CHUNK_BYTES));
    }
    return await writer.commit();
  } finally {
    await writer.abort();
  }
}

async function readBlob(blobs: BlobStore, { name, sizeBytes }: BlobRef): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; ) {
    const chunk = await blobs.read(name, at, Math.min(BLOB_CHUNK_BYTES, sizeBytes - at));
    if (chunk.byteLength === 0) {
      throw new NeapError("BLOB_MISSING", `blob ${name} ends after ${at} of ${sizeBytes} bytes`);
    }
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
