/**
 * The locks of one LogBook that are held: a fold over lock, unlock, lockBroken, commit, abort, done and cancel records.
 *
 * L1. A lock is held by functions of one root call at most: whoever appends a `lock` record has seen it free, or held by its own
 *     root, at the last record of the lock's stream, and its condition says so. What frees a lock without a record in that stream
 *     (DONE, commit, abort) makes no such sight wrong.
 * L2. What names a hold that is not there changes nothing: the unlock of a lock that was broken is harmless.
 * L3. Plain fields only, which but for `#changed` follow from the log alone.
 */
import { type InstanceId, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { type LockOwner, type LockTaking, lockOf, unlockOf } from "./lock-record.ts";

/** One holder's share of a lock. */
export interface LockShare extends LockOwner {
  /** Times taken and not given back. */
  count: number;
}

export interface Hold {
  readonly root: InstanceId;
  /** The last record of the lock's hold stream (`holdTag`), as long as nobody breaks the lock. */
  readonly token: SeqNum;
  readonly sinceMs: number;
  /** In the order in which they were taken; never empty. */
  shares: LockShare[];
}

/** What a `lock` record is beside its data. */
export interface TakenBy {
  /** The instance in whose step stream it is. */
  readonly self: InstanceId;
  readonly seqnum: SeqNum;
  readonly timeMs: number;
  /** Whether the owner's instance has no DONE yet; if it is to hold the lock for a transaction, whether that is open. */
  readonly isOpen: (taking: LockTaking) => boolean;
}

const NONE: ReadonlySet<Tag> = new Set();

export class Locks {
  readonly held = new Map<Tag, Hold>();
  /** Locks that an instance has a share of. */
  readonly byInstance = new Map<InstanceId, Set<Tag>>();
  /** Lock streams that have a record. */
  readonly streams = new Set<Tag>();
  /** Locks whose holders changed since the owner of the LogBook last looked. Not part of the fold. */
  #changed = new Set<Tag>();

  take(tag: Tag, data: Uint8Array, { self, seqnum, timeMs, isOpen }: TakenBy): void {
    const taking = lockOf(data);
    const { instance, inTransaction, root, token } = taking;
    // A function whose caller is done, or has ended the transaction, holds the lock itself: nobody else would release it in time.
    const owner = isOpen(taking) ? { instance, inTransaction } : ownOf(self);
    const hold = this.held.get(tag) ?? { root, token: token === NO_SEQNUM ? seqnum : token, sinceMs: timeMs, shares: [] };
    const share = hold.shares.find((one) => isSame(one, owner));
    if (share === undefined) {
      hold.shares.push({ ...owner, count: 1 });
    } else {
      share.count += 1;
    }
    this.held.set(tag, hold);
    this.streams.add(tag);
    this.#note(owner.instance, tag);
    this.#changed.add(tag);
  }

  /** Holds a lock as a checkpoint has it. */
  restore(tag: Tag, hold: Hold): void {
    this.held.set(tag, hold);
    for (const { instance } of hold.shares) {
      this.#note(instance, tag);
    }
  }

  give(tag: Tag, data: Uint8Array, self: InstanceId): void {
    // After a break the lock's stream may have been collected: this record begins it anew.
    this.streams.add(tag);
    const named = unlockOf(data);
    const hold = this.held.get(tag);
    const find = (owner: LockOwner) => hold?.shares.find((one) => isSame(one, owner));
    // What a called function holds itself it took when the transaction was over that it names.
    const [first, second] = named.instance === self ? [named, ownOf(self)] : [ownOf(self), named];
    const share = find(first) ?? find(second);
    if (hold !== undefined && share !== undefined) {
      share.count -= 1;
      if (share.count === 0) {
        this.#drop(tag, hold, (one) => one === share);
      }
    }
  }

  /** Takes the lock away from all who hold it. */
  break(tag: Tag): void {
    const hold = this.held.get(tag);
    if (hold !== undefined) {
      this.#drop(tag, hold, () => true);
    }
  }

  /** The instance has committed or aborted. */
  endTransaction(instance: InstanceId): void {
    this.#dropAll(instance, (one) => one.instance === instance && one.inTransaction);
  }

  /** The instance is done. */
  end(instance: InstanceId): void {
    this.#dropAll(instance, (one) => one.instance === instance);
  }

  /** Locks whose holders changed since the last call. */
  takeChanged(): ReadonlySet<Tag> {
    if (this.#changed.size === 0) {
      return NONE;
    }
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  #dropAll(instance: InstanceId, isGone: (share: LockShare) => boolean): void {
    for (const tag of this.byInstance.get(instance) ?? []) {
      const hold = this.held.get(tag);
      if (hold !== undefined) {
        this.#drop(tag, hold, isGone);
      }
    }
  }

  #drop(tag: Tag, hold: Hold, isGone: (share: LockShare) => boolean): void {
    const gone = hold.shares.filter(isGone);
    hold.shares = hold.shares.filter((share) => !isGone(share));
    for (const { instance } of gone) {
      if (!hold.shares.some((share) => share.instance === instance)) {
        this.#forget(instance, tag);
      }
    }
    if (hold.shares.length === 0) {
      this.held.delete(tag);
    }
    this.#changed.add(tag);
  }

  #note(instance: InstanceId, tag: Tag): void {
    const tags = this.byInstance.get(instance);
    if (tags === undefined) {
      this.byInstance.set(instance, new Set([tag]));
    } else {
      tags.add(tag);
    }
  }

  #forget(instance: InstanceId, tag: Tag): void {
    const tags = this.byInstance.get(instance);
    tags?.delete(tag);
    if (tags?.size === 0) {
      this.byInstance.delete(instance);
    }
  }
}

function ownOf(self: InstanceId): LockOwner {
  return { instance: self, inTransaction: false };
}

function isSame(a: LockOwner, b: LockOwner): boolean {
  return a.instance === b.instance && a.inTransaction === b.inTransaction;
}
