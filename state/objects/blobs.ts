/** The contract of the blob store: bytes too large for a record. */
import type { BlobName } from "../ids.ts";

export interface BlobRef {
  readonly name: BlobName;
  readonly sizeBytes: number;
}

export interface BlobWriter {
  /** Appends a chunk; resolves when another one is welcome. The chunk must not be changed before. */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * The blob is flushed, file and directory, and exists under its final name when this resolves (F6). The name is unique for ever:
   * epoch of the owner and random bits (F7), or the name given to `create`.
   */
  commit(): Promise<BlobRef>;
  /** Removes what was written. Harmless after `commit`. */
  abort(): Promise<void>;
}

/** A blob that is being read: its bytes stay until `close`, whoever deletes it meanwhile. */
export interface BlobReader {
  readonly sizeBytes: number;
  /** Up to `sizeBytes` bytes from `offset`; shorter only at the end of the blob. */
  read(offset: number, sizeBytes: number): Promise<Uint8Array>;
  /** Gives back what holds the bytes. Never rejects. */
  close(): Promise<void>;
}

/**
 * Blobs are written under a temporary name, flushed and linked before a record may name them. They are deleted only on the
 * strength of a durable GC record (F4).
 */
export interface BlobStore {
  /** @param name  a content hash; when a blob of that name exists already, `commit` replaces it by this one, which is equal */
  create(name?: BlobName): Promise<BlobWriter>;
  /** Size in bytes, or null when it is not held here. */
  size(name: BlobName): Promise<number | null>;
  /** `close` must follow. @throws BLOB_MISSING */
  open(name: BlobName): Promise<BlobReader>;
  /**
   * Up to `sizeBytes` bytes from `offset`; shorter only at the end of the blob.
   * @throws BLOB_MISSING
   */
  read(name: BlobName, offset: number, sizeBytes: number): Promise<Uint8Array>;
  /**
   * Gives up blobs that were stored and not used. Those that were drawn in this epoch and that no record has ever named are deleted,
   * and a record that names one is refused from now on; of all others nothing changes. Never rejects: what cannot be deleted is left
   * to the next start.
   */
  discard(names: readonly BlobName[]): Promise<void>;
}

export const BLOB_CHUNK_BYTES = 1024 * 1024;

/** The store as its owner sees it. */
export interface OwnedBlobs extends BlobStore {
  /** The size in bytes when it is known without asking the disk. */
  known(name: BlobName): number | undefined;
  /** A record names it: from now on only `remove` deletes it. */
  named(name: BlobName): void;
  /**
   * Removes what uploads of earlier openings left behind, and blobs that `isNamed` does not know. Once, before the first `create`: no
   * name of the running epoch is ever swept (F6).
   */
  sweep(isNamed: (name: BlobName) => boolean): Promise<void>;
  /**
   * Deletes blobs that nothing names any more; none is held here from the moment of the call. Content hashes stay until the next
   * sweep, as somebody may be naming one again.
   */
  remove(names: readonly BlobName[]): Promise<void>;
}
