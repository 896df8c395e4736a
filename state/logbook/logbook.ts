/** The contract of LogBook and Shard, the same for the owner's process and for a node that talks to the owner. */

import type { InstanceId, LogBookId, SeqNum, Tag } from "../ids.ts";
import type { BlobStore } from "../objects/blobs.ts";
import type { CellVersion } from "./cells.ts";
import type { RecordKind } from "./kinds.ts";
import type { Mode } from "./modes.ts";

export interface LogRecord {
  readonly seqnum: SeqNum;
  readonly kind: RecordKind;
  readonly tags: readonly Tag[];
  /** The owner's time in ms, never smaller than that of an earlier record (F35). */
  readonly timeMs: number;
  readonly data: Uint8Array;
}

export interface NewRecord {
  readonly kind: RecordKind;
  /** 0 to 254, without duplicates. The record becomes the last of each of these streams. */
  readonly tags: readonly Tag[];
  /** Never changed afterwards: readers may get these very bytes. */
  readonly data: Uint8Array;
  /**
   * Set on the record that carries an instance's pins (its first step): the seqnum its reads began at. Below the floor the
   * append is refused `stale` (F11); afterwards it holds the watermark back until the instance is done.
   */
  readonly initialCursor?: SeqNum | undefined;
  /** Blobs named by `data`; the owner refuses the append unless it holds them all (F6). */
  readonly blobs?: readonly BlobRefLike[] | undefined;
  /** The record becomes the latest value of this cell, with a version of its own: its seqnum. Its kind is `write` or `delete`. */
  readonly cell?: CellEntry;
  /**
   * An object's key, for a write or delete from outside of any function: the owner adds the object's tag, its cell, or both, as the
   * scope's mode demands when the record is ordered.
   */
  readonly place?: string;
}

/** A cell's new value: `version` is null for the record's own seqnum, which is above every version there is. */
export interface CellEntry {
  readonly key: string;
  readonly version: CellVersion | null;
  /** Of a log-free write, added by the owner: who made it, and how far its step stream was then. */
  readonly writer?: CellWriter;
}

export interface CellWriter {
  /** The writer's first record. */
  readonly first: SeqNum;
  readonly length: number;
}

/** A log-free write of a cell (F3): an entry of the journal without tag, condition or position. */
export interface CellWrite {
  readonly key: string;
  readonly version: CellVersion;
  readonly kind: typeof RecordKind.write | typeof RecordKind.delete;
  readonly data: Uint8Array;
  readonly blobs?: readonly BlobRefLike[];
  /** The writer's step stream: once it is closed, or waits for a RESUME, nothing more is written (F25, F31). */
  readonly writer: Tag;
  /** Of the writer: below the floor it is refused, as the cell may have forgotten newer versions (F18). */
  readonly initialCursor: SeqNum;
}

export type CellOutcome =
  /** Ordered and applied, at this position of the journal. */
  | { readonly kind: "written"; readonly seqnum: SeqNum }
  /** The cell has this version or a newer one, at this position: the write counts as done right before that one. */
  | { readonly kind: "superseded"; readonly seqnum: SeqNum }
  /** Nothing was written: the writer is done (`closed`), or another attempt of it goes on from a RESUME (`badPosition`). */
  | { readonly kind: "closed" | "badPosition"; readonly seqnum: SeqNum }
  | { readonly kind: "stale"; readonly floor: SeqNum };

/** Where the newest write of an object is: in its stream, in its cell, or the same one in both. */
export type Home = "none" | "versions" | "cell" | "both";

/** `record` is the newest write or delete of the object; null when there is none. */
export interface CellRead {
  readonly record: LogRecord | null;
  readonly home: Home;
  readonly tail: SeqNum;
}

export interface BlobRefLike {
  readonly name: import("../ids.ts").BlobName;
  readonly sizeBytes: number;
}

/**
 * `length`: the stream has exactly this many records, so that the first record appended becomes its position `length`.
 * `last`: the stream's last record has this seqnum, 0 for "has none" (F14).
 * `newest`: the newest write of the object of this tag, in its stream or its cell, has this seqnum; 0 for "there is none" (F14).
 */
export type Condition =
  | { readonly tag: Tag; readonly length: number }
  | { readonly tag: Tag; readonly last: SeqNum }
  | { readonly tag: Tag; readonly newest: SeqNum };

/** All records of one request are ordered one after the other, or none of them is. */
export interface AppendRequest {
  readonly records: readonly NewRecord[];
  /** All must hold when the request is ordered. Tested in this order, the first that fails is reported: put the own step first. */
  readonly when?: readonly Condition[];
}

