/** The step stream of a replayed instance: how far the replay is in it, its cursor and its clock. */
import type { InstanceId } from "../../state/ids.ts";
import { endsInstance, RecordKind } from "../../state/logbook/index.ts";
import type { FinalLog } from "./final-log.ts";
import type { HistoryRecord } from "./log-history.ts";

/** The instance was ended before its program was. */
export class StreamEnded extends Error {}

/** Where an instance begins. */
export interface ReplayOrigin {
  readonly initialCursor: number;
  readonly timeMs: number;
  /** Its clock follows from the log. */
  readonly hasClock: boolean;
  /** Where the modes of scopes are looked up. */
  readonly modeCursor: number;
  /** It begins with its caller's step, which is nobody else's. */
  readonly isChild: boolean;
  /** What it did without a step was done before this position: of its DONE, or of the answer. */
  readonly endedAt: number;
  /** It was ended in the middle of its program. */
  readonly isCut: boolean;
  /** It has come to say what it has looked at: what it wrote may follow from that. */
  readonly hasSaid: boolean;
}

/** The version of a log-free write. */
export interface WriteVersion {
  readonly seqnum: number;
  readonly role: number;
  readonly counter: number;
}

export class ReplayStream {
  readonly instance: InstanceId;
  readonly origin: ReplayOrigin;
  readonly #records: readonly HistoryRecord[];
  #position = 1;
  #cursor: number;
  #timeMs: number;
  /** What the versions of log-free writes begin with: the last own step or join, not a RESUME, behind which writes are made again. */
  #base: number;
  #writes = 0;

  constructor(log: FinalLog, instance: InstanceId, origin: ReplayOrigin) {
    this.instance = instance;
    this.origin = origin;
    this.#records = log.stream(`i/${instance}`);
    this.#cursor = origin.initialCursor;
    this.#base = origin.initialCursor;
    this.#timeMs = origin.timeMs;
    this.#passResumes();
  }

  get cursor(): number {
    return this.#cursor;
  }

  get timeMs(): number {
    return this.#timeMs;
  }

  get position(): number {
    return this.#position;
  }

  /** The next record; undefined behind the last. */
  get peek(): HistoryRecord | undefined {
    return this.#records[this.#position];
  }

  /** What was done after the last step may be missing: nothing that the instance has logged rests on it. */
  get mayBeMissing(): boolean {
    const next = this.peek;
    return this.origin.isCut && (next === undefined || endsInstance(next.kind));
  }

  /** Only DONE may be left. */
  end(): void {
    const left = this.#records.length - 1 - this.#position;
    if (left !== 0) {
      throw new Error(`${left} steps of ${this.instance} were not done by a replay`);
    }
  }

  next(kind: RecordKind, tag?: string): HistoryRecord {
    const record = this.#records[this.#position];
    if (record === undefined || endsInstance(record.kind)) {
      throw new StreamEnded(`the stream of ${this.instance} ends before step ${this.#position}`);
    }
    if (record.kind !== kind || (tag !== undefined && record.tags[1] !== tag)) {
      const was = `kind ${record.kind} of ${record.tags[1]}`;
      throw new Error(`step ${this.#position} of ${this.instance} is ${was}, a replay does kind ${kind} of ${tag}`);
    }
    this.#position += 1;
    this.#cursor = record.seqnum;
    this.#moveBase(record.seqnum);
    this.#passResumes();
    return record;
  }

  /** The join with a call that has ended. */
  join(end: HistoryRecord): void {
    this.seen(end.timeMs);
    this.#moveBase(end.seqnum);
    this.#cursor = Math.max(this.#cursor, end.seqnum);
  }

  seen(timeMs: number): void {
    this.#timeMs = Math.max(this.#timeMs, timeMs);
  }

  /** A version that is there has a time; a delete may have been collected, so it has none. */
  see(version: HistoryRecord | undefined): void {
    this.seen(version?.kind === RecordKind.write ? version.timeMs : 0);
  }

  /** The version of the next log-free write (F2). */
  nextVersion(): WriteVersion {
    this.#writes += 1;
    const { isChild, initialCursor } = this.origin;
    return { seqnum: this.#base, role: isChild && this.#base === initialCursor ? 1 : 0, counter: this.#writes };
  }

  #moveBase(seqnum: number): void {
    if (seqnum > this.#base) {
      this.#base = seqnum;
      this.#writes = 0;
    }
  }

  /** Whoever goes on after a long wait reads as of the RESUME (F25). */
  #passResumes(): void {
    for (let next = this.peek; next?.kind === RecordKind.resume; next = this.peek) {
      if (this.#position === 1 && !this.origin.isChild) {
        this.#moveBase(next.seqnum);
      }
      this.#position += 1;
      this.#cursor = next.seqnum;
    }
  }
}
