import { NeapError } from "../errors.ts";
import { type InstanceId, type LogBookId, MAX_SEQNUM, NO_SEQNUM, type SeqNum, seqNum, type Tag } from "../ids.ts";
import { betweenSlices, type Timers } from "../ports.ts";
import { DEFAULT_MODE_TAG, isObjectTag, LOCK_TAG_PREFIX, lockTag, MODES_TAG, modeTag, objectKeyOf, objectTag } from "../tags.ts";
import { checkAux } from "./aux-cache.ts";
import type { BookState } from "./book-state.ts";
import { checkNumber } from "./check-request.ts";
import type { Holder } from "./instances.ts";
import { RecordKind } from "./kinds.ts";
import type { Hold } from "./locks.ts";
import type {
  AppendRequest,
  AppendResult,
  CellOutcome,
  CellRead,
  CellWrite,
  HeldLock,
  Home,
  ListedObject,
  LockRead,
  LogBook,
  LogRecord,
  ModeAt,
  ReadResult,
  StreamRead,
  StreamTail,
  Turn,
} from "./logbook.ts";
import { DEFAULT_MODE, decodeMode } from "./modes.ts";
import { namesAfter } from "./names-after.ts";
import { mismatch } from "./placement.ts";
import type { ScopeLoad } from "./scope-load.ts";
import type { Sequencer } from "./sequencer.ts";
import type { ShardIndex } from "./shard-index.ts";
import { firstFrom, firstPosition, goneUpTo, lastUpTo } from "./stream-reads.ts";
import { checkTimeout } from "./waits.ts";

/** Names that a slice of a list looks at (H27); each object that it shows counts for LISTED_WORK more, as its record is read. */
const LIST_SLICE_WORK = 1_024;
const LISTED_WORK = 7;
/** Records of a stream that are read in one slice. */
const STREAM_SLICE_RECORDS = 128;
/** A list that others have made begin anew so often is made in one slice. */
const LIST_TRIES_MAX = 8;

/** What a session lends its LogBooks. */
export interface LogBookSession extends Holder {
  readonly timers: Timers;
  readonly index: ShardIndex;
  readonly sequencer: Sequencer;
  /** The size of the object whose value a write record holds. */
  readonly objectSizeBytes: (record: LogRecord) => number;
  /** @throws OWNER_UNAVAILABLE once the session is over */
  check(): void;
}

const UNCHOSEN: ModeAt = { mode: null, to: null, defaultMode: DEFAULT_MODE, seqnum: NO_SEQNUM, modes: NO_SEQNUM };

/** A LogBook in its owner's process: every answer but one of many records is computed in the tick in which it is asked for. */
export class LocalLogBook implements LogBook {
  readonly id: LogBookId;
  readonly #session: LogBookSession;
  readonly #index: ShardIndex;
  readonly #book: BookState;
  readonly #load: ScopeLoad;

  constructor(id: LogBookId, session: LogBookSession) {
    this.id = id;
    this.#session = session;
    this.#index = session.index;
    this.#book = session.index.book(id);
    this.#load = session.sequencer.load(this.#book);
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    this.#session.check();
    return this.#session.sequencer.append(this.#book, request, this.#session);
  }

