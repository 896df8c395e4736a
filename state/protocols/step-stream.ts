/**
 * The step stream of one instance as one attempt walks along it.
 *
 * Owns: the attempt's position, cursor, dependency and pins; the decision whether an operation is replayed, performed or adopted.
 * Does not own: what operations mean (protocols), who runs the guest (host/invocation).
 *
 * S1. Position p of the stream is decided by one conditional append; every attempt that reaches p sees the same record there.
 * S2. At a given program point every attempt has the same position and cursor. Only records of the stream, and joins with
 *     children's DONE, move the cursor.
 * S3. Before the first step the cursor is the pinned initial cursor, never INIT's seqnum (F13).
 * S4. The first step carries the pins and the nonce of the attempt that drew them. An attempt that finds other pins there restarts
 *     from those; later positions are adopted (F13).
 * S5. After the attempt was fenced nothing it does has an effect: every call throws.
 * S6. A RESUME takes a position and is nobody's operation: the cursor moves to it as soon as the step before it is behind (F25). An
 *     attempt that meets one which was not there when it began restarts.
 * S7. `dependency` is the highest seqnum of everything written or consulted: nothing leaves the platform before it is durable (F8).
 * S8. A log-free write has a version that no other write has, and the same one in every attempt: the cursor, and its number since the
 *     cursor has moved (F2).
 */
import { NeapError } from "../errors.ts";
import { type InstanceId, NO_SEQNUM, type SeqNum, type Tag } from "../ids.ts";
import { type CellVersion, compareVersions } from "../logbook/cells.ts";
import { endsInstance, kindName, RecordKind } from "../logbook/kinds.ts";
import type { AppendResult, BlobRefLike, Condition, LogBook, LogRecord, NewRecord } from "../logbook/logbook.ts";
import { decodeStep, encodeStep, type Fingerprint, NO_FINGERPRINT, type Pins } from "../logbook/step-record.ts";
import { stepTag } from "../tags.ts";
import { Fenced } from "./fenced.ts";
import { ReadLog, type ReadQuery } from "./read-log.ts";
import type { Origin, Reading, Step, StepDone, StepRefusal, StepStreamState } from "./step.ts";

const EMPTY = new Uint8Array(0);
/** Steps whose fingerprints hold a value that the guest gave. */
const WITH_VALUE: ReadonlySet<RecordKind> = new Set([
  RecordKind.write,
  RecordKind.preWrite,
  RecordKind.postWrite,
  RecordKind.append,
  RecordKind.close,
  RecordKind.commit,
  RecordKind.invoke,
  RecordKind.spawn,
]);
const NO_CONDITIONS: readonly Condition[] = [];

/** Refusals of an append that say that nothing was ordered; after any other error nobody knows. */
const NOTHING_ORDERED: ReadonlySet<string> = new Set([
  "RECORD_TOO_LARGE",
  "MESSAGE_TOO_LARGE",
  "BAD_RECORD",
  "BAD_TAG",
  "BAD_SEQNUM",
  "BLOB_MISSING",
  "DISK_FULL",
  "PROTOCOL_MISMATCH",
]);

export class StepStream {
  readonly instance: InstanceId;
  readonly book: LogBook;
  readonly tag: Tag;
  readonly reads = new ReadLog();
  #origin: Origin;
  /** Records of positions `#loadedFrom` and up that were in the log before this attempt got there. */
  #loaded: readonly LogRecord[];
  #loadedFrom: number;
  #position = 1;
  #cursor: SeqNum;
  #dependency: SeqNum = NO_SEQNUM;
  #touched = false;
  readonly #isChild: boolean;
  /** What the versions of log-free writes begin with: as the cursor, but no RESUME moves it, behind which writes are made again (F25). */
  #base: SeqNum;
  #writes = 0;
  #moment = 0;
  #reading: Reading | null = null;
  #readingMoment = 0;
  /** The newest log-free write that is done: of this attempt, or of one before a long wait. */
  #written: CellVersion | null = null;
  /** From here on the instance holds what it may read: its initial cursor, or its last RESUME, also on the way there (F25). */
  #readsFrom: SeqNum;
  /** An append is on its way: whether it is in the log is not known yet. */
  #appending = false;
  /** An append was not answered, or a part that went on with this stream was lost: what they logged is not known. */
  #doubtful = false;
  #isElsewhere = false;
  #fenced: Fenced | null = null;
  #comparesValues = true;

