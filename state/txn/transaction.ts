/**
 * What one transaction has read and wants to write, in the memory of one attempt.
 *
 * T1. Nothing of it is in the log before its commit; what it holds follows from the begin step and the guest's operations alone, so
 *     every replay has the same.
 * T2. It never holds more than its limits: beyond them it lets go of everything but its `excess`, and can only end.
 */
import type { InstanceId, SeqNum } from "../ids.ts";
import type { ListedObject } from "../logbook/logbook.ts";
import { compareUtf8 } from "../logbook/object-names.ts";
import { type ObjectValue, objectSize } from "../objects/object-record.ts";

/** What a commit is conditional on: all that was read, all that is written, or nothing. */
export type Isolation = "serializable" | "snapshot" | "readAtomic";

/** Objects that one transaction reads (serializable only) and writes, together. */
const TRANSACTION_MAX_OBJECTS = 1_000;
/** Of them those that it writes: the commit is decided and applied in one go, in about a millisecond (H27). */
const TRANSACTION_MAX_WRITES = 300;
/** Of their keys and values, with what a record costs besides: the commit is one frame. */
const TRANSACTION_MAX_BYTES = 1_000_000;
/** Values too large for a record. They are named by the record that starts a child, which names at most 255. */
const TRANSACTION_MAX_BLOBS = 200;

const READ_BYTES = 32;
const WRITE_BYTES = 160;
const BLOB_BYTES = 320;

export interface BufferedWrite {
  /** null: deleted. */
  readonly value: ObjectValue | null;
  /** CRC-32 of the value, for the fingerprint of the commit. */
  readonly crc: number;
}

/** What a called function gets of its caller's transaction (F37). */
export interface InheritedTransaction {
  readonly snapshot: SeqNum;
  readonly isolation: Isolation;
  /** The instance that began it, and alone may commit it. */
  readonly beginner: InstanceId;
  readonly writes: ReadonlyMap<string, BufferedWrite>;
}

/** What a list asks for. */
export interface ListPage {
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

/** What a called function gives back with its DONE. */
export interface TransactionEffects {
  /** Of the transaction that it was called in. */
  readonly snapshot: SeqNum;
  readonly reads: ReadonlyMap<string, SeqNum>;
  /** Whether it rests on which objects there are; only if serializable. */
  readonly hasListed: boolean;
  readonly writes: ReadonlyMap<string, BufferedWrite>;
  /** Locks taken for the transaction, with their tokens. */
  readonly locks: ReadonlyMap<string, SeqNum>;
  /** What it held beyond the transaction's limits, as `Transaction.excess`. */
  readonly excess: string | null;
  /** Calls that it started inside were not waited for: what they do is part of the transaction, and cannot be told any more. */
  readonly unawaited: boolean;
  /** Of a call inside it was never told what it has locked. */
  readonly lost: boolean;
}

export class Transaction {
  readonly snapshot: SeqNum;
  readonly isolation: Isolation;
  readonly beginner: InstanceId;
  /** Whether a caller began it. */
  readonly inherited: boolean;
  /** Calls started inside that were not waited for. */
  openCalls = 0;
  /** One of the calls was ended by others, or by the host: what it has locked is known to the log alone. */
  hasLost = false;
  readonly #given: ReadonlyMap<string, BufferedWrite>;
  readonly #reads = new Map<string, SeqNum>();
  readonly #writes = new Map<string, BufferedWrite>();
  #hasListed = false;
  #sizeBytes = 0;
  #blobs = 0;
  #excess: string | null = null;

  /** @param writes  left out by the function that begins it */
  constructor({ snapshot, isolation, beginner, writes }: Omit<InheritedTransaction, "writes"> & Partial<InheritedTransaction>) {
    this.snapshot = snapshot;
    this.isolation = isolation;
    this.beginner = beginner;
    this.inherited = writes !== undefined;
    this.#given = writes ?? new Map();
    for (const [key, write] of this.#given) {
      this.#count(key, write);
    }
  }

  /** What it would have held beyond its limits, with the limit: "301 objects written, 300 may be"; null within them. */
  get excess(): string | null {
    return this.#excess;
  }

  /** Versions read, for the conditions of the commit. Empty unless serializable. */
  get reads(): ReadonlyMap<string, SeqNum> {
    return this.#reads;
  }

  get hasListed(): boolean {
    return this.#hasListed;
  }

