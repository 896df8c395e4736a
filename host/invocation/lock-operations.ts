/** A guest's locks: take, try, give back. */
import type { LogBookId, SeqNum } from "../../state/ids.ts";
import type { LockRead, Shard } from "../../state/logbook/index.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import { type HeldLocks, LOCKS_MAX, type Transactions } from "../../state/txn/index.ts";
import { GuestError, lockArgs, lockReply, Operation } from "../abi/operations.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import type { AttemptWait } from "./attempt-wait.ts";
import type { LockTurns } from "./lock-turns.ts";
import { plainReply } from "./object-operations.ts";

/** What a step that is in the log already is proposed with: the log decides. */
const REPLAYED: LockRead = { held: null, last: 0 as SeqNum, tail: 0 as SeqNum };

/**
 * Owns: how a lock is waited for. Does not own: the locks (HeldLocks, and the log), the queues (the owner of the LogBook).
 *
 * W1. Who waits is in the lock's queue, first come first served; a function of the root that holds the lock does not wait.
 * W2. Waiting is in no record: a replay waits again, or finds the lock taken.
 */
export class LockOperations {
  readonly #shard: Shard;
  readonly #tenant: LogBookId;
  readonly #steps: StepStream;
  readonly #held: HeldLocks;
  readonly #transactions: Transactions;
  readonly #turns: LockTurns;
  readonly #wait: AttemptWait;

  constructor(options: {
    shard: Shard;
    tenant: LogBookId;
    steps: StepStream;
    held: HeldLocks;
    transactions: Transactions;
    turns: LockTurns;
    wait: AttemptWait;
  }) {
    this.#shard = options.shard;
    this.#tenant = options.tenant;
    this.#steps = options.steps;
    this.#held = options.held;
    this.#transactions = options.transactions;
    this.#turns = options.turns;
    this.#wait = options.wait;
  }

  /** @returns null when `operation` is not one of locks */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.lock:
        return this.#lock(lockArgs.decode(args).name);
      case Operation.lockTry:
        return this.#try(lockArgs.decode(args).name);
      case Operation.unlock:
        return this.#unlock(lockArgs.decode(args).name);
      default:
        return null;
    }
  }

  async #lock(name: string): Promise<OperationReply> {
    if (this.#held.count >= LOCKS_MAX) {
      return plainReply(GuestError.tooLarge);
    }
    for (;;) {
      const read = this.#steps.replaying ? REPLAYED : await this.#whenFree(name);
      try {
        const outcome = this.#held.mayTake(read) ? await this.#held.take(name, read, this.#transactions.open) : null;
        if (outcome?.kind === "taken") {
          return { code: 1, timeMs: outcome.timeMs, bytes: lockReply.encode(outcome.token) };
        }
      } finally {
        this.#turns.leave(name);
      }
    }
  }

  async #try(name: string): Promise<OperationReply> {
    if (this.#held.count >= LOCKS_MAX) {
      return plainReply(GuestError.tooLarge);
    }
    const read = this.#steps.replaying ? REPLAYED : await this.#steps.book.lock(name);
    const outcome = await this.#held.take(name, read, this.#transactions.open);
    const token = outcome.kind === "taken" ? outcome.token : 0;
    return { code: token === 0 ? 0 : 1, timeMs: outcome.timeMs, bytes: lockReply.encode(token) };
  }

  async #unlock(name: string): Promise<OperationReply> {
    const given = await this.#held.give(name, this.#transactions.open);
    return plainReply(given ? 0 : GuestError.notHeld);
  }

  /** The lock when this function's turn has come; somebody may have been faster all the same. */
  async #whenFree(name: string): Promise<LockRead> {
    const { book } = this.#steps;
    const read = await book.lock(name);
    if (read.held !== null && this.#held.mayTake(read)) {
      return read;
    }
    await this.#wait.for(this.#turns.take(this.#shard, this.#tenant, name, this.#held.root));
    return book.lock(name);
  }
}