  /**
   * @param loaded  records of the stream from position `loadedFrom` on, for the replay
   */
  constructor(book: LogBook, instance: InstanceId, origin: Origin, loaded: readonly LogRecord[] = [], loadedFrom = 1) {
    this.book = book;
    this.instance = instance;
    this.tag = stepTag(instance);
    this.#origin = origin;
    this.#loaded = loaded;
    this.#loadedFrom = loadedFrom;
    this.#cursor = origin.pins.initialCursor;
    this.#base = this.#cursor;
    this.#readsFrom = this.#cursor;
    this.#isChild = origin.kind === "pinned" && origin.isChild === true;
    this.#meetLoaded();
  }

  /** Goes on where another node left off. */
  static resume(
    book: LogBook,
    instance: InstanceId,
    origin: Origin,
    state: StepStreamState,
    loaded: readonly LogRecord[],
  ): StepStream {
    const stream = new StepStream(book, instance, origin, loaded, state.position);
    stream.#position = state.position;
    stream.#cursor = state.cursor;
    stream.#touched = state.touched;
    stream.#base = state.base;
    stream.#writes = state.writes;
    stream.#readsFrom = Math.max(stream.#readsFrom, state.readsFrom) as SeqNum;
    stream.reading = state.reading;
    stream.consulted(state.dependency);
    return stream;
  }

  get cursor(): SeqNum {
    return this.#cursor;
  }

  /** Not below the floor as long as the instance is not done, however long it has waited. */
  get readsFrom(): SeqNum {
    return this.#readsFrom;
  }

  /** The guest reaches memory regions: what it writes may differ in a replay, where it writes may not (F23). */
  leaveOutValues(): void {
    this.#comparesValues = false;
  }

  /** Notes that a log-free write is done, and with it all before it. */
  wrote(version: CellVersion): void {
    if (!this.hasWritten(version)) {
      this.#written = version;
    }
  }

  hasWritten(version: CellVersion): boolean {
    return this.#written !== null && compareVersions(version, this.#written) <= 0;
  }

  get written(): CellVersion | null {
    return this.#written;
  }

  get dependency(): SeqNum {
    return this.#dependency;
  }

  get position(): number {
    return this.#position;
  }

  get pins(): Pins {
    return this.#origin.pins;
  }

  /** What a read may go on from: null after each step, join and own write, so at the same points of the program in every attempt. */
  get reading(): Reading | null {
    return this.#readingMoment === this.#moment ? this.#reading : null;
  }

  set reading(reading: Reading | null) {
    this.#reading = reading;
    this.#readingMoment = this.#moment;
  }

  /** The attempt has come to such a point without a step. */
  nextMoment(): void {
    this.#moment += 1;
  }

  /** Whether the instance has, or may have, a record in the log: then it will be finished whatever happens. */
  get logged(): boolean {
    return this.#origin.kind !== "unlogged" || this.#appending || this.#doubtful;
  }

  /** A step is on its way: nobody can say yet whether it will be in the log, also when the attempt has ended. */
  get isAppending(): boolean {
    return this.#appending;
  }

  /** Whether that is not known: `settle` finds out. */
  get inDoubt(): boolean {
    return this.#origin.kind === "unlogged" && this.#doubtful;
  }

