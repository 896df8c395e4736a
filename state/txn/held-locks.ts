/**
 * The locks that one attempt of an instance holds, as far as its own steps tell.
 *
 * K1. Whether a lock was taken is a step: a record in the instance's stream, and if it was taken in the lock's stream too. Its seqnum
 *     is the new cursor, so that everything the holder before had written is seen.
 * K2. Locks taken inside a transaction belong to it, whichever function takes them: its end releases them, committed or not.
 * K3. `token` is the last record of the lock's hold stream while the lock is held. A commit is conditional on the tokens of all locks
 *     that its function holds: when one was broken nothing is written.
 */
import { type InstanceId, NO_SEQNUM, type SeqNum } from "../ids.ts";
import { RecordKind } from "../logbook/kinds.ts";
import { encodeLock, encodeUnlock, type LockOwner, lockOf } from "../logbook/lock-record.ts";
import type { Condition, LockRead } from "../logbook/logbook.ts";
import { fingerprint } from "../logbook/step-record.ts";
import type { StepStream } from "../protocols/index.ts";
import { holdTag, lockTag } from "../tags.ts";
import type { Transaction } from "./transaction.ts";

/** Locks one function holds at a time. */
export const LOCKS_MAX = 100;

export type LockOutcome =
  | { readonly kind: "taken"; readonly token: SeqNum; readonly timeMs: number }
  /** Somebody else holds it. */
  | { readonly kind: "busy"; readonly timeMs: number };

interface Held {
  readonly token: SeqNum;
  count: number;
}

const BUSY = new Uint8Array(0);

export class HeldLocks {
  readonly #steps: StepStream;
  readonly #root: InstanceId;
  readonly #own = new Map<string, Held>();
  /** Of the transaction that is open. */
  readonly #transaction = new Map<string, Held>();

  /** @param root  the instance at the top of the chain of calls */
  constructor(steps: StepStream, root: InstanceId) {
    this.#steps = steps;
    this.#root = root;
  }

  get root(): InstanceId {
    return this.#root;
  }

  /** Whether the open transaction has locks. */
  get inTransaction(): boolean {
    return this.#transaction.size > 0;
  }

  get count(): number {
    return this.#own.size + this.#transaction.size;
  }

  /** Whether an append would take the lock, at the sight of it. */
  mayTake({ held }: LockRead): boolean {
    return held === null || held.root === this.#root;
  }

  /**
   * The step that takes the lock, or says that it is taken. A lock that changed since `read` is `busy` too (CONFLICT).
   * @param read  the lock as it is; not looked at when the step is in the log already
   */
  async take(name: string, read: LockRead, transaction: Transaction | null): Promise<LockOutcome> {
    const mayTake = this.mayTake(read);
    const token = read.held?.token ?? NO_SEQNUM;
    const owner = this.#owner(transaction);
    const tag = lockTag(name);
    this.#steps.consulted(read.tail);
    const { record, theirs, failed } = await this.#steps.step({
      kind: RecordKind.lock,
      fingerprint: fingerprint(name, 0),
      payload: mayTake ? encodeLock({ ...owner, root: this.#root, token, snapshot: transaction?.snapshot ?? null }) : BUSY,
      tags: mayTake ? [tag, ...(read.held === null ? [holdTag(name)] : [])] : [],
      when: mayTake ? [{ tag, last: read.last }] : [],
      mayConflict: true,
    });
    const { seqnum, timeMs } = record;
    const isTaken = failed === null && (theirs === null ? mayTake : theirs.tags.includes(tag));
    if (!isTaken) {
      return { kind: "busy", timeMs };
    }
    const given = theirs === null ? token : lockOf(theirs.data).token;
    const held = { token: given === NO_SEQNUM ? seqnum : given, count: 1 };
    add(transaction === null ? this.#own : this.#transaction, name, held);
    return { kind: "taken", token: held.token, timeMs };
  }

  /** Gives the lock back once. @returns false when this function does not hold it: nothing happened */
  async give(name: string, transaction: Transaction | null): Promise<boolean> {
    const ofTransaction = transaction !== null && this.#transaction.has(name);
    const held = ofTransaction ? this.#transaction : this.#own;
    const share = held.get(name);
    if (share === undefined) {
      return false;
    }
    await this.#steps.step({
      kind: RecordKind.unlock,
      fingerprint: fingerprint(name, 0),
      payload: encodeUnlock(this.#owner(ofTransaction ? transaction : null)),
      tags: [lockTag(name)],
    });
    share.count -= 1;
    if (share.count === 0) {
      held.delete(name);
    }
    return true;
  }

  /** That nobody has taken one of these locks away. */
  conditions(): readonly Condition[] {
    const tokens = new Map([...this.takenInTransaction(), ...tokensOf(this.#own)]);
    return Array.from(tokens, ([name, last]) => ({ tag: holdTag(name), last }));
  }

  /** Of the open transaction, with their tokens. */
  takenInTransaction(): ReadonlyMap<string, SeqNum> {
    return tokensOf(this.#transaction);
  }

  /** A called function has taken these for the open transaction. */
  join(taken: ReadonlyMap<string, SeqNum>): void {
    for (const [name, token] of taken) {
      add(this.#transaction, name, { token, count: 1 });
    }
  }

  /** The transaction is over, and its locks are released by the record that says so. */
  endTransaction(): void {
    this.#transaction.clear();
  }

  #owner(transaction: Transaction | null): LockOwner {
    return { instance: transaction?.beginner ?? this.#steps.instance, inTransaction: transaction !== null };
  }
}

function add(to: Map<string, Held>, name: string, held: Held): void {
  const before = to.get(name);
  // A new token after a break: what the old one stood for is lost, and conditions on it shall fail.
  to.set(name, before === undefined ? held : { token: before.token, count: before.count + held.count });
}

function tokensOf(held: ReadonlyMap<string, Held>): Map<string, SeqNum> {
  return new Map(Array.from(held, ([name, { token }]) => [name, token]));
}
