/**
 * Orders the records of a shard.
 *
 * Owns: the decision and the order, in one tick; room on the disk, back-pressure, the turns of streams, who waits for records.
 * Does not own: sessions (local-shard), bytes on their way to the disk (outbox).
 *
 * Q1. Between the decision and the application of a request nothing else runs: an outcome is known before it is durable, and is
 *     final unless the process dies.
 * Q2. Requests are decided in the order in which they came, also when they had to wait for room. Only the host's own records
 *     (RESERVED) do not wait behind those that have no room on the disk.
 * Q3. Nothing is ordered for a session that is over: what its successor reads is final (F20).
 * Q4. Nothing is ordered that the journal has no room for (F34), nor that names a blob which is not here (F6). Both are asked in the
 *     tick of the decision; in the same tick the blob is named, so that nobody can discard it any more.
 * Q5. A request is refused as DISK_FULL only when the disk, tried since it came, had no room. Until that is known it waits.
 */
import { hasCode, invariant, NeapError } from "../errors.ts";
import type { InstanceId, SeqNum } from "../ids.ts";
import type { Journal } from "../journal/journal.ts";
import type { OwnedBlobs } from "../objects/blobs.ts";
import type { Clock, Faults, Timers } from "../ports.ts";
import { objectTag } from "../tags.ts";
import type { BookState } from "./book-state.ts";
import { compareVersions } from "./cells.ts";
import { checkCellWrite, checkRequest, tooLarge } from "./check-request.ts";
import { refusal } from "./decide.ts";
import { type Holder, instanceOfStepTag } from "./instances.ts";
import { RecordKind } from "./kinds.ts";
import type {
  AppendRequest,
  AppendResult,
  BlobRefLike,
  CellOutcome,
  CellWrite,
  Condition,
  LogRecord,
  NewRecord,
} from "./logbook.ts";
import { withNames } from "./names-tag.ts";
import type { Outbox } from "./outbox.ts";
import { placed } from "./placement.ts";
import { Frame } from "./record-codec.ts";
import { ScopeLoad } from "./scope-load.ts";
import type { ShardIndex } from "./shard-index.ts";
import { Turns } from "./turns.ts";
import { Waits } from "./waits.ts";

/** Kinds that the host needs to get on, or to make room: they may use the journal's reserve. */
const RESERVED: ReadonlySet<RecordKind> = new Set([
  RecordKind.epoch,
  RecordKind.gc,
  RecordKind.done,
  RecordKind.attempt,
  RecordKind.parked,
  RecordKind.resumed,
  RecordKind.cancel,
  RecordKind.pin,
  RecordKind.resume,
  RecordKind.mode,
  RecordKind.migrated,
]);
const NOBODY = "" as InstanceId;
const NO_CONDITIONS: readonly Condition[] = [];
const NO_BLOBS: readonly BlobRefLike[] = [];

interface Waiting {
  /** Decides the request, unless it finds no room and the disk may have some. Returns whether it did. */
  readonly proceed: (isDiskFull: boolean) => boolean;
  readonly refuse: (error: NeapError) => void;
  readonly isReserved: boolean;
}

export class Sequencer {
  readonly #journal: Journal;
  readonly #index: ShardIndex;
  readonly #outbox: Outbox;
  readonly #blobs: OwnedBlobs;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #timers: Timers;
  readonly #undurableMaxBytes: number;
  readonly #turns = new Map<BookState, Turns>();
  readonly waits: Waits;
  readonly #loads = new Map<BookState, ScopeLoad>();
  readonly #read: (seqnum: SeqNum) => LogRecord;
  readonly #kindOf: (seqnum: SeqNum) => RecordKind;
  /** Empty while there is room for all. */
  #waiting: Waiting[] = [];
  #isMakingRoom = false;
  #stopped: NeapError | undefined = undefined;

  constructor(parts: {
    journal: Journal;
    index: ShardIndex;
    outbox: Outbox;
    blobs: OwnedBlobs;
    clock: Clock;
    timers: Timers;
    faults: Faults;
    undurableMaxBytes: number;
  }) {
    this.#journal = parts.journal;
    this.#index = parts.index;
    this.#outbox = parts.outbox;
    this.#blobs = parts.blobs;
    this.#clock = parts.clock;
    this.#timers = parts.timers;
    this.waits = new Waits(parts.timers);
    this.#faults = parts.faults;
    this.#undurableMaxBytes = parts.undurableMaxBytes;
    this.#read = (seqnum) => this.#index.store.read(seqnum);
    this.#kindOf = (seqnum) => this.#index.kindOf(seqnum);
    this.#outbox.onDurable.push(() => this.#admit(false));
  }

  /**
   * As LogBook.append; in this tick, unless a blob has to be looked for or room to be waited for (Q5).
   * @param holder  the session that asks
   */
  append(book: BookState, request: AppendRequest, holder: Holder): AppendResult | Promise<AppendResult> {
    checkRequest(request);
    return request.records.some(namesBlobs)
      ? this.#lookFor(request.records).then(() => this.#admitted(book, request, holder))
      : this.#admitted(book, request, holder);
  }