  /** Notes a log-free read, so that it can be pinned. */
  read(query: ReadQuery, cursor: SeqNum, seenBytes = 0): void {
    this.reads.add(query, cursor, this.#position, seenBytes);
  }

  /** Notes a read that the step before says the cursor of. */
  readByStep(query: ReadQuery, cursor: SeqNum, seenBytes: number): void {
    this.reads.add(query, cursor, this.#position - 1, seenBytes);
  }

  /** Whether the next step is in the log already. */
  get replaying(): boolean {
    return this.#position - this.#loadedFrom < this.#loaded.length;
  }

  state(): StepStreamState {
    return {
      origin: this.#origin.kind,
      pins: this.#origin.pins,
      position: this.#position,
      cursor: this.#cursor,
      dependency: this.#dependency,
      touched: this.#touched,
      isChild: this.#isChild,
      base: this.#base,
      writes: this.#writes,
      readsFrom: this.#readsFrom,
      reading: this.reading,
    };
  }

  /** Takes over what a storage part did to the stream. Of a fenced attempt only that something is logged: that stays true. */
  adopt(state: StepStreamState): void {
    if (this.#origin.kind !== "pinned") {
      const { origin: kind, pins } = state;
      this.#origin = kind === "unlogged" ? { ...this.#origin, pins } : { kind, pins };
    }
    this.#check();
    this.#position = state.position;
    this.#cursor = state.cursor;
    this.#touched = state.touched;
    this.#base = state.base;
    this.#writes = state.writes;
    this.#readsFrom = state.readsFrom;
    this.consulted(state.dependency);
  }

  /**
   * What went on with this stream elsewhere was lost: whether it has logged the first step is not known.
   * @param mayGoOn  nor whether it will
   */
  doubt(mayGoOn: boolean): void {
    this.#doubtful = true;
    this.#isElsewhere ||= mayGoOn;
  }

  /** Whether somebody may still log the first step who was lost from sight. */
  get isElsewhere(): boolean {
    return this.#isElsewhere;
  }

  /**
   * Asks the owner what `inDoubt` leaves open: `logged` is exact then, but for what may come from elsewhere. Only when nothing of the
   * attempt is on its way any more.
   */
  async settle(): Promise<void> {
    if (this.inDoubt) {
      const { length } = await this.book.readStream(this.tag, 0);
      this.#doubtful = length === 0 && this.#isElsewhere;
      if (length > 0) {
        this.#origin = { kind: "initialised", pins: this.#origin.pins };
      }
    }
  }

  /** Notes that something of this seqnum was consulted: output waits for it (F8). */
  consulted(seqnum: SeqNum): void {
    if (seqnum > this.#dependency) {
      this.#dependency = seqnum;
    }
  }

  /** Notes a log-free read: from now on the initial cursor may not move any more. */
  touch(): void {
    this.#check();
    this.#touched = true;
  }

  /**
   * Moves the initial cursor up to `tail`, which is allowed as long as nobody can have noticed where it was: no read was made, and
   * no step fixed it, nor may a lost part's have done so. Otherwise nothing changes.
   */
  refresh(tail: SeqNum): void {
    const mayMove = this.#origin.kind !== "pinned" && !this.#touched && !this.#doubtful && !this.replaying;
    if (mayMove && tail > this.#cursor) {
      const pins = { ...this.#origin.pins, initialCursor: tail };
      this.#origin = { ...this.#origin, pins };
      this.#cursor = tail;
      this.#base = tail;
      this.#readsFrom = tail;
    }
  }

  /** The join with a child: the child's effects are visible from here on. */
  join(done: SeqNum): void {
    this.#check();
    this.consulted(done);
    this.#raise(done);
  }

  /**
   * Makes sure that the cursor is a record of the instance's own, so that no other instance has the same log-free write (F2): logs
   * the pins, unless a step has. A child begins with its Invoke record, which is nobody else's but its caller's.
   */
  async anchor(): Promise<void> {
    if (this.#position === 1 && !this.#isChild) {
      await this.step({ kind: RecordKind.anchor, fingerprint: NO_FINGERPRINT, payload: EMPTY });
    }
  }

  /** The version of the next log-free write (F2): above those of all writes this instance has made or, by joins, may have seen. */
  nextVersion(): CellVersion {
    this.#check();
    this.#writes += 1;
    this.nextMoment();
    const role = this.#isChild && this.#base === this.#origin.pins.initialCursor ? 1 : 0;
    return { seqnum: this.#base, role, counter: this.#writes };
  }

  /**
   * Performs, replays or adopts the operation at the next position.
   *
   * @returns the record that stands at the position: `step.kind`, or CONFLICT when a condition of `step.when` failed (F10)
   * @throws Fenced  `restart`: the first step has other pins, or nothing is logged and an object condition failed; `closed`: the
   *   instance is done; `badPosition`: reload; `notDeterministic`: the log has another operation here (F31, F32)
   */
  async step(step: Step): Promise<StepDone> {
    this.#check();
    const position = this.#position;
    if (this.replaying) {
      return this.#consume(step, this.#recorded(position));
    }
    const result = await this.#append(step, position, step.when ?? NO_CONDITIONS);
    if (result.kind === "appended") {
      return this.#performed(step.kind, result);
    }
    if (result.kind !== "stale" && result.tag !== this.tag && (result.kind === "conflict" || step.refused !== undefined)) {
      this.consulted(result.tail);
      return this.#conflicted(step, position, result);
    }
    return this.#lost(step, position, result);
  }

  /**
   * Passes the RESUME that has followed the last step while the attempt waited. Only if nothing was read since that step: a replay does
   * so at the step.
   */
  async meetResume(): Promise<void> {
    this.#check();
    this.#loadedFrom = this.#position;
    this.#loaded = (await this.book.readStream(this.tag, this.#position)).records;
    this.#meetLoaded();
  }

  #meetLoaded(): void {
    for (const { kind, seqnum } of this.#loaded) {
      this.consulted(seqnum);
      if (kind === RecordKind.resume) {
        this.#readsFrom = seqnum;
      }
    }
    this.#passResumes();
  }

  /** Goes past everything that is loaded, to log a DONE that no attempt reached. */
  skipToEnd(): void {
    this.#position = this.#loadedFrom + this.#loaded.length;
  }

  /** Closes the stream with the result of the instance. Same outcomes as `step`. */
  done(payload: Uint8Array, blobs: readonly BlobRefLike[]): Promise<StepDone> {
    return this.step({ kind: RecordKind.done, fingerprint: NO_FINGERPRINT, payload, blobs });
  }

  /** Ends the attempt: every later call throws this (S5). */
  fence(fenced: Fenced): Fenced {
    this.#fenced ??= fenced;
    return this.#fenced;
  }

  #check(): void {
    if (this.#fenced !== null) {
      throw this.#fenced;
    }
  }

  async #append(step: Step, position: number, when: readonly Condition[]): Promise<AppendResult> {
    const origin = this.#origin;
    const pins = origin.kind === "pinned" ? null : origin.pins;
    const record: NewRecord = {
      kind: step.kind,
      tags: step.tags === undefined ? [this.tag] : [this.tag, ...step.tags],
      data: encodeStep({ fingerprint: step.fingerprint, pins }, step.payload),
      initialCursor: pins?.initialCursor,
      blobs: step.blobs,
      ...(step.cell !== undefined && { cell: { key: step.cell, version: null } }),
    };
    const unlogged = origin.kind === "unlogged";
    const records = unlogged ? [origin.init(), record] : [record];
    if (step.before !== undefined) {
      records.splice(-1, 0, ...step.before);
    }
    this.#appending = true;
    try {
      return await this.book.append({ records, when: [{ tag: this.tag, length: unlogged ? 0 : position }, ...when] });
    } catch (error) {
      this.#doubtful ||= !(error instanceof NeapError && NOTHING_ORDERED.has(error.code));
      throw error;
    } finally {
      this.#appending = false;
    }
  }

  #performed(kind: RecordKind, result: Extract<AppendResult, { kind: "appended" }>, failed: Tag | null = null): StepDone {
    if (this.#origin.kind !== "pinned") {
      this.#origin = { kind: "pinned", pins: this.#origin.pins };
    }
    this.#moveTo(result.seqnum);
    return { record: { kind, seqnum: result.seqnum, timeMs: result.timeMs }, theirs: null, failed };
  }

