/**
 * Checkpoints in an LMDB environment.
 *
 *   root     "checkpoint"  the Checkpoint and the number of entries, as JSON
 *   index    entries of the index by their keys
 *   records  bytes of records by seqnum (u64, big-endian)
 *
 * Each value begins with a CRC-32 of its key and the rest: LMDB has no checksums of its own.
 *
 * L1. One transaction per checkpoint, flushed at its commit: `overlappingSync` would let it count before the flush.
 * L2. One thread writes at a time; others read, each in a snapshot of its own.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { type Database, open } from "lmdb";
import { hasCode, NeapError } from "../../errors.ts";
import type { SeqNum } from "../../ids.ts";
import type { Checkpoint, CheckpointStore, CheckpointWriter } from "./store.ts";

const CHECKPOINT_KEY = Buffer.from("checkpoint");
const CRC_BYTES = 4;

type Bytes = Database<Buffer, Buffer>;

/**
 * Opens the checkpoints of a folder, which is made if there is none. The journal beside it must be locked by this process.
 * @throws JOURNAL_DAMAGED  the folder holds something else, or less than was written
 */
export function openLmdbStore(directory: string): CheckpointStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const damage = (what: string, cause?: unknown): NeapError =>
    new NeapError("JOURNAL_DAMAGED", `checkpoint in ${directory}: ${what}`, { cause });
  checkWhole(join(directory, "data.mdb"), damage);
  const options = { encoding: "binary", keyEncoding: "binary" } as const;
  const attempt = <T>(run: () => T): T => {
    try {
      return run();
    } catch (error) {
      // Whatever LMDB itself says of what it reads: a page of another kind, a page that is not there.
      throw error instanceof Error && /MDB_(CORRUPTED|PAGE_NOTFOUND|INVALID|VERSION_MISMATCH|PANIC)/.test(error.message)
        ? damage(error.message, error)
        : error;
    }
  };
  const [root, index, records] = attempt(() => {
    const environment = open<Buffer, Buffer>({ path: directory, ...options, overlappingSync: false, maxDbs: 4 });
    const database = (name: string): Bytes => environment.openDB<Buffer, Buffer>({ name, ...options });
    return [environment, database("index"), database("records")] as const;
  });

  const readCheckpoint = (): (Checkpoint & { entries: number }) | undefined => {
    const sealed = root.get(CHECKPOINT_KEY);
    if (sealed === undefined) {
      return undefined;
    }
    return JSON.parse(unseal(CHECKPOINT_KEY, sealed, damage).toString()) as Checkpoint & { entries: number };
  };

  return {
    last: () => attempt(readCheckpoint),
    load(visit) {
      attempt(() => {
        let count = 0;
        for (const { key, value } of index.getRange({})) {
          visit(key, unseal(key, value, damage));
          count += 1;
        }
        const entries = readCheckpoint()?.entries ?? 0;
        if (count !== entries) {
          throw damage(`${count} entries instead of ${entries}`);
        }
      });
    },
    record(seqnum) {
      const key = recordKey(seqnum);
      const sealed = attempt(() => records.get(key));
      return sealed && unseal(key, sealed, damage);
    },
    save(checkpoint, write) {
      attempt(() =>
        root.transactionSync(() => {
          const writer = new LmdbWriter(index, records);
          write(writer);
          const entries = writer.finish();
          root.putSync(CHECKPOINT_KEY, seal(CHECKPOINT_KEY, Buffer.from(JSON.stringify({ ...checkpoint, entries }))));
        }),
      );
    },
    refresh: () => root.resetReadTxn(),
    close: () => root.close(),
  };
}

class LmdbWriter implements CheckpointWriter {
  readonly #index: Bytes;
  readonly #records: Bytes;
  /** Keys of entries that were saved before and are not put. */
  readonly #stale = new Set<string>();
  #entries = 0;

  constructor(index: Bytes, records: Bytes) {
    this.#index = index;
    this.#records = records;
    for (const key of index.getKeys({})) {
      this.#stale.add(key.toString("latin1"));
    }
  }

  put(key: Buffer, value: Buffer): void {
    const sealed = seal(key, value);
    this.#entries += 1;
    const known = this.#stale.delete(key.toString("latin1"));
    if (!known || this.#index.get(key)?.equals(sealed) !== true) {
      this.#index.putSync(key, sealed);
    }
  }

  putRecord(seqnum: SeqNum, bytes: Uint8Array): void {
    const key = recordKey(seqnum);
    this.#records.putSync(key, seal(key, bytes));
  }

  keepRecords(isLive: (seqnum: SeqNum) => boolean): void {
    const dead: Buffer[] = [];
    for (const key of this.#records.getKeys({})) {
      if (!isLive((key.readUInt32BE(0) * 2 ** 32 + key.readUInt32BE(4)) as SeqNum)) {
        dead.push(Buffer.from(key));
      }
    }
    for (const key of dead) {
      this.#records.removeSync(key);
    }
  }

  /** @returns how many entries there are */
  finish(): number {
    for (const key of this.#stale) {
      this.#index.removeSync(Buffer.from(key, "latin1"));
    }
    return this.#entries;
  }
}

function recordKey(seqnum: SeqNum): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeUInt32BE(Math.floor(seqnum / 2 ** 32), 0);
  key.writeUInt32BE(seqnum % 2 ** 32, 4);
  return key;
}

function seal(key: Buffer, value: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(CRC_BYTES + value.byteLength);
  sealed.set(value, CRC_BYTES);
  sealed.writeUInt32LE(crc32(value, crc32(key)), 0);
  return sealed;
}

function unseal(key: Buffer, sealed: Buffer, damage: (what: string) => NeapError): Buffer {
  const value = sealed.subarray(CRC_BYTES);
  if (sealed.length < CRC_BYTES || sealed.readUInt32LE(0) !== crc32(value, crc32(key))) {
    throw damage(`the entry ${key.toString("hex").slice(0, 64)} is not what was saved`);
  }
  return value;
}

const PAGE_BYTES = 4_096;
const MAGIC = 0xbeefc0de;
/** In each of the first two pages. */
const META = { magic: 24, lastPage: 144, transaction: 152 } as const;

/** LMDB maps the file: reading beyond its end would kill the process. So it must not be shorter than it says of itself. */
function checkWhole(path: string, damage: (what: string, cause?: unknown) => NeapError): void {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if (hasCode(error, "ENOENT")) {
      return;
    }
    throw error;
  }
  try {
    const head = Buffer.alloc(2 * PAGE_BYTES);
    const { size } = fstatSync(file);
    if (size === 0) {
      return;
    }
    readSync(file, head, 0, head.length, 0);
    const metas = [0, PAGE_BYTES]
      .map((page) => head.subarray(page, page + PAGE_BYTES))
      .filter((page) => page.readUInt32LE(META.magic) === MAGIC)
      .map((page) => ({
        pages: Number(page.readBigUInt64LE(META.lastPage)) + 1,
        transaction: page.readBigUInt64LE(META.transaction),
      }))
      .sort((a, b) => Number(b.transaction - a.transaction));
    const newest = metas[0];
    if (newest === undefined) {
      throw damage("data.mdb is not an LMDB file");
    }
    if (newest.pages * PAGE_BYTES > size) {
      throw damage(`data.mdb has ${size} bytes instead of ${newest.pages * PAGE_BYTES}`);
    }
  } finally {
    closeSync(file);
  }
}