  /** What this function wrote, without what its caller had written before. */
  get writes(): ReadonlyMap<string, BufferedWrite> {
    return this.#writes;
  }

  /** What the transaction has written to the object so far. */
  buffered(key: string): BufferedWrite | undefined {
    return this.#writes.get(key) ?? this.#given.get(key);
  }

  read(key: string, version: SeqNum): void {
    if (this.isolation === "serializable" && this.#excess === null && !this.#reads.has(key)) {
      this.#sizeBytes += READ_BYTES + Buffer.byteLength(key);
      this.#reads.set(key, version);
      this.#limit();
    }
  }

  listed(): void {
    this.#hasListed ||= this.isolation === "serializable";
  }

  write(key: string, write: BufferedWrite): void {
    if (this.#excess !== null) {
      return;
    }
    const before = this.#writes.get(key);
    if (before !== undefined) {
      this.#count(key, before, -1);
    }
    this.#writes.set(key, write);
    this.#count(key, write);
    this.#limit();
  }

  /** For a function that is called now. */
  give(): InheritedTransaction {
    const { snapshot, isolation, beginner } = this;
    return { snapshot, isolation, beginner, writes: new Map([...this.#given, ...this.#writes]) };
  }

  /** What a called function has done becomes part of this transaction. Its writes count as later ones. */
  join(effects: TransactionEffects): void {
    if (effects.excess !== null) {
      this.#overflow(effects.excess);
    }
    this.openCalls += effects.unawaited ? 1 : 0;
    this.hasLost ||= effects.lost;
    for (const [key, version] of effects.reads) {
      this.read(key, version);
    }
    if (effects.hasListed) {
      this.listed();
    }
    for (const [key, write] of effects.writes) {
      this.write(key, write);
    }
  }

  /**
   * A page of a list at the snapshot with what the transaction wrote.
   * @param stored  the first `limit` plus as many as are deleted
   * @param last  the key up to which `stored` tells of all there is; null when it ends otherwise
   */
  merge(stored: readonly ListedObject[], page: ListPage, last: string | null): readonly ListedObject[] {
    const { prefix, after, limit } = page;
    const merged = stored.filter(({ key }) => this.buffered(key) === undefined);
    for (const key of new Set([...this.#given.keys(), ...this.#writes.keys()])) {
      const value = this.buffered(key)?.value ?? null;
      const isOnPage = compareUtf8(key, after) > 0 && (last === null || compareUtf8(key, last) <= 0);
      if (value !== null && key.startsWith(prefix) && isOnPage) {
        merged.push({ key, sizeBytes: objectSize(value), seqnum: this.snapshot, home: "versions" });
      }
    }
    return merged.sort((a, b) => compareUtf8(a.key, b.key)).slice(0, limit);
  }

  /** How many objects were written: so many entries of a list at the snapshot may not count. */
  get bufferedCount(): number {
    return this.#given.size + this.#writes.size;
  }

  #count(key: string, { value }: BufferedWrite, sign = 1): void {
    const valueBytes = value === null ? 0 : value.kind === "inline" ? value.bytes.byteLength : BLOB_BYTES;
    this.#sizeBytes += sign * (WRITE_BYTES + 2 * Buffer.byteLength(key) + valueBytes);
    this.#blobs += value?.kind === "blob" ? sign : 0;
  }

  #limit(): void {
    const written = this.#writes.size + this.#given.size;
    if (written > TRANSACTION_MAX_WRITES) {
      this.#overflow(`${written} objects written, ${TRANSACTION_MAX_WRITES} may be`);
    } else if (this.#reads.size + written > TRANSACTION_MAX_OBJECTS) {
      this.#overflow(`${this.#reads.size + written} objects read or written, ${TRANSACTION_MAX_OBJECTS} may be`);
    } else if (this.#sizeBytes > TRANSACTION_MAX_BYTES) {
      this.#overflow(`keys and values of ${this.#sizeBytes} bytes, ${TRANSACTION_MAX_BYTES} may be`);
    } else if (this.#blobs > TRANSACTION_MAX_BLOBS) {
      this.#overflow(`${this.#blobs} values above 4 KiB, ${TRANSACTION_MAX_BLOBS} may be`);
    }
  }

  #overflow(excess: string): void {
    this.#excess ??= excess;
    this.#reads.clear();
    this.#writes.clear();
  }
}