export type AppendResult =
  /** Ordered and applied. `seqnum` and `timeMs` are those of the last record of the request. */
  | { readonly kind: "appended"; readonly seqnum: SeqNum; readonly timeMs: number }
  /** A condition failed: `existing` is the record at the position asked for, or the stream's last one; null if it has none or it was collected. */
  | { readonly kind: "conflict"; readonly tag: Tag; readonly existing: LogRecord | null; readonly tail: SeqNum }
  /** The position is beyond the end: the attempt must reload or stop. */
  | { readonly kind: "badPosition"; readonly tag: Tag; readonly length: number; readonly tail: SeqNum }
  /**
   * The stream is closed: `done` is the record that closed it, of a step stream its DONE; null when it was collected. Takes
   * precedence over `conflict` (F31).
   */
  | { readonly kind: "closed"; readonly tag: Tag; readonly done: LogRecord | null; readonly tail: SeqNum }
  /** `initialCursor` lies below the floor (F11). */
  | { readonly kind: "stale"; readonly floor: SeqNum };

/** `tail` is the owner's applied tail when it answered: what the answer depends on at most. */
export interface ReadResult {
  readonly record: LogRecord | null;
  readonly tail: SeqNum;
  /** Of the LogBook's last mode record; 0 when there is none. */
  readonly modes: SeqNum;
  /** What `setAux` left beside the record, if it is still there. */
  readonly aux?: Uint8Array;
}

/** What is known of a stream as a whole. */
export interface StreamTail {
  /** Records ever appended, those that are gone included. */
  readonly length: number;
  /** Of the last record, also when that is gone; 0 when there was none. */
  readonly last: SeqNum;
  /** Records up to here are gone, or may be; 0 when none are. */
  readonly goneUpTo: SeqNum;
  readonly closed: boolean;
  readonly tail: SeqNum;
}

export interface StreamRead {
  readonly records: readonly LogRecord[];
  /** Records ever appended to the stream, collected ones included. */
  readonly length: number;
  readonly closed: boolean;
  readonly tail: SeqNum;
}

export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly seqnum: SeqNum;
  readonly home: Home;
}

/** What an administrator sees of a scope. */
export interface ScopeView {
  readonly scope: string;
  /** Null if nobody has chosen one, or the first switch goes on. */
  readonly mode: Mode | null;
  /** The mode it is being switched to. */
  readonly to: Mode | null;
  /** The host chooses by itself. */
  readonly automatic: boolean;
  /** Of the switch that goes on; 0 when there is none. */
  readonly begin: SeqNum;
  /** Unfinished instances that the end of the switch waits for. */
  readonly waitingFor: number;
  /** What the host has last decided by itself, and why; null if it never looked. */
  readonly decision: string | null;
  /** Since the owner has opened the journal. */
  readonly reads: number;
  readonly writes: number;
}

/** The mode of a scope at a cursor. */
export interface ModeAt {
  /** Null if nobody had chosen one. */
  readonly mode: Mode | null;
  /** The mode it was being switched to. */
  readonly to: Mode | null;
  /** For scopes that nobody has chosen a mode for. */
  readonly defaultMode: Mode;
  /** Of the record that says so; 0 when there is none. */
  readonly seqnum: SeqNum;
  /** Of the last mode record of any scope at the cursor; 0 when there is none. */
  readonly modes: SeqNum;
}

/**
 * The ordered log of one tenant.
 *
 * Every answer carries the positions it consulted, so that whoever lets something out can wait for them (F8). All methods reject
 * with EPOCH_CHANGED once the owner was restarted, and OWNER_UNAVAILABLE when it is gone.
 */
