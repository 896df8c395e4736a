export { HeldLocks, LOCKS_MAX, type LockOutcome } from "./held-locks.ts";
export type {
  BufferedWrite,
  InheritedTransaction,
  Isolation,
  TransactionEffects,
} from "./transaction.ts";
export { blobsOf, decodeEffects, decodeInherited, encodeEffects, encodeInherited, ISOLATIONS } from "./transaction-codec.ts";
export { type CommitOutcome, type ConflictOn, TransactionOverflown, Transactions } from "./transactions.ts";
