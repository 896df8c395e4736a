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
import type { AbiTable } from "./abi-table.ts";
import type { Artefact, ModuleHash, ModuleLimits } from "./artefact.ts";
import { ArtefactCache } from "./artefact-cache.ts";
import { decodeArtefact } from "./artefact-codec.ts";
import type { Functions, FunctionVersion, UploadOptions } from "./functions.ts";
import {
  artefactBlobName,
  encodeFunctionData,
  type FunctionData,
  originalBlobName,
  type RegistryEntry,
  registryEntry,
} from "./registry-entry.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import { receiveUpload } from "./upload-body.ts";
import { UploadThreads } from "./upload-thread.ts";

export interface FunctionRegistryOptions {
  readonly shards: ShardSource;
  readonly abi: AbiTable;
  readonly limits: ModuleLimits;
  /** Bytes of artefacts kept in memory. */
  readonly cacheMaxBytes: number;
  /** Told of each module that was uploaded here, before the upload is acknowledged. */
  readonly onUpload?: (artefact: Artefact, tenant: LogBookId) => void;
}

/** No function has the empty name: the stream of all functions' records. */
const ALL_FUNCTIONS_TAG = functionTag("");
const OWNER_WAIT_MS = 5_000;
/** Uploads that are received, wait or are prepared; each may hold a module's bytes. */
const UPLOADS_MAX = 16;
const ENTRIES_PER_SHARD_MAX = 10_000;

export class FunctionRegistry implements Functions {
  readonly #options: FunctionRegistryOptions;
  readonly #threads: UploadThreads;
  readonly #artefacts: ArtefactCache;
  readonly #entries = new WeakMap<Shard, Map<SeqNum, RegistryEntry>>();
  #uploads = 0;

  constructor(options: FunctionRegistryOptions) {
    this.#options = options;
    this.#threads = new UploadThreads(options.abi, options.limits);
    this.#artefacts = new ArtefactCache(options.cacheMaxBytes);
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
    this.#uploads += 1;
    try {
      return await this.#upload(tenant, name, body, options);
    } finally {
      this.#uploads -= 1;
    }
  }

  async #upload(
    tenant: LogBookId,
    name: string,
    body: AsyncIterable<Uint8Array>,
    { protocol, preemptible = false, migratable = false }: UploadOptions,
  ): Promise<FunctionVersion> {
    const received = await receiveUpload(body, this.#options.limits.moduleMaxBytes);
    const {
      hash,
      uploadHash,
      module,
      artefact: artefactBytes,
    } = await this.#threads.prepare(received, {
      preemptible,
      migratable,
    });
    const shard = await this.#options.shards.available(OWNER_WAIT_MS);
    const original = await putBlob(shard.blobs, originalBlobName(uploadHash), module);
    const artefact = await putBlob(shard.blobs, artefactBlobName(hash), artefactBytes);
    const version = await this.#name(shard, tenant, name, (before) => ({
      name,
      hash,
      artefact,
      original,
      retry: before?.version.retry ?? null,
      protocol: protocol ?? null,
      preemptible,
      migratable,
    }));
    this.#options.onUpload?.(await this.#artefacts.get(hash, async () => loaded(artefactBytes, hash)), tenant);
    return version;
  }

  async setRetry(tenant: LogBookId, name: string, retry: RetryPolicy | null): Promise<FunctionVersion> {
    const shard = await this.#options.shards.available(OWNER_WAIT_MS);
    return this.#name(shard, tenant, name, (before) => {
      if (before === null) {
        throw unknownFunction(tenant, name);
      }
      const { version, artefact, original } = before;
      const { hash, protocol, preemptible, migratable } = version;
      return { name, hash, artefact, original, retry, protocol, preemptible, migratable };
    });
  }

  /** Appends what `change` makes of the function's newest entry. Durable when it resolves. */
  async #name(
    shard: Shard,
    tenant: LogBookId,
    name: string,
    change: (before: RegistryEntry | null) => FunctionData,
  ): Promise<FunctionVersion> {
    const tag = functionTag(name);
    const book = shard.book(tenant);
    for (;;) {
      const { record: before } = await book.readPrev(tag, MAX_SEQNUM);
      const data = change(before === null ? null : this.#entry(shard, before));
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
        const { hash, retry, protocol, preemptible, migratable } = data;
        const { seqnum, timeMs: uploadedMs } = result;
        return { name, hash, sizeBytes: original.sizeBytes, uploadedMs, seqnum, retry, protocol, preemptible, migratable };
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

async function readBlob(blobs: BlobStore, { name, sizeBytes }: BlobRef): Promise<Uint8Array> {
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
