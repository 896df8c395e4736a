/**
 * Transactions: several objects are read at one moment, and what is written is there at one moment, or not at all.
 *
 * ```ts
 * transaction.run(Isolation.Serializable, () => {
 *   objects.put("to", (amountOf("to") + 5).toString());
 *   objects.put("from", (amountOf("from") - 5).toString());
 * });
 * ```
 *
 * Inside, use `objects` as always: reads see the moment of the beginning and what the transaction wrote itself. Functions that are
 * called inside run in it too; wait for them before the end. A transaction holds at most 1,000 objects, 300 of them written, 1,000,000 bytes and 200
 * values above 4 KiB.
 */
import { toText } from "./bytes";
import * as host from "./host";

/** What others may do between the beginning of a transaction and its commit, without it being refused. */
export enum Isolation {
  /** Nothing that it noticed: as if transactions ran one after the other. */
  Serializable = 0,
  /** Change what it only read. Two transactions that read the same and write different objects both commit (write skew). */
  Snapshot = 1,
  /** Anything. What it writes is there at one moment, but may be computed from what is gone (lost update). */
  ReadAtomic = 2,
}

export namespace transaction {
  /** Begins one. Not inside another one: see `run`. */
  export function begin(isolation: Isolation): void {
    const code = host.transactionBegin(isolation);
    if (code < 0) throw new Error("transaction.begin: " + reason(code, isolation));
  }

  /**
   * Ends the transaction: what it wrote is there, or nothing of it.
   *
   * @returns false when what it rests on was changed by others: begin again, see `run`. `conflict` says what
   */
  export function commit(): bool {
    const code = host.transactionCommit();
    if (code == host.CONFLICT) return false;
    if (code < 0) throw new Error("transaction.commit: " + reason(code));
    return true;
  }

  /**
   * Why the last commit was refused: "object <key>", "list" or "lock <name>" was changed by others, or what the transaction held too
   * much of, with the limit; "" when it was not. After a use of `objects` that failed: what was too large.
   */
  export function conflict(): string {
    const room = new Uint8Array(host.transactionConflict(0, 0));
    host.transactionConflict(room.dataStart, room.byteLength);
    return toText(room);
  }

  /** Ends the transaction: nothing of it was written. */
  export function abort(): void {
    const code = host.transactionAbort();
    if (code < 0) throw new Error("transaction.abort: " + reason(code));
  }

  /**
   * Runs `body` in a transaction, again and again until it commits. When a caller has begun one already, `body` runs once and is a
   * part of that. `body` uses globals for what it needs and finds: AssemblyScript has no closures, and it may run more than once.
   */
  export function run(isolation: Isolation, body: () => void): void {
    const code = host.transactionBegin(isolation);
    if (code == host.IN_TRANSACTION) {
      body();
      return;
    }
    if (code < 0) throw new Error("transaction.run: " + reason(code, isolation));
    body();
    while (!commit()) {
      begin(isolation);
      body();
    }
  }
}

function reason(code: i32, isolation: i32 = 0): string {
  if (code == host.IN_TRANSACTION) return "a transaction is open already";
  if (code == host.NO_TRANSACTION) return "this function has begun no transaction";
  if (code == host.OPEN_CALLS) return "wait for the calls that were started inside first";
  if (code == host.TOO_LARGE) return transaction.conflict() + "; nothing was written";
  if (code == host.NOT_IN_PART) return "transactions begin and end outside of storage.run";
  return "isolation is " + isolation.toString() + ", must be 0 (serializable), 1 (snapshot) or 2 (read-atomic)";
}
