/** A guest's transactions, and its steps that only move the cursor. */
import { RecordKind } from "../../state/logbook/index.ts";
import { NO_FINGERPRINT } from "../../state/logbook/step-record.ts";
import type { StepStream } from "../../state/protocols/index.ts";
import { type ConflictOn, ISOLATIONS, type Transactions } from "../../state/txn/index.ts";
import { beginArgs, GuestError, Operation } from "../abi/operations.ts";
import type { OperationReply } from "../sandbox/sandbox.ts";
import { plainReply } from "./object-operations.ts";

const NOTHING = new Uint8Array(0);

export class TransactionOperations {
  readonly #steps: StepStream;
  readonly #transactions: Transactions;

  constructor(steps: StepStream, transactions: Transactions) {
    this.#steps = steps;
    this.#transactions = transactions;
  }

  /** @returns null when `operation` is not one of transactions */
  perform(operation: number, args: Uint8Array): Promise<OperationReply> | null {
    switch (operation) {
      case Operation.sync:
        return this.#move(RecordKind.sync);
      case Operation.fence:
        return this.#move(RecordKind.fence);
      case Operation.transactionBegin:
        return this.#begin(args);
      case Operation.transactionCommit:
        return this.#commit();
      case Operation.transactionAbort:
        return this.#abort();
      default:
        return null;
    }
  }

  /** A step whose seqnum is the new cursor, and nothing else: after all that was ordered before, before all that comes. */
  async #move(kind: typeof RecordKind.sync | typeof RecordKind.fence): Promise<OperationReply> {
    const { record } = await this.#steps.step({ kind, fingerprint: NO_FINGERPRINT, payload: NOTHING });
    return plainReply(0, record.timeMs);
  }

  async #begin(args: Uint8Array): Promise<OperationReply> {
    const isolation = ISOLATIONS[beginArgs.decode(args).isolation];
    if (isolation === undefined) {
      return plainReply(GuestError.invalid);
    }
    return plainReply((await this.#transactions.begin(isolation)) ? 0 : GuestError.inTransaction);
  }

  async #commit(): Promise<OperationReply> {
    const outcome = await this.#transactions.commit();
    switch (outcome.kind) {
      case "committed":
        return plainReply(1, outcome.timeMs);
      case "conflict":
        return { code: GuestError.conflict, timeMs: outcome.timeMs, bytes: Buffer.from(describe(outcome.on)) };
      case "tooLarge":
        return { code: GuestError.tooLarge, timeMs: 0, bytes: Buffer.from(outcome.excess) };
      case "openCalls":
        return plainReply(GuestError.openCalls);
      case "none":
        return plainReply(GuestError.noTransaction);
    }
  }

  async #abort(): Promise<OperationReply> {
    return plainReply((await this.#transactions.abort()) ? 0 : GuestError.noTransaction);
  }
}

function describe(on: ConflictOn): string {
  switch (on.kind) {
    case "object":
      return `object ${on.key}`;
    case "list":
      return "list";
    case "lock":
      return `lock ${on.name}`;
  }
}
