/**
 * Objects as an attempt sees them that may be inside a transaction; outside of one it is the attempt's protocol.
 *
 * Owns: the transaction that is open; begin, commit and abort. Does not own: the protocol, locks (HeldLocks), calls.
 *
 * X1. Inside, every read is of the snapshot that the begin step fixed, or of what the transaction wrote itself (F37). Of what is not
 *     kept as versions it is a step: its cell holds what it held then as long as the transaction is open, not for a replay.
 * X2. A commit is one append request: all writes and then the commit step, all or none. Its conditions name the versions that were
 *     read at the snapshot, in streams and cells alike (F14); one that fails is a logged CONFLICT, and the transaction is over (F10).
 * X3. Only the instance that began a transaction commits it. What a function called inside does travels in its DONE (F37).
 * X4. A transaction that wrote nothing is a read of one moment: its commit needs no condition, and no record unless it may have locks.
 */
import { ByteWriter } from "../bytes.ts";
import { hasCode, NeapError } from "../errors.ts";
import { NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import type { Condition, ListedObject, NewRecord } from "../logbook/logbook.ts";
import { fingerprint, NO_FINGERPRINT } from "../logbook/step-record.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { type ObjectValue, objectSize } from "../objects/object-record.ts";
import { betweenSlices, type Timers } from "../ports.ts";
import {
  bytesOf,
  entryOf,
  Fenced,
  LoggedReads,
  lastOfPage,
  loggedList,
  type ObjectProtocol,
  type ObjectRead,
  ObjectVersions,
  type PlacedObjects,
  type StepStream,
  type UpdateOutcome,
} from "../protocols/index.ts";
import { HOLD_TAG_PREFIX, NAMES_TAG, objectKeyOf, objectTag } from "../tags.ts";
import type { HeldLocks } from "./held-locks.ts";
import {
  type BufferedWrite,
  type InheritedTransaction,
  type Isolation,
  Transaction,
  type TransactionEffects,
} from "./transaction.ts";

/** What a commit found changed by others. A lock: it was taken away by an administrator. */
export type ConflictOn =
  | { readonly kind: "object"; readonly key: string }
  | { readonly kind: "list" }
  | { readonly kind: "lock"; readonly name: string };

export type CommitOutcome =
  | { readonly kind: "committed"; readonly timeMs: number }
  /** Nothing was written, and the transaction is over. */
  | { readonly kind: "conflict"; readonly on: ConflictOn; readonly timeMs: number }
  /** Above a limit of `transaction.ts`. Nothing was written, and the transaction is over. */
  | { readonly kind: "tooLarge"; readonly excess: string }
  /** Calls started inside were not waited for: what they do belongs to the transaction, which goes on. */
  | { readonly kind: "openCalls" }
  /** None is open that this function has begun. */
  | { readonly kind: "none" };

/** The transaction holds more than it may, which the message says with the limit: it can only be ended. */
export class TransactionOverflown extends Error {
  override name = "TransactionOverflown";
}

const EMPTY = new Uint8Array(0);
/** Objects that a commit looks up in one go (H27). */
const SLICE_OBJECTS = 128;

export class Transactions implements ObjectProtocol {
  readonly #plain: PlacedObjects;
  readonly #blobs: BlobStore;
  readonly #steps: StepStream;
  readonly #locks: HeldLocks;
  readonly #timers: Timers;
  readonly #versions: ObjectVersions;
  readonly #logged: LoggedReads;
  #open: Transaction | null;
  /** In the open transaction, of what it had not written. */
  #lastRead: { readonly key: string; readonly version: SeqNum; readonly timeMs: number } | null = null;

  /**
   * @param plain  the protocol outside of transactions
   * @param inherited  the transaction of the caller that this function was called in
   */
  constructor(options: {
    plain: PlacedObjects;
    steps: StepStream;
    blobs: BlobStore;
    locks: HeldLocks;
    timers: Timers;
    inherited: InheritedTransaction | null;
  }) {
    const { plain, steps, blobs, locks, timers, inherited } = options;
    this.#plain = plain;
    this.#blobs = blobs;
    this.#steps = steps;
    this.#locks = locks;
    this.#timers = timers;
    this.#versions = new ObjectVersions(steps, blobs);
    this.#logged = new LoggedReads(steps, blobs);
    this.#open = inherited === null ? null : new Transaction(inherited);
    steps.reads.isOpen = inherited !== null;
  }

  /** The one that is open, the caller's too. */
  get open(): Transaction | null {
    return this.#open;
  }

  /** @returns false when one is open already, the caller's or this function's: nothing happened */
  async begin(isolation: Isolation): Promise<boolean> {
    if (this.#open !== null) {
      return false;
    }
    const { record } = await this.#steps.step({
      kind: RecordKind.begin,
      fingerprint: fingerprint(isolation, 0),
      payload: EMPTY,
    });
    this.#open = new Transaction({ snapshot: record.seqnum, isolation, beginner: this.#steps.instance });
    this.#steps.reads.isOpen = true;
    return true;
  }

  async commit(): Promise<CommitOutcome> {
    const transaction = this.#open;
    if (transaction === null || transaction.inherited) {
      return { kind: "none" };
    }
    if (transaction.openCalls > 0) {
      return { kind: "openCalls" };
    }
    const { excess } = transaction;
    if (excess !== null) {
      await this.abort();
      return { kind: "tooLarge", excess };
    }
    const { writes } = transaction;
    if (writes.size === 0 && !this.#mayHoldLocks(transaction)) {
      this.#end();
      return { kind: "committed", timeMs: 0 };
    }
    const done = await this.#steps.step({
      kind: RecordKind.commit,
      fingerprint: fingerprintOf(transaction),
      payload: new ByteWriter(16).f64(transaction.snapshot).u32(writes.size).view(),
      before: await Promise.all(Array.from(writes, ([key, write]) => this.#recordOf(key, write))),
      when: await this.#whileOpen(transaction, () => this.#conditions(transaction)),
      mayConflict: writes.size > 0,
    });
    const { timeMs } = done.record;
    if (done.failed !== null) {
      await this.abort();
      return { kind: "conflict", on: conflictOn(done.failed), timeMs };
    }
    this.#end();
    return { kind: "committed", timeMs };
  }

  /** Forgets what was written, and releases the locks of the transaction. @returns false when none is open that this function began */
  async abort(): Promise<boolean> {
    if (this.#open === null || this.#open.inherited) {
      return false;
    }
    if (this.#mayHoldLocks(this.#open)) {
      await this.#steps.step({ kind: RecordKind.abort, fingerprint: NO_FINGERPRINT, payload: EMPTY });
    }
    this.#end();
    return true;
  }

  /** What a function that is called now gets of the open transaction; null outside of one. */
  give(): InheritedTransaction | null {
    const transaction = this.#open;
    if (transaction === null) {
      return null;
    }
    transaction.openCalls += 1;
    return transaction.give();
  }

  /** A function that was called with `given` has ended. Without effect when that transaction is over. */
  join(given: InheritedTransaction, effects: TransactionEffects | null): void {
    const transaction = this.#open;
    if (transaction === null || transaction.snapshot !== given.snapshot) {
      return;
    }
    transaction.openCalls -= 1;
    if (effects === null) {
      transaction.hasLost = true;
    } else {
      transaction.join(effects);
      this.#locks.join(effects.locks);
    }
  }

  /** What the caller gets back of its transaction; null when this function was called outside of one. */
  effects(): TransactionEffects | null {
    const transaction = this.#open;
    if (transaction === null || !transaction.inherited) {
      return null;
    }
    const { snapshot, reads, hasListed, writes, excess, openCalls, hasLost } = transaction;
    const locks = this.#locks.takenInTransaction();
    return { snapshot, reads, hasListed, writes, locks, excess, unawaited: openCalls > 0, lost: hasLost };
  }

  read(key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    const transaction = this.#open;
    return transaction === null ? this.#plain.read(key, offset, maxBytes) : this.#readInside(transaction, key, offset, maxBytes);
  }

  async #readInside(transaction: Transaction, key: string, offset: number, maxBytes: number): Promise<ObjectRead> {
    mustFit(transaction);
    const place = await this.#plain.placeOf(key);
    const { snapshot } = transaction;
    const buffered = transaction.buffered(key);
    if (buffered !== undefined) {
      const { value } = buffered;
      return value === null
        ? { kind: "absent", version: NO_SEQNUM, timeMs: 0 }
        : {
            kind: "found",
            sizeBytes: objectSize(value),
            version: snapshot,
            timeMs: 0,
            bytes: await bytesOf(value, this.#blobs, offset, maxBytes),
          };
    }
    const stored =
      place === "versions"
        ? this.#versions.read(key, objectTag(key), snapshot, offset, maxBytes)
        : this.#whileOpen(transaction, () => this.#logged.read(key, offset, maxBytes, place, snapshot));
    const found = await stored.catch((error: unknown) => {
      // A caller is told that the object lives elsewhere, too.
      transaction.read(key, NO_SEQNUM);
      throw error;
    });
    // Of a delete the seqnum is not told: it may be collected before the commit.
    const read: ObjectRead = found.kind === "absent" ? { kind: "absent", version: NO_SEQNUM, timeMs: 0 } : found;
    transaction.read(key, read.version);
    this.#lastRead = { key, version: read.version, timeMs: read.timeMs };
    return read;
  }

  /** What cells held is gone when the transaction is over: another attempt has ended this function's own, its caller the one it was called in. */
  async #whileOpen<T>(transaction: Transaction, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!hasCode(error, "TRIMMED")) {
        throw error;
      }
      throw transaction.inherited
        ? new NeapError("TRANSACTION_OVER", "the transaction that the function was called in has ended before it", {
            cause: error,
          })
        : this.#steps.fence(new Fenced("badPosition", "another attempt has ended the transaction"));
    }
  }

  /** Inside a transaction there are no turns: it has a snapshot, and its commit decides. */
  readForUpdate(key: string, maxBytes: number): Promise<ObjectRead> {
    return this.#open === null ? this.#plain.readForUpdate(key, maxBytes) : this.read(key, 0, maxBytes);
  }

  async write(key: string, value: ObjectValue, valueCrc: number): Promise<void> {
    const transaction = this.#open;
    if (transaction === null) {
      return this.#plain.write(key, value, valueCrc);
    }
    transaction.write(key, { value: ownValue(value), crc: valueCrc });
  }

  update(key: string, version: SeqNum, value: ObjectValue, valueCrc: number): Promise<UpdateOutcome> {
    const transaction = this.#open;
    return transaction === null
      ? this.#plain.update(key, version, value, valueCrc)
      : this.#updateInside(transaction, key, version, { value: ownValue(value), crc: valueCrc });
  }

  async delete(key: string): Promise<void> {
    const transaction = this.#open;
    if (transaction === null) {
      return this.#plain.delete(key);
    }
    transaction.write(key, { value: null, crc: 0 });
  }

  async #updateInside(transaction: Transaction, key: string, version: SeqNum, write: BufferedWrite): Promise<UpdateOutcome> {
    // What was read last need not be read again, which may be a step.
    const isKnown = this.#lastRead?.key === key && transaction.buffered(key) === undefined;
    const read = isKnown && this.#lastRead !== null ? this.#lastRead : await this.#readInside(transaction, key, 0, 0);
    if (read.version !== version) {
      return { kind: "conflict", timeMs: read.timeMs };
    }
    transaction.write(key, write);
    return { kind: "applied", timeMs: read.timeMs };
  }

  async #recordOf(key: string, { value }: BufferedWrite): Promise<NewRecord> {
    const place = await this.#plain.placeOf(key);
    return {
      ...entryOf(value),
      tags: place === "cell" ? [] : [objectTag(key)],
      ...(place !== "versions" && { cell: { key, version: null } }),
    };
  }

  async list(prefix: string, after: string, limit: number): Promise<readonly ListedObject[]> {
    const transaction = this.#open;
    if (transaction === null) {
      return this.#plain.list(prefix, after, limit);
    }
    mustFit(transaction);
    const { snapshot } = transaction;
    transaction.listed();
    const most = limit + transaction.bufferedCount;
    const page = { prefix, after, limit };
    if ((await this.#plain.placeOfList(prefix)) === "versions") {
      return transaction.merge(await this.#versions.list(prefix, after, snapshot, most), page, null);
    }
    const stored = await this.#whileOpen(transaction, () => loggedList(this.#steps, prefix, after, most, snapshot));
    return transaction.merge(stored, page, lastOfPage(stored));
  }

  close(): void {
    this.#plain.close();
  }

  /** Of its own functions, or of those called inside whose locks it was not told. */
  #mayHoldLocks({ hasLost, openCalls }: Transaction): boolean {
    return this.#locks.inTransaction || hasLost || openCalls > 0;
  }

  #end(): void {
    this.#open = null;
    this.#lastRead = null;
    this.#steps.reads.isOpen = false;
    // What it has read was of its snapshot.
    this.#steps.nextMoment();
    this.#locks.endTransaction();
  }

  async #conditions(transaction: Transaction): Promise<readonly Condition[]> {
    const { snapshot, isolation, reads, hasListed, writes } = transaction;
    if (writes.size === 0 || this.#steps.replaying) {
      return [];
    }
    const when: Condition[] = [...this.#locks.conditions()];
    const unchanged = async (key: string): Promise<Condition> => {
      const { record } = await this.#steps.book.readCell(key, this.#steps.readsFrom, snapshot);
      return { tag: objectTag(key), newest: record?.seqnum ?? NO_SEQNUM };
    };
    // Of an absent object that is the delete that hides it, as long as it is kept.
    const read = ([key, version]: readonly [string, SeqNum]) =>
      version === NO_SEQNUM ? unchanged(key) : { tag: objectTag(key), newest: version };
    when.push(...(await this.#inSlices([...reads], read)));
    if (hasListed) {
      const { record } = await this.#steps.book.readPrev(NAMES_TAG, snapshot);
      when.push({ tag: NAMES_TAG, last: record?.seqnum ?? NO_SEQNUM });
    }
    if (isolation === "snapshot") {
      when.push(...(await this.#inSlices([...writes.keys()], unchanged)));
    }
    return when;
  }

  /** The look-ups of a slice are made at once; between slices others have their turn. */
  async #inSlices<T>(all: readonly T[], lookUp: (one: T) => Condition | Promise<Condition>): Promise<readonly Condition[]> {
    const found: Condition[] = [];
    for (let from = 0; from < all.length; from += SLICE_OBJECTS) {
      if (from > 0) {
        await betweenSlices(this.#timers);
      }
      found.push(...(await Promise.all(all.slice(from, from + SLICE_OBJECTS).map(lookUp))));
    }
    return found;
  }
}

function mustFit(transaction: Transaction): void {
  if (transaction.excess !== null) {
    throw new TransactionOverflown(`the transaction is too large: ${transaction.excess}`);
  }
}

/** Does not hold on to the message that the value came in. */
function ownValue(value: ObjectValue): ObjectValue {
  return value.kind === "inline" ? { kind: "inline", bytes: Uint8Array.from(value.bytes) } : value;
}

/** By what is written: the guest has asked for just that. */
function fingerprintOf({ isolation, writes }: Transaction): ReturnType<typeof fingerprint> {
  const keys = Array.from(writes, ([key, { value }]) => `${value === null ? "-" : "+"}${key}`);
  const values = new ByteWriter(8 + 4 * writes.size);
  for (const { crc } of writes.values()) {
    values.u32(crc);
  }
  return fingerprint([isolation, ...keys].join("\0"), values.view());
}

function conflictOn(failed: Tag): ConflictOn {
  if (failed === NAMES_TAG) {
    return { kind: "list" };
  }
  return failed.startsWith(HOLD_TAG_PREFIX)
    ? { kind: "lock", name: failed.slice(HOLD_TAG_PREFIX.length) }
    : { kind: "object", key: objectKeyOf(failed) };
}