export interface LogBook {
  readonly id: LogBookId;
  /**
   * Orders the records if every condition holds; they are applied when this resolves, and not yet durable. Waits while the journal
   * has no room for them, until it has, or the disk has none.
   *
   * @throws RECORD_TOO_LARGE, BAD_RECORD, BAD_TAG, BAD_SEQNUM  nothing was ordered
   * @throws BLOB_MISSING, DISK_FULL  nothing was ordered
   * @throws PROTOCOL_MISMATCH  a write to versions of an object whose newest write is in its cell; nothing was ordered
   */
  append(request: AppendRequest): Promise<AppendResult>;
  /**
   * The last record with this tag at or before `max`; null when there is none.
   *
   * @param at  reads the log as it was after this record: later records and trims do not count. The same answer for ever, as
   *   long as no collection's floor has passed it; MAX_SEQNUM for now
   * @throws TRIMMED  none is left at or before `max` and some may be gone. Of a guest's stream: `max` lies below a trim, or
   *   records were trimmed and none lives at or before `max` (F36). Of any other: some may have been collected, always so below the floor
   * @throws PROTOCOL_MISMATCH when the tag is that of an object which has lived in its cell since before `max`
   */
  readPrev(tag: Tag, max: SeqNum, at?: SeqNum): Promise<ReadResult>;
  /**
   * The first record with this tag at or after `min`; null when there is none yet. With `min` one above the record found last it goes
   * through a stream without gaps.
   *
   * @param at  as for readPrev
   * @throws TRIMMED  records at or after `min` are gone, or may be
   */
  readNext(tag: Tag, min: SeqNum, at?: SeqNum): Promise<ReadResult>;
  /**
   * As `readNext`, and when there is none waits for it: until it is applied, or for `timeoutMs`, then null. A closed stream is not
   * waited for, also when it is closed meanwhile.
   *
   * @param timeoutMs  0 to 2^31 - 1
   * @param signal  gives the wait up: it rejects with the signal's reason
   * @throws TRIMMED  as for readNext, also when it becomes so
   * @throws BAD_TIMEOUT
   * @throws TOO_MANY_WAITS  the session waits for WAITS_MAX records already
   */
  awaitNext(tag: Tag, min: SeqNum, timeoutMs: number, signal?: AbortSignal): Promise<ReadResult>;
  /**
   * Length and end of a stream.
   * @param at  as for readPrev
   * @throws TRIMMED when `at` lies below the floor
   */
  tailOf(tag: Tag, at?: SeqNum): Promise<StreamTail>;
  /**
   * Keeps bytes beside a record of the stream, in the owner's memory only: a cache of what can be computed from the log up to this
   * record. It may vanish at any time and does so with the record and with the epoch. Does nothing when the stream has no such record.
   * @throws AUX_TOO_LARGE above AUX_MAX_BYTES
   */
  setAux(tag: Tag, seqnum: SeqNum, bytes: Uint8Array): Promise<void>;
  /**
   * The records of a stream from position `from` on (0-based), `most` at most; all there are when it is left out.
   * @throws BAD_SEQNUM; TRIMMED when `from` was collected, or is collected before the answer is complete
   */
  readStream(tag: Tag, from: number, most?: number): Promise<StreamRead>;
  /**
   * Objects that exist at `cursor`, ordered by the UTF-8 bytes of the key: those with the prefix and after `after`, at most `limit`.
   * Those that live in cells have no past: they are there at every cursor since which they do.
   * @param cursor  MAX_SEQNUM for now
   * @param at  the moment of an open transaction, as for readCell; then `cursor` does not count
   * @throws TRIMMED when `cursor` or `at` lies below the floor, or the transaction is over
   */
  listObjects(
    prefix: string,
    after: string,
    cursor: SeqNum,
    limit: number,
    at?: SeqNum,
  ): Promise<{ objects: readonly ListedObject[]; tail: SeqNum }>;
  /**
   * The newest write of an object, in its cell or in its stream.
   * @param initialCursor  of the reader; MAX_SEQNUM for one outside of any function
   * @param at  as of this moment, which is the seqnum of the begin step of a transaction that is open; MAX_SEQNUM for now
   * @throws TRIMMED when `initialCursor` lies below the floor: the reader's scope may have been switched since; or `at` does, or the
   *   transaction is over
   */
  readCell(key: string, initialCursor: SeqNum, at?: SeqNum): Promise<CellRead>;
  /**
   * Makes the value the latest of its cell, unless that has the same version or a newer one.
   * @throws as `append`; PROTOCOL_MISMATCH when the newest write of the object is in its stream
   */
  writeCell(write: CellWrite): Promise<CellOutcome>;
  /** The mode of a scope at `cursor`. Of what lies below the floor only the last mode is known. */
  modeAt(scope: string, cursor: SeqNum): Promise<ModeAt>;
  /** The seqnum of the last applied record of the shard: the cursor of an instance that starts now (F29). */
  tail(): Promise<SeqNum>;
  /**
   * Waits until it is this caller's turn to change the stream, so that contending read-modify-writes queue instead of failing. A
   * matter of speed only: nobody is kept from appending. The turn ends at the next record with this tag, at `end()`, or by itself
   * when somebody else has waited for 100 ms.
   */
  turn(tag: Tag): Promise<Turn>;
  /** The lock as it is now. */
  lock(name: string): Promise<LockRead>;
  /** Waits, first come first served, until the lock is free or held by `root`. Otherwise as `turn`. */
  lockTurn(name: string, root: InstanceId): Promise<Turn>;
  /**
   * The locks that are held, in the order of their names; one that is given back meanwhile may be left out.
   * @param after  those with a later name
   * @param limit  at most so many; all when it is left out
   */
  locks(after?: string, limit?: number): Promise<{ locks: readonly HeldLock[]; tail: SeqNum }>;
}

