/** A transaction of a replay: its snapshot, and what it has buffered. */
import { RecordKind } from "../../state/logbook/index.ts";
import type { Isolation, TransactionEffects } from "../../state/txn/index.ts";
import type { FinalLog } from "./final-log.ts";
import type { HistoryRecord } from "./log-history.ts";

export class ReplayTransaction {
  readonly snapshot: number;
  readonly isolation: Isolation;
  /** null: deleted. In the order of the first write of each. */
  readonly writes = new Map<string, string | null>();
  /** Taken in it, and their tokens. */
  readonly locks = new Map<string, number>();
  /** Of a call inside it was never told what it has locked. */
  hasLost = false;
  /** Calls started inside that were not waited for. */
  openCalls = 0;
  #hasJoinedLocks = false;
  /** What the caller had written when it called this function. */
  readonly #given: ReadonlyMap<string, string | null>;
  readonly #log: FinalLog;
  readonly #read = new Map<string, HistoryRecord | undefined>();
  #hasListed = false;

  constructor(log: FinalLog, snapshot: number, isolation: Isolation, given: ReadonlyMap<string, string | null> = new Map()) {
    this.#log = log;
    this.#given = given;
    this.snapshot = snapshot;
    this.isolation = isolation;
  }

  /** What has been written so far, by the caller too. */
  get buffered(): ReadonlyMap<string, string | null> {
    return new Map([...this.#given, ...this.writes]);
  }

  /** The version that a read finds; null when the transaction has written the object itself. */
  read(key: string): HistoryRecord | undefined | null {
    if (this.buffered.has(key)) {
      return null;
    }
    const version = this.#log.versionAt(key, this.snapshot);
    this.#read.set(key, version);
    return version;
  }

  list(prefix: string): string[] {
    this.#hasListed = true;
    const { buffered } = this;
    const keys = this.#log.keysAt(prefix, this.snapshot).filter((key) => !buffered.has(key));
    const written = [...buffered].flatMap(([key, text]) => (text !== null && key.startsWith(prefix) ? [key] : []));
    return [...keys, ...written].sort();
  }

  /** What a called function did becomes part of it. */
  join({ reads, hasListed, writes, locks, lost }: TransactionEffects): void {
    this.hasLost ||= lost;
    this.#hasJoinedLocks ||= locks.size > 0;
    for (const key of reads.keys()) {
      this.#read.set(key, this.#log.versionAt(key, this.snapshot));
    }
    this.#hasListed ||= hasListed;
    for (const [key, text] of textsOf(this.#log, writes)) {
      this.writes.set(key, text);
    }
  }

  /** What was read of an object that was written after it, at the snapshot; undefined when it was not read. */
  readBefore(key: string): string | null | undefined {
    return this.#read.has(key) ? this.#log.text(this.#read.get(key)) : undefined;
  }

  /** Then its end leaves a record. */
  get mayHoldLocks(): boolean {
    return this.locks.size > 0 || this.#hasJoinedLocks || this.hasLost || this.openCalls > 0;
  }

  get isEmpty(): boolean {
    return this.writes.size === 0 && !this.mayHoldLocks;
  }

  /**
   * The records of the writes, which stand right before the commit.
   * @throws when they are others, or somebody has changed what the isolation protects (F14)
   */
  committed(commit: HistoryRecord): readonly HistoryRecord[] {
    const first = commit.seqnum - this.writes.size;
    const records = [...this.writes].map(([key, text], index) => {
      const record = this.#log.writesOf(key).find(({ seqnum }) => seqnum === first + index);
      const kind = text === null ? RecordKind.delete : RecordKind.write;
      if (record === undefined || record.kind !== kind || this.#log.text(record) !== text) {
        throw new Error(`the commit at ${commit.seqnum} did not write ${text} to ${key}`);
      }
      return record;
    });
    if (records.length > 0) {
      this.#demandUnchanged(first - 1);
      this.#demandHeld(commit.seqnum);
    }
    return records;
  }

  /** Nobody has taken a lock away: its last hold is the one that was taken. */
  #demandHeld(now: number): void {
    for (const [name, token] of this.locks) {
      const last = this.#log.stream(`h/${name}`).findLast(({ seqnum }) => seqnum < now)?.seqnum;
      if (last !== token) {
        throw new Error(`[55] a transaction was committed at ${now} under lock ${name} of ${token}, which was broken at ${last}`);
      }
    }
  }

  #demandUnchanged(now: number): void {
    const written = this.isolation === "snapshot" ? [...this.writes.keys()] : [];
    const read = this.isolation === "serializable" ? [...this.#read.keys()] : [];
    const changed = [...read, ...written].find(
      (key) => this.#log.versionAt(key, now) !== this.#log.versionAt(key, this.snapshot),
    );
    if (changed !== undefined) {
      throw new Error(`F14: a transaction of ${this.snapshot} was committed after ${now}, and ${changed} had changed`);
    }
    const names = (at: number): string => this.#log.keysAt("", at).join("\n");
    if (this.#hasListed && this.isolation === "serializable" && names(now) !== names(this.snapshot)) {
      throw new Error(`F14: a transaction of ${this.snapshot} was committed after ${now}, and its list had changed`);
    }
  }
}

export function textsOf(log: FinalLog, writes: TransactionEffects["writes"]): Map<string, string | null> {
  return new Map(Array.from(writes, ([key, { value }]) => [key, value === null ? null : log.bytes(value).toString()]));
}