  async readPrev(tag: Tag, max: SeqNum, at: SeqNum = MAX_SEQNUM): Promise<ReadResult> {
    this.#session.check();
    const seqnum = lastUpTo(this.#book, tag, seqNum(max), seqNum(at));
    if (isObjectTag(tag)) {
      this.#load.read(objectKeyOf(tag));
      if (this.#book.cells.size > 0) {
        this.#checkVersions(tag, max);
      }
    }
    return this.#result(seqnum);
  }

  async readNext(tag: Tag, min: SeqNum, at: SeqNum = MAX_SEQNUM): Promise<ReadResult> {
    this.#session.check();
    return this.#result(firstFrom(this.#book, tag, seqNum(min), seqNum(at)));
  }

  async awaitNext(tag: Tag, min: SeqNum, timeoutMs: number, signal?: AbortSignal): Promise<ReadResult> {
    this.#session.check();
    checkTimeout(timeoutMs);
    signal?.throwIfAborted();
    seqNum(min);
    const book = this.#book;
    const look = (): ReadResult => this.#result(firstFrom(book, tag, min, MAX_SEQNUM));
    const isEnough = ({ record }: ReadResult) => record !== null || book.streams.get(tag)?.closed === true;
    const found = look();
    if (timeoutMs === 0 || isEnough(found)) {
      return found;
    }
    return this.#session.sequencer.waits.wait({ book, tag, owner: this.#session, timeoutMs, signal, look, isEnough });
  }

  async tailOf(tag: Tag, at: SeqNum = MAX_SEQNUM): Promise<StreamTail> {
    this.#session.check();
    const { floor, streams, trims } = this.#book;
    if (seqNum(at) < floor) {
      throw new NeapError("TRIMMED", `position ${at} lies below the floor ${floor}`);
    }
    const { tail } = this.#index;
    const stream = streams.get(tag);
    const gone = goneUpTo(this.#book, tag, stream, at);
    if (stream === undefined) {
      return { length: 0, last: NO_SEQNUM, goneUpTo: gone, closed: false, tail };
    }
    const length = stream.base + stream.countUpTo(at);
    const closed = stream.closed && length === stream.length;
    return { length, last: trims.lastOf(tag, stream, at), goneUpTo: gone, closed, tail };
  }

  async setAux(tag: Tag, seqnum: SeqNum, bytes: Uint8Array): Promise<void> {
    this.#session.check();
    checkAux(bytes);
    const stream = this.#book.streams.get(tag);
    if (seqnum !== NO_SEQNUM && stream?.atOrBefore(seqnum) === seqnum) {
      this.#index.aux.set(seqnum, bytes);
    }
  }

  /** In slices: a record that is there stays where it is, so only what comes and goes in between has to be looked at again. */
  async readStream(tag: Tag, from: number, most: number = Number.POSITIVE_INFINITY): Promise<StreamRead> {
    checkNumber("from", from);
    const records: LogRecord[] = [];
    for (;;) {
      this.#session.check();
      const { tail, store } = this.#index;
      const stream = this.#book.streams.get(tag);
      if (stream === undefined && records.length === 0) {
        return { records, length: 0, closed: false, tail };
      }
      const next = from + records.length;
      const first = stream === undefined ? Number.POSITIVE_INFINITY : firstPosition(this.#book, tag, stream, MAX_SEQNUM);
      if (stream === undefined || next < first) {
        throw new NeapError("TRIMMED", `position ${next} of ${tag} is gone, ${first} is the first one kept`);
      }
      const end = Math.min(stream.length, next + STREAM_SLICE_RECORDS, from + most);
      for (let position = next; position < end; position++) {
        records.push(store.read(stream.at(position)));
      }
      if (end >= stream.length || records.length >= most) {
        return { records, length: stream.length, closed: stream.closed, tail };
      }
      await betweenSlices(this.#session.timers);
    }
  }

  async listObjects(
    prefix: string,
    after: string,
    cursor: SeqNum,
    limit: number,
    snapshot: SeqNum = MAX_SEQNUM,
  ): Promise<{ objects: readonly ListedObject[]; tail: SeqNum }> {
    this.#session.check();
    const isSnapshot = snapshot !== MAX_SEQNUM;
    const from = isSnapshot ? seqNum(snapshot) : cursor;
    this.#checkCursor(from);
    for (let tries = 1; ; tries += 1) {
      const tail = this.#index.tail;
      const objects = await this.#list(prefix, after, { cursor: from, isSnapshot, tail, limit }, tries < LIST_TRIES_MAX);
      if (objects !== null) {
        return { objects, tail };
      }
    }
  }

  /**
   * The objects as of `tail`, in slices: versions are looked up at that position, and a cell that has changed since ends the list.
   * What cells held at the moment of an open transaction is kept.
   * @param mayGiveUp  false: all in one slice
   * @returns null  it has to begin anew
   * @throws TRIMMED  the transaction is over
   */
  async #list(
    prefix: string,
    after: string,
    { cursor, isSnapshot, tail, limit }: { cursor: SeqNum; isSnapshot: boolean; tail: SeqNum; limit: number },
    mayGiveUp: boolean,
  ): Promise<readonly ListedObject[] | null> {
    const at = Math.min(cursor, tail) as SeqNum;
    const objects: ListedObject[] = [];
    let last = after;
    for (;;) {
      let work = mayGiveUp ? LIST_SLICE_WORK : Number.POSITIVE_INFINITY;
      let hasChanged = false;
      if (isSnapshot) {
        this.#checkMoment(at);
      }
      this.#book.names.visit(prefix, last, (key) => {
        if (objects.length >= limit || work <= 0) {
          return false;
        }
        const { seqnum, home } = isSnapshot ? this.#book.newestAt(objectTag(key), at) : this.#placeAt(key, at);
        hasChanged = !isSnapshot && this.#hasChanged(key, at, tail);
        if (!hasChanged && seqnum !== NO_SEQNUM && this.#index.kindOf(seqnum) === RecordKind.write) {
          objects.push({ key, sizeBytes: this.#session.objectSizeBytes(this.#index.store.read(seqnum)), seqnum, home });
          work -= LISTED_WORK;
        }
        work -= 1;
        last = key;
        return !hasChanged;
      });
      if (hasChanged) {
        return null;
      }
      if (objects.length >= limit || work > 0) {
        return objects;
      }
      await betweenSlices(this.#session.timers);
      this.#session.check();
      if (at < this.#book.floor) {
        this.#checkCursor(cursor);
        return null;
      }
    }
  }

  async readCell(key: string, initialCursor: SeqNum, at: SeqNum = MAX_SEQNUM): Promise<CellRead> {
    this.#session.check();
    if (initialCursor < this.#book.floor) {
      throw new NeapError("TRIMMED", `initial cursor ${initialCursor} lies below the floor ${this.#book.floor}`);
    }
    this.#checkCursor(seqNum(at));
    this.#load.read(key);
    if (at !== MAX_SEQNUM) {
      this.#checkMoment(at);
    }
    const { home, seqnum } = at === MAX_SEQNUM ? this.#book.newest(objectTag(key)) : this.#book.newestAt(objectTag(key), at);
    return { record: seqnum === NO_SEQNUM ? null : this.#index.store.read(seqnum), home, tail: this.#index.tail };
  }

  async writeCell(write: CellWrite): Promise<CellOutcome> {
    this.#session.check();
    return this.#session.sequencer.writeCell(this.#book, write, this.#session);
  }

  async modeAt(scope: string, cursor: SeqNum): Promise<ModeAt> {
    this.#session.check();
    const at = (tag: Tag) => this.#book.streams.get(tag)?.atOrBefore(cursor) ?? NO_SEQNUM;
    const modes = at(MODES_TAG);
    if (modes === NO_SEQNUM) {
      return UNCHOSEN;
    }
    const chosen = at(modeTag(scope));
    const preset = at(DEFAULT_MODE_TAG);
    const recordOf = (seqnum: SeqNum) => (seqnum === NO_SEQNUM ? null : decodeMode(this.#index.store.read(seqnum).data));
    const { mode = null, to = null } = recordOf(chosen) ?? {};
    const defaultMode = recordOf(preset)?.mode ?? DEFAULT_MODE;
    return { mode, to, defaultMode, seqnum: Math.max(chosen, preset) as SeqNum, modes };
  }

  async tail(): Promise<SeqNum> {
    this.#session.check();
    return this.#index.tail;
  }

  async turn(tag: Tag): Promise<Turn> {
    this.#session.check();
    const end = await this.#session.sequencer.turns(this.#book).take(tag, this.#session);
    return { tail: this.#index.tail, end };
  }

  #checkCursor(cursor: SeqNum): void {
    if (cursor < this.#book.floor) {
      throw new NeapError("TRIMMED", `cursor ${cursor} lies below the floor ${this.#book.floor}`);
    }
  }

  /** The object's newest write that a list at `cursor` shows. */
  #placeAt(key: string, cursor: SeqNum): { readonly home: Home; readonly seqnum: SeqNum } {
    const object = objectTag(key);
    const newest = this.#book.newest(object);
    const since = this.#book.cells.get(key)?.since ?? MAX_SEQNUM;
    if (newest.home === "cell" && since <= cursor) {
      return newest;
    }
    return { home: "versions", seqnum: this.#book.streams.get(object)?.atOrBefore(cursor) ?? NO_SEQNUM };
  }

  /** @throws TRIMMED  no transaction reads at `at` any more: what is there now may be older or newer than what was there then */
  #checkMoment(at: SeqNum): void {
    if (!this.#book.cells.snapshots.isOpen(at)) {
      throw new NeapError("TRIMMED", `the transaction of ${at} is over, and what objects held then may be gone`);
    }
  }

  /** Whether an object that had a cell at `at` was written after `tail`: what the cell held then is gone. */
  #hasChanged(key: string, at: SeqNum, tail: SeqNum): boolean {
    const { cells } = this.#book;
    const cell = cells.size === 0 ? undefined : cells.get(key);
    return cell !== undefined && cell.since <= at && this.#book.newest(objectTag(key)).seqnum > tail;
  }

  /** @throws PROTOCOL_MISMATCH when the object's newest write is in its cell, and was so at `max` */
  #checkVersions(object: Tag, max: SeqNum): void {
    const key = objectKeyOf(object);
    const cell = this.#book.cells.get(key);
    if (cell !== undefined && cell.since <= max && this.#book.newest(object).home === "cell") {
      throw mismatch(key, "cell");
    }
  }

  async lock(name: string): Promise<LockRead> {
    this.#session.check();
    const tag = lockTag(name);
    const hold = this.#book.locks.held.get(tag);
    return {
      held: hold === undefined ? null : this.#describe(tag, hold),
      last: this.#book.streams.get(tag)?.last ?? NO_SEQNUM,
      tail: this.#index.tail,
    };
  }

  async lockTurn(name: string, root: InstanceId): Promise<Turn> {
    this.#session.check();
    const tag = lockTag(name);
    const { held } = this.#book.locks;
    const gate = () => {
      const hold = held.get(tag);
      return hold === undefined ? "first" : hold.root === root ? "now" : "wait";
    };
    const end = await this.#session.sequencer.turns(this.#book).take(tag, this.#session, gate);
    return { tail: this.#index.tail, end };
  }

  async locks(after = "", limit = Number.POSITIVE_INFINITY): Promise<{ locks: readonly HeldLock[]; tail: SeqNum }> {
    this.#session.check();
    const { held } = this.#book.locks;
    const pause = async () => {
      await betweenSlices(this.#session.timers);
      this.#session.check();
    };
    const locks: HeldLock[] = [];
    for (let last: Tag | null = after === "" ? null : lockTag(after); ; ) {
      const page = await namesAfter(held.keys(), last, limit - locks.length, pause);
      for (const tag of page as readonly Tag[]) {
        const hold = held.get(tag);
        if (hold !== undefined) {
          locks.push(this.#describe(tag, hold));
        }
        last = tag;
      }
      if (page.length === 0 || locks.length >= limit) {
        return { locks, tail: this.#index.tail };
      }
    }
  }

  #describe(tag: Tag, { root, token, sinceMs, shares }: Hold): HeldLock {
    const { unfinished } = this.#book.instances;
    const holder = shares[0]?.instance ?? root;
    return {
      name: tag.slice(LOCK_TAG_PREFIX.length),
      holder,
      root,
      token,
      sinceMs,
      count: shares.reduce((sum, share) => sum + share.count, 0),
      parked: [holder, root].some((instance) => unfinished.get(instance)?.parked === true),
    };
  }

  #result(seqnum: SeqNum): ReadResult {
    const { store, tail, aux } = this.#index;
    const modes = this.#book.streams.get(MODES_TAG)?.last ?? NO_SEQNUM;
    if (seqnum === NO_SEQNUM) {
      return { record: null, tail, modes };
    }
    const record = store.read(seqnum);
    const beside = aux.size === 0 ? undefined : aux.get(seqnum);
    return beside === undefined ? { record, tail, modes } : { record, tail, modes, aux: beside };
  }
}
