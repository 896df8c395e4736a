/** What a record says. The numbers are stored: never reuse one. */
export const RecordKind = {
  /** First record of every opening of the journal: {epoch} (F1). */
  epoch: 1,
  /** Orders a collection: {watermark, retainSinceMs} (F4). */
  gc: 2,
  /** Position 0 of a root instance: function, module, input, key. */
  init: 3,
  /** A step of the caller that is also the child's INIT (F16): tags[0] the caller's step stream, tags[1] the child's. */
  invoke: 4,
  write: 5,
  delete: 6,
  /** A step whose object condition failed (F10). */
  conflict: 7,
  sleep: 8,
  /** The result; closes the stream of tags[0]. */
  done: 9,
  /** Outside the step stream: the scanner is about to run the instance again (F27). */
  attempt: 10,
  /** Outside the step stream: no more attempts until resumed. */
  parked: 11,
  resumed: 12,
  /** A function's registry entry. */
  function: 13,
  /** Fixes the snapshot of a transaction: its own seqnum. */
  begin: 30,
  /** The last record of the request that holds all writes of a transaction. Releases the locks taken in it. */
  commit: 31,
  /** Ends a transaction without effect. Releases the locks taken in it. */
  abort: 32,
  /** A lock taken, or (without the lock's tag) found taken. */
  lock: 33,
  unlock: 34,
  /** Outside the step stream: an administrator took a lock away from whoever held it. */
  lockBroken: 35,
  sync: 36,
  fence: 37,
} as const;

export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];
