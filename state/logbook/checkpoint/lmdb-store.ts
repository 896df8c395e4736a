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
 * L3. The file is as long as LMDB takes it to be (lmdb-file).
 */
import { mkdirSync } from "node:fs";
import { crc32 } from "node:zlib";
import { type Database, open } from "lmdb";
import { NeapError } from "../../errors.ts";
import type { SeqNum } from "../../ids.ts";
import { checkWhole, fillUp } from "./lmdb-file.ts";
import type { Checkpoint, CheckpointStore, CheckpointWriter } from "./store.ts";

const CHECKPOINT_KEY = Buffer.from("checkpoint");
const CRC_BYTES = 4;

type Bytes = Database<Buffer, Buffer>;

type Damage = (what: string, cause?: unknown) => NeapError;

function damageOf(directory: string): Damage {
  return (what, cause) => new NeapError("JOURNAL_DAMAGED", `checkpoint in ${directory}: ${what}`, { cause });
}

/** Opens the databases of a file that is whole. */
function openDatabases(directory: string, damage: Damage) {
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
  return attempt(() => {
    const root = open<Buffer, Buffer>({ path: directory, ...options, overlappingSync: false, maxDbs: 4 });
    const database = (name: string): Bytes => root.openDB<Buffer, Buffer>({ name, ...options });
    return { attempt, root, index: database("index"), records: database("records") };
  });
}

/** Reads every entry and record of a folder. @throws JOURNAL_DAMAGED  one is not what was saved */
export async function readAll(directory: string): Promise<void> {
  const damage = damageOf(directory);
  const { attempt, root, index, records } = openDatabases(directory, damage);
  attempt(() => {
    for (const database of [index, records]) {
      for (const { key, value } of database.getRange({})) {
        unseal(key, value, damage);
      }
    }
  });
  await root.close();
}

/**
 * Opens the checkpoints of a folder, which is made if there is none. The journal beside it must be locked by this process.
 * @throws JOURNAL_DAMAGED  the folder holds something else, or less than was written
 */
export function openLmdbStore(directory: string): CheckpointStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const damage = damageOf(directory);
  checkWhole(directory, damage);
  const { attempt, root, index, records } = openDatabases(directory, damage);

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
      fillUp(directory);
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

function unseal(key: Buffer, sealed: Buffer, damage: Damage): Buffer {
  const value = sealed.subarray(CRC_BYTES);
  if (sealed.length < CRC_BYTES || sealed.readUInt32LE(0) !== crc32(value, crc32(key))) {
    throw damage(`the entry ${key.toString("hex").slice(0, 64)} is not what was saved`);
  }
  return value;
}
