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
  /** A guest's record in streams of its own (F36). */
  append: 14,
  /** The same; closes all its streams but a step stream. */
  close: 15,
  /** {tag, upTo}: records of a guest's streams are gone. */
  trim: 16,
  /** A step: a guest looked at the log beyond its cursor; {at}. */
  observe: 17,
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
  /**
   * A step of the caller that begins a call which nobody joins (F16): tags as of `invoke`. Its payload, and the data of `delayed`,
   * begin with the time before which the call must not begin: f64, ms, 0 for none.
   */
  spawn: 40,
  /** Position 0 of a root instance that begins later. */
  delayed: 41,
  /** Closes the stream of tags[0] in place of DONE, with a result that says so (F31). */
  cancel: 42,
  /** A step: which of several calls was the first to end. */
  select: 43,
  /** Outside the step stream: the answers of all log-free reads so far. The instance pins no other version until RESUME (F25). */
  pin: 44,
  /** A step position: the cursor of the attempts that go on after a PIN (F25). */
  resume: 45,
  /** A step: the caller ends a call that it has started. A CANCEL in that call's stream follows, unless it had ended. */
  cancelCall: 46,
  /** A step: bytes of a memory region as an attempt found them (F23). */
  snapshot: 60,
  /** A step: a request to another system is about to leave (F15). */
  outside: 50,
  /** A step: what came of it. */
  outsideDone: 51,
} as const;

export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** Whether the record closes a step stream and holds the instance's result. */
export function endsInstance(kind: RecordKind): boolean {
  return kind === RecordKind.done || kind === RecordKind.cancel;
}

/** Whether the record is a caller's step that begins another instance: tags[1] is its step stream. */
export function startsCall(kind: RecordKind): boolean {
  return kind === RecordKind.invoke || kind === RecordKind.spawn;
}

/** As it is called in this table: "write". */
export function kindName(kind: RecordKind): string {
  return NAMES.get(kind) ?? String(kind);
}

const NAMES: ReadonlyMap<RecordKind, string> = new Map(Object.entries(RecordKind).map(([name, kind]) => [kind, name]));