  /** A condition besides the own position failed: log that, so that a replay fails here as well (F10). */
  async #conflicted(step: Step, position: number, refusal: StepRefusal): Promise<StepDone> {
    if (this.#origin.kind === "unlogged" && step.refused === undefined) {
      throw this.fence(new Fenced("restart", "an object changed before anything was logged"));
    }
    const payload = step.refused?.(refusal) ?? Buffer.from(refusal.tag);
    const conflict: Step = { kind: RecordKind.conflict, fingerprint: step.fingerprint, payload };
    const result = await this.#append(conflict, position, NO_CONDITIONS);
    return result.kind === "appended"
      ? this.#performed(RecordKind.conflict, result, refusal.tag)
      : this.#lost(step, position, result);
  }

  async #lost(step: Step, position: number, result: Exclude<AppendResult, { kind: "appended" }>): Promise<StepDone> {
    switch (result.kind) {
      case "stale":
        throw this.fence(new Fenced("restart", `the initial cursor ${this.#cursor} is below the floor ${result.floor}`));
      case "closed":
        throw this.fence(new Fenced("closed", "the instance is done"));
      case "badPosition":
        throw this.fence(new Fenced("badPosition", `position ${position} of a stream of ${result.length} records`));
      case "conflict": {
        this.#loadedFrom = this.#origin.kind === "unlogged" ? 1 : position;
        this.#loaded = (await this.book.readStream(this.tag, this.#loadedFrom)).records;
        const [first] = this.#loaded;
        if (first === undefined) {
          throw this.fence(new Fenced("restart", "another attempt logged INIT"));
        }
        return this.#consume(step, first);
      }
    }
  }

  /** Whether the first step has this attempt's pins: a copy of it that runs or ran a storage part logged it. */
  #isOwn(first: LogRecord): boolean {
    const theirs = decodeStep(first.data).pins;
    const ours = this.#origin.pins;
    return theirs !== null && theirs.initialCursor === ours.initialCursor && Buffer.from(theirs.nonce).equals(ours.nonce);
  }

  #recorded(position: number): LogRecord {
    const record = this.#loaded[position - this.#loadedFrom];
    if (record === undefined) {
      throw this.fence(new Fenced("badPosition", `position ${position} is not loaded`));
    }
    return record;
  }

  #consume(step: Step, record: LogRecord): StepDone {
    if (this.#origin.kind !== "pinned") {
      if (!this.#isOwn(record)) {
        throw this.fence(new Fenced("restart", "another attempt logged the first step"));
      }
      this.#origin = { kind: "pinned", pins: this.#origin.pins };
    }
    const expectsConflict = step.mayConflict ?? (step.refused !== undefined || (step.when !== undefined && step.when.length > 0));
    const sameKind = record.kind === step.kind || (expectsConflict && record.kind === RecordKind.conflict);
    if (endsInstance(record.kind) && record.kind !== step.kind) {
      throw this.fence(new Fenced("closed", "the instance is done"));
    }
    if (record.kind === RecordKind.resume) {
      throw this.fence(new Fenced("restart", "another attempt went on after a long wait"));
    }
    const { fingerprint: theirs, payload } = decodeStep(record.data);
    const ours = step.fingerprint;
    const sameValue = theirs.value === ours.value || (!this.#comparesValues && WITH_VALUE.has(step.kind));
    if (!sameKind || theirs.target !== ours.target || !sameValue) {
      throw this.fence(
        new Fenced(
          "notDeterministic",
          `step ${this.#position} was ${kindName(record.kind)} ${describe(theirs)}, a replay asks for ${kindName(step.kind)} ${describe(ours)}`,
        ),
      );
    }
    this.#moveTo(record.seqnum);
    const failed = record.kind === RecordKind.conflict ? (Buffer.from(payload).toString() as Tag) : null;
    return { record, theirs: record, failed };
  }

  #moveTo(seqnum: SeqNum): void {
    this.#position += 1;
    this.consulted(seqnum);
    this.#raise(seqnum);
  }

  #raise(seqnum: SeqNum): void {
    this.nextMoment();
    this.#raiseCursor(seqnum);
    this.#raiseBase(seqnum);
    this.#passResumes();
  }

  #raiseCursor(seqnum: SeqNum): void {
    if (seqnum > this.#cursor) {
      this.#cursor = seqnum;
    }
  }

  #raiseBase(seqnum: SeqNum): void {
    if (seqnum > this.#base) {
      this.#base = seqnum;
      this.#writes = 0;
    }
  }

  #passResumes(): void {
    for (;;) {
      const next = this.#loaded[this.#position - this.#loadedFrom];
      if (next?.kind !== RecordKind.resume) {
        return;
      }
      if (this.#position === 1 && !this.#isChild) {
        // The initial cursor is nobody's own, so nothing was written under it.
        this.#raiseBase(next.seqnum);
      }
      this.#position += 1;
      this.consulted(next.seqnum);
      this.#raiseCursor(next.seqnum);
    }
  }
}

function describe(fingerprint: Fingerprint): string {
  return `[${fingerprint.target.toString(16)}:${fingerprint.value.toString(16)}]`;
}