  /** As LogBook.writeCell. */
  async writeCell(book: BookState, write: CellWrite, holder: Holder): Promise<CellOutcome> {
    checkCellWrite(write);
    await this.#lookFor([write]);
    return this.#inTurn(false, () => this.#orderCell(book, write, holder));
  }

  #admitted(
    book: BookState,
    { records, when = NO_CONDITIONS }: AppendRequest,
    holder: Holder,
  ): AppendResult | Promise<AppendResult> {
    return this.#inTurn(isReserved(records), () => this.#order(book, records, when, holder));
  }

  /** Orders a record of the shard's own, of a LogBook or (null) of no one, without conditions. */
  orderOwn(book: BookState | null, record: NewRecord): SeqNum {
    const result = this.#order(book, [record], NO_CONDITIONS, undefined);
    invariant(result.kind === "appended", `the shard's own record was refused: ${result.kind}`);
    return result.seqnum;
  }

  /** The time that a record ordered now gets (F35). */
  timeMs(): number {
    return Math.max(this.#index.timeMs, this.#clock.now());
  }

  turns(book: BookState): Turns {
    let turns = this.#turns.get(book);
    if (turns === undefined) {
      turns = new Turns(this.#timers);
      this.#turns.set(book, turns);
    }
    return turns;
  }

  load(book: BookState): ScopeLoad {
    let load = this.#loads.get(book);
    if (load === undefined) {
      load = new ScopeLoad();
      this.#loads.set(book, load);
    }
    return load;
  }

  /** Ends all turns and waits of a session. */
  leave(holder: Holder): void {
    this.waits.leaveAll(holder);
    for (const turns of this.#turns.values()) {
      turns.leaveAll(holder);
    }
  }

  /** Refuses the requests that wait, and all that come. */
  stop(error: NeapError): void {
    this.#stopped = error;
    for (const { refuse } of this.#waiting.splice(0)) {
      refuse(error);
    }
  }

  #order(
    book: BookState | null,
    asked: readonly NewRecord[],
    when: readonly Condition[],
    holder: Holder | undefined,
  ): AppendResult {
    if (holder?.isOver === true) {
      throw new NeapError("OWNER_UNAVAILABLE", "the session with the owner of the LogBook has ended; nothing was ordered");
    }
    this.#faults.at("append:before");
    const refused = book === null ? undefined : refusal(book, asked, when, this.#index.tail, this.#read);
    if (refused !== undefined) {
      return refused;
    }
    if (holder !== undefined) {
      this.#checkBlobs(asked);
    }
    const records = book === null ? asked : withNames(book, placed(book, asked), this.#kindOf);
    let bound = Frame.conditionBoundBytes(when);
    for (const record of records) {
      bound += Frame.boundBytes(record);
    }
    const timeMs = this.timeMs();
    const frame = this.#outbox.gather((this.#index.tail + 1) as SeqNum, records.length, bound);
    const offsets = this.#encode(frame, book, records, when, timeMs);
    const start = offsets[0] ?? frame.length;
    for (let i = 0; i < records.length; i++) {
      const record = records[i] as NewRecord;
      const offset = offsets[i] ?? 0;
      this.#index.apply(book, record, timeMs, offset, (offsets[i + 1] ?? frame.length) - offset, holder);
      this.#index.store.remember(this.#index.tail, record, timeMs);
      for (const { name } of record.blobs ?? NO_BLOBS) {
        this.#blobs.named(name);
      }
    }
    this.#outbox.gathered(frame.length - start);
    if (book !== null) {
      const load = this.load(book);
      for (const record of records) {
        load.wrote(record);
      }
      this.#endTurns(book, records);
    }
    if (book !== null && this.waits.size > 0) {
      this.waits.applied(book, records);
    }
    this.#faults.at("append:after");
    return { kind: "appended", seqnum: this.#index.tail, timeMs };
  }

  /** A version that the cell is not below is not ordered: the write counts as done before the newer one (F3). */
  #orderCell(book: BookState, write: CellWrite, holder: Holder): CellOutcome {
    const { key, version, kind, data, blobs, initialCursor, writer } = write;
    if (initialCursor < book.floor) {
      return { kind: "stale", floor: book.floor };
    }
    const stream = book.streams.get(writer);
    if (stream?.closed) {
      return { kind: "closed", seqnum: stream.last };
    }
    if (book.awaitingResume.has(writer)) {
      return { kind: "badPosition", seqnum: this.#index.tail };
    }
    const cell = book.cells.get(key);
    if (cell !== undefined && compareVersions(version, cell.version) <= 0) {
      return { kind: "superseded", seqnum: cell.entry };
    }
    const first = book.instances.unfinished.get(instanceOfStepTag(writer) ?? NOBODY)?.first;
    const by = first !== undefined && stream !== undefined && { writer: { first, length: stream.length } };
    const entry: NewRecord = { kind, tags: [], data, cell: { key, version, ...by }, ...(blobs !== undefined && { blobs }) };
    const result = this.#order(book, [entry], NO_CONDITIONS, holder);
    invariant(result.kind === "appended", `a cell's entry was refused: ${result.kind}`);
    return { kind: "written", seqnum: result.seqnum };
  }

  /** Adds all records to the frame, or none. @throws BAD_TAG, RECORD_TOO_LARGE, DISK_FULL */
  #encode(
    frame: Frame,
    book: BookState | null,
    records: readonly NewRecord[],
    when: readonly Condition[],
    timeMs: number,
  ): number[] {
    const { length, count } = frame;
    const offsets: number[] = [];
    try {
      for (let i = 0; i < records.length; i++) {
        offsets.push(frame.add(book === null ? "" : book.id, records[i] as NewRecord, timeMs, i === 0 ? when : NO_CONDITIONS));
      }
      if (frame.length > this.#journal.frameMaxBytes) {
        throw tooLarge(frame.length, this.#journal.frameMaxBytes);
      }
      if (!this.#journal.hasRoom(this.#outbox.waiting(), isReserved(records))) {
        throw new NeapError("DISK_FULL", `the journal has no room for ${frame.length - length} bytes; nothing was ordered`);
      }
    } catch (error) {
      frame.rewind(length, count);
      throw error;
    }
    return offsets;
  }

  /** Afterwards the blobs that are here are known. */
  async #lookFor(records: readonly Pick<NewRecord, "blobs">[]): Promise<void> {
    for (const { blobs = NO_BLOBS } of records) {
      for (const { name } of blobs) {
        if (this.#blobs.known(name) === undefined) {
          await this.#blobs.size(name);
        }
      }
    }
  }

  #checkBlobs(records: readonly NewRecord[]): void {
    for (const { blobs = NO_BLOBS } of records) {
      for (const { name, sizeBytes } of blobs) {
        const held = this.#blobs.known(name);
        if (held !== sizeBytes) {
          const what = held === undefined ? "is not held here" : `has ${held} bytes`;
          throw new NeapError("BLOB_MISSING", `blob ${name} of ${sizeBytes} bytes ${what}`);
        }
      }
    }
  }

  /** Orders now, or in its turn once there is room. */
  #inTurn<T>(isReserved: boolean, order: () => T): T | Promise<T> {
    if (this.#stopped !== undefined) {
      throw this.#stopped;
    }
    if (!this.#isBehind() && (this.#waiting.length === 0 || isReserved)) {
      try {
        return order();
      } catch (error) {
        if (!hasCode(error, "DISK_FULL")) {
          throw error;
        }
      }
    }
    return this.#later(isReserved, order);
  }

  /** Whether too much is ordered that is not durable. */
  #isBehind(): boolean {
    return this.#outbox.undurableBytes >= this.#undurableMaxBytes;
  }

  #later<T>(isReserved: boolean, order: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const proceed = (isDiskFull: boolean) => {
      try {
        resolve(order());
      } catch (error) {
        if (!isDiskFull && hasCode(error, "DISK_FULL")) {
          return false;
        }
        reject(error);
      }
      return true;
    };
    this.#waiting.push({ proceed, refuse: reject, isReserved });
    this.#awaitRoom();
    return promise;
  }

  /** Decides requests that waited for room. @param isDiskFull  refuses those for which the disk has none */
  #admit(isDiskFull: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let isRoomShort = false;
    const left = waiting.filter((one) => {
      const waits = this.#isBehind() || (isRoomShort && !one.isReserved) || !one.proceed(isDiskFull);
      isRoomShort ||= waits;
      return waits;
    });
    this.#waiting = left.concat(this.#waiting);
    if (this.#waiting.length > 0) {
      this.#awaitRoom();
    }
  }

  /** Brings about what the first request waits for: a flush, without which the room would never come, or a segment. */
  #awaitRoom(): void {
    if (this.#isBehind()) {
      void this.#outbox.whenDurable(this.#index.tail);
    } else if (!this.#isMakingRoom) {
      this.#isMakingRoom = true;
      void this.#journal.makeRoom().then((isMade) => {
        this.#isMakingRoom = false;
        this.#admit(!isMade);
      });
    }
  }

  #endTurns(book: BookState, records: readonly NewRecord[]): void {
    const changed = book.locks.takeChanged();
    const turns = this.#turns.size > 0 ? this.#turns.get(book) : undefined;
    if (turns === undefined || turns.size === 0) {
      return;
    }
    for (const record of records) {
      for (const tag of record.tags) {
        turns.appended(tag);
      }
      if (record.cell !== undefined) {
        turns.appended(objectTag(record.cell.key));
      }
    }
    for (const tag of changed) {
      turns.changed(tag);
    }
  }
}

function isReserved(records: readonly NewRecord[]): boolean {
  return records.every(({ kind }) => RESERVED.has(kind));
}

function namesBlobs({ blobs }: NewRecord): boolean {
  return blobs !== undefined && blobs.length > 0;
}