/** A lock that somebody holds. */
export interface HeldLock {
  readonly name: string;
  /** The instance that took it first, or whose transaction it was taken for. */
  readonly holder: InstanceId;
  /** The call at the top of the chain: its functions may take the lock again. */
  readonly root: InstanceId;
  /** The last record of `holdTag` until the lock is broken, or taken by another root: what a commit is conditional on. */
  readonly token: SeqNum;
  readonly sinceMs: number;
  /** Times taken and not given back. */
  readonly count: number;
  /** Whether the holder, or its root, is parked: it keeps the lock until it is resumed and done, or an administrator breaks it. */
  readonly parked: boolean;
}

/** `last`: the last record of the lock's stream, 0 for none; the state is what an append on this condition finds. */
export interface LockRead {
  readonly held: HeldLock | null;
  readonly last: SeqNum;
  readonly tail: SeqNum;
}

export interface Turn {
  /** The applied tail when the turn began. */
  readonly tail: SeqNum;
  end(): void;
}

/** An instance that has a first record and no DONE. */
export interface UnfinishedInstance {
  readonly book: LogBookId;
  readonly instance: InstanceId;
  /** Its first record. */
  readonly first: SeqNum;
  /** ATTEMPT records since the last RESUMED (F27). */
  readonly attempts: number;
  readonly parked: boolean;
}

/**
 * One journal's owner as seen during one of its epochs: a session. When the owner restarts or the connection is lost the session
 * is over, everything that used it is run again with the next one.
 */
export interface Shard {
  readonly epoch: number;
  /** Resolves when the session has ended (owner restarted, connection lost, closed). */
  readonly ended: Promise<void>;
  readonly blobs: BlobStore;
  book(id: LogBookId): LogBook;
  /** The LogBooks that have a record, in no order. */
  books(): Promise<readonly LogBookId[]>;
  /**
   * Resolves when every record up to `seqnum` is durable in this epoch; 0 at once. Asking is what starts a flush (H12).
   * @throws EPOCH_CHANGED, OWNER_UNAVAILABLE  it will never be known through this session
   */
  whenDurable(seqnum: SeqNum): Promise<void>;
  /**
   * Takes over unfinished instances that no live session runs, at most `limit`, parked ones, children of an unfinished caller
   * (F16) and calls whose time has not come left out. From then on this session holds them. An instance is held from its first append by the session that
   * made it, until DONE or `release`. Leases are a matter of liveness only.
   */
  claim(limit: number): Promise<readonly UnfinishedInstance[]>;
  /** From now on this session holds an unfinished instance, whoever did: it goes on where another one has stopped it. */
  hold(book: LogBookId, instance: InstanceId): Promise<void>;
  /** Gives an instance back, so that `claim` hands it out again. */
  release(book: LogBookId, instance: InstanceId): Promise<void>;
  /**
   * The scopes of a book that have a chosen mode or were used since the owner began, in the order of their names.
   * @param after  those with a later name; null for all
   * @param limit  at most so many; all when it is left out
   */
  scopes(book: LogBookId, after?: string | null, limit?: number): Promise<readonly ScopeView[]>;
  /**
   * Begins to switch a scope to another mode; the switch ends by itself, and no call waits for it. In that mode already, it only notes
   * whether the host may choose from now on.
   * @returns the position that says so
   * @throws SWITCH_UNDER_WAY, DISK_FULL, BAD_KEY when no key can have such a scope
   */
  switchMode(book: LogBookId, scope: string, to: Mode, automatic: boolean): Promise<SeqNum>;
  /** Chooses the mode of scopes that nobody chooses one for. @throws DISK_FULL */
  chooseDefault(book: LogBookId, mode: Mode): Promise<SeqNum>;
  /**
   * Unfinished instances of a book (parked ones too), for the administrator's view, in the order of their first records.
   * @param after  those whose first record comes later; 0 for all
   * @param limit  at most so many; all when it is left out
   */
  unfinished(book: LogBookId, after?: SeqNum, limit?: number): Promise<readonly UnfinishedInstance[]>;
  close(): Promise<void>;
}

/** Where the current session comes from; a local owner has one for ever. */
export interface ShardSource {
  /** The current session, or undefined while the owner is out of reach. */
  current(): Shard | undefined;
  /** The current session, or the next one. @throws OWNER_UNAVAILABLE after `timeoutMs` */
  available(timeoutMs: number): Promise<Shard>;
  close(): Promise<void>;
}
