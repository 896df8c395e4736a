import { NeapError } from "../errors.ts";
import { type InstanceId, type LogBookId, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { LOCK_TAG_PREFIX, lockTag, objectTag } from "../tags.ts";
import type { BookState } from "./book-state.ts";
import type { Holder } from "./instances.ts";
import { RecordKind } from "./kinds.ts";
import type { Hold } from "./locks.ts";
import type {
  AppendRequest,
  AppendResult,
  HeldLock,
  ListedObject,
  LockRead,
  LogBook,
  LogRecord,
  ReadResult,
  StreamRead,
  Turn,
} from "./logbook.ts";
import type { Sequencer } from "./sequencer.ts";
import type { ShardIndex } from "./shard-index.ts";

/** What a session lends its LogBooks. */
export interface LogBookSession extends Holder {
  readonly index: ShardIndex;
  readonly sequencer: Sequencer;
  /** The size of the object whose value a write record holds. */
  readonly objectSizeBytes: (record: LogRecord) => number;
  /** @throws OWNER_UNAVAILABLE once the session is over */
  check(): void;
}

/** A LogBook in its owner's process: every answer is computed in the tick in which it is asked for. */
export class LocalLogBook implements LogBook {
  readonly id: LogBookId;
  readonly #session: LogBookSession;
  readonly #index: ShardIndex;
  readonly #book: BookState;

  constructor(id: LogBookId, session: LogBookSession) {
    this.id = id;
    this.#session = session;
    this.#index = session.index;
    this.#book = session.index.book(id);
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    this.#session.check();
    return this.#session.sequencer.append(this.#book, request, this.#session);
  }

  async readPrev(tag: Tag, max: SeqNum): Promise<ReadResult> {
    this.#session.check();
    const seqnum = this.#lastUpTo(tag, max);
    return { record: seqnum === NO_SEQNUM ? null : this.#index.store.read(seqnum), tail: this.#index.tail };
  }

  async readStream(tag: Tag, from: number): Promise<StreamRead> {
    this.#session.check();
    const { tail, store } = this.#index;
    const stream = this.#book.streams.get(tag);
    if (stream === undefined) {
      return { records: [], length: 0, closed: false, tail };
    }
    if (from < stream.base) {
      throw new NeapError("TRIMMED", `position ${from} of ${tag} was collected, ${stream.base} is the first one kept`);
    }
    const records: LogRecord[] = [];
    for (let position = from; position < stream.length; position++) {
      records.push(store.read(stream.at(position)));
    }
    return { records, length: stream.length, closed: stream.closed, tail };
  }

  async listObjects(
    prefix: string,
    after: string,
    cursor: SeqNum,
    limit: number,
  ): Promise<{ objects: readonly ListedObject[]; tail: SeqNum }> {
    this.#session.check();
    if (cursor < this.#book.floor) {
      throw new NeapError("TRIMMED", `cursor ${cursor} lies below the floor ${this.#book.floor}`);
    }
    const objects: ListedObject[] = [];
    this.#book.names.visit(prefix, after, (key) => {
      if (objects.length >= limit) {
        return false;
      }
      const seqnum = this.#book.streams.get(objectTag(key))?.atOrBefore(cursor) ?? NO_SEQNUM;
      if (seqnum !== NO_SEQNUM && this.#index.kindOf(seqnum) === RecordKind.write) {
        objects.push({ key, sizeBytes: this.#session.objectSizeBytes(this.#index.store.read(seqnum)), seqnum });
      }
      return true;
    });
    return { objects, tail: this.#index.tail };
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

  async locks(): Promise<{ locks: readonly HeldLock[]; tail: SeqNum }> {
    this.#session.check();
    const locks = Array.from(this.#book.locks.held, ([tag, hold]) => this.#describe(tag, hold));
    return { locks, tail: this.#index.tail };
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

  /** The last record of a stream up to `max`; 0 when there has been none. */
  #lastUpTo(tag: Tag, max: SeqNum): SeqNum {
    const stream = this.#book.streams.get(tag);
    const seqnum = stream === undefined ? NO_SEQNUM : stream.atOrBefore(max);
    // Below the floor a stream that is not there may have been collected as a whole.
    if (seqnum === NO_SEQNUM && (max < this.#book.floor || (stream !== undefined && stream.base > 0))) {
      throw new NeapError("TRIMMED", `records of ${tag} up to ${max} may have been collected, the floor is ${this.#book.floor}`);
    }
    return seqnum;
  }
}
