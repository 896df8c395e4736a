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
  /** The first step of an instance that has only log-free writes so far: it carries the pins (F2). */
  anchor: 20,
  /** A read whose value is logged. */
  read: 21,
  /** A list whose entries are logged. */
  listed: 22,
  /** A symmetric write is about to change a cell, and has changed it. */
  preWrite: 23,
  postWrite: 24,
  /** How a scope's objects are made exactly-once from here on. */
  mode: 25,
  /** A switch brings some objects of its scope to where the new mode looks for them. */
  migrated: 26,
} as const;

export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];
