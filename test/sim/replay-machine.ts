/** What each operation does and sees, by what the rules say of the log. */
import { doneOf, initOf } from "../../host/invocation/instance-record.ts";
import { ByteReader } from "../../state/bytes.ts";
import type { InstanceId, Tag } from "../../state/ids.ts";
import { endsInstance, RecordKind } from "../../state/logbook/index.ts";
import { lockOf } from "../../state/logbook/lock-record.ts";
import { decodeStep } from "../../state/logbook/step-record.ts";
import { decodeTrim } from "../../state/logbook/trim.ts";
import { lockTag, NAMES_TAG } from "../../state/tags.ts";
import { decodeEffects, type InheritedTransaction, type Isolation } from "../../state/txn/index.ts";
import type { ObjectAction } from "../support/history/objects.ts";
import type { FinalLog } from "./final-log.ts";
import type { HistoryRecord } from "./log-history.ts";
import { brief, type LogTail, type Machine } from "./program.ts";
import { guestStream, type LogAnswer, nextAt, prevAt, tailAt } from "./replay-log.ts";
import { ReplayTransaction, textsOf } from "./replay-transaction.ts";

export class ReplayTrap extends Error {}

/** The instance was ended before its program was. */
export class StreamEnded extends Error {}

/** An action on objects, at its place in the log: its record, or the cursor of a read. */
export interface Done {
  readonly action: ObjectAction;
  readonly seqnum: number;
}

export class ReplayMachine implements Machine {
  readonly done: Done[] = [];
  /** Versions of objects that are its own. */
  readonly wrote = new Set<number>();
  #open: ReplayTransaction | null = null;
  readonly #log: FinalLog;
  readonly #instance: InstanceId;
  readonly #stream: readonly HistoryRecord[];
  #position = 1;
  #cursor: number;
  #timeMs: number;
  readonly #children: HistoryRecord[] = [];

  constructor(log: FinalLog, instance: InstanceId, initialCursor: number, timeMs: number) {
    this.#log = log;
    this.#instance = instance;
    this.#stream = log.stream(`i/${instance}`);
    this.#cursor = initialCursor;
    this.#timeMs = timeMs;
  }

  async read(key: string): Promise<string | null> {
    return this.#open === null ? this.#readPlain(key) : this.#readAtSnapshot(this.#open, key);
  }

  async #readAtSnapshot(transaction: ReplayTransaction, key: string): Promise<string | null> {
    const version = transaction.read(key);
    if (version === null) {
      return transaction.buffered.get(key) ?? null;
    }
    this.#see(version);
    const text = this.#log.text(version);
    this.done.push({ action: { kind: "read", key, value: brief(text) }, seqnum: transaction.snapshot });
    return text;
  }

  async #readPlain(key: string): Promise<string | null> {
    const version = this.#log.versionAt(key, this.#cursor);
    this.#see(version);
    const text = this.#log.text(version);
    this.done.push({ action: { kind: "read", key, value: brief(text) }, seqnum: this.#cursor });
    return text;
  }

  async put(key: string, text: string): Promise<void> {
    if (this.#open !== null) {
      this.#open.writes.set(key, text);
      return;
    }
    this.#write(key, text);
    this.done.push({ action: { kind: "write", key, value: brief(text) }, seqnum: this.#cursor });
  }

  #write(key: string, text: string): void {
    const record = this.#next(RecordKind.write, `o/${key}`);
    this.wrote.add(record.seqnum);
    const written = this.#log.text(record);
    if (written !== text) {
      throw new Error(`step ${this.#position - 1} of ${this.#instance} wrote ${written}, a replay writes ${text}`);
    }
  }

  async delete(key: string): Promise<void> {
    if (this.#open !== null) {
      this.#open.writes.set(key, null);
      return;
    }
    this.wrote.add(this.#next(RecordKind.delete, `o/${key}`).seqnum);
    this.done.push({ action: { kind: "write", key, value: null }, seqnum: this.#cursor });
  }

  async list(prefix: string): Promise<readonly string[]> {
    if (this.#open !== null) {
      return this.#open.list(prefix);
    }
    const keys = this.#log.keysAt(prefix, this.#cursor);
    this.done.push({ action: { kind: "list", keys }, seqnum: this.#cursor });
    return keys;
  }

  async update(key: string, change: (old: string | null) => string): Promise<string | null> {
    if (this.#open !== null) {
      const old = await this.read(key);
      this.#open.writes.set(key, change(old));
      return old;
    }
    for (;;) {
      const version = this.#log.versionAt(key, this.#cursor);
      this.#see(version);
      const old = this.#log.text(version);
      const next = this.#stream[this.#position];
      if (next?.kind === RecordKind.conflict) {
        this.#next(RecordKind.conflict);
        this.#seen(next.timeMs);
        continue;
      }
      const versions = this.#log.stream(`o/${key}`);
      const before = versions[versions.findIndex(({ seqnum }) => seqnum === next?.seqnum) - 1];
      this.#write(key, change(old));
      this.done.push({ action: { kind: "update", key, old, value: change(old) }, seqnum: this.#cursor });
      if (before !== version) {
        throw new Error(`F14: an update of ${key} by ${this.#instance} did not follow the version it had read`);
      }
      this.#seen(next?.timeMs ?? 0);
      return old;
    }
  }

  async callStart(input: string): Promise<number> {
    const record = this.#next(RecordKind.invoke);
    const asked = this.#log.bytes(initOf(record).input).toString();
    if (asked !== input) {
      throw new Error(`step ${this.#position - 1} of ${this.#instance} called with ${asked}, a replay with ${input}`);
    }
    this.#children.push(record);
    return this.#children.length - 1;
  }

  async callAwait(handle: number): Promise<{ returnValue: number; text: string }> {
    const end = this.#endOf(handle);
    this.#cursor = Math.max(this.#cursor, end.seqnum);
    this.#seen(end.timeMs);
    const { returnValue, trap, output, transaction } = doneOf(end);
    if (transaction !== null) {
      this.#open?.join(decodeEffects(this.#log.bytes(transaction)));
    }
    return { returnValue, text: trap === "" ? this.#log.bytes(output).toString() : trap };
  }

  async select(handles: readonly number[]): Promise<number> {
    const record = this.#next(RecordKind.select);
    const chosen = new ByteReader(decodeStep(record.data).payload).u32();
    if (this.#endOf(handles[chosen] ?? -1).seqnum > record.seqnum) {
      throw new Error(`F17: ${this.#instance} took call ${chosen} for the first to end at ${record.seqnum}, before its end`);
    }
    return chosen;
  }

  async cancel(handle: number): Promise<number> {
    this.#next(RecordKind.cancelCall);
    const end = this.#endOf(handle);
    this.#cursor = Math.max(this.#cursor, end.seqnum);
    this.#seen(end.timeMs);
    return end.kind === RecordKind.cancel ? 1 : 0;
  }

  async spawn(input: string, delayMs: number): Promise<string> {
    const record = this.#next(RecordKind.spawn);
    const init = initOf(record);
    if (this.#log.bytes(init.input).toString() !== input || (delayMs === 0) !== (init.notBeforeMs === 0)) {
      throw new Error(`step ${this.#position - 1} of ${this.#instance} spawned another call than ${input} after ${delayMs} ms`);
    }
    return record.tags[1]?.slice(2) ?? "";
  }

  #endOf(handle: number): HistoryRecord {
    const tag = this.#children[handle]?.tags[1] as Tag;
    const end = this.#log.stream(tag).at(-1);
    if (end === undefined || !endsInstance(end.kind)) {
      const next = this.#stream[this.#position];
      if (next !== undefined && endsInstance(next.kind)) {
        throw new StreamEnded();
      }
      throw new Error(`F17: ${this.#instance} went on without the end of ${tag}`);
    }
    return end;
  }

  async sleep(durationMs: number): Promise<void> {
    this.#seen(this.#next(RecordKind.sleep).timeMs + durationMs);
  }

  async begin(isolation: Isolation): Promise<void> {
    this.#open = new ReplayTransaction(this.#log, this.#next(RecordKind.begin).seqnum, isolation);
  }

  async commit(): Promise<string> {
    const transaction = this.#open;
    if (transaction === null || transaction.isEmpty) {
      this.#open = null;
      return "committed";
    }
    const next = this.#stream[this.#position];
    if (next?.kind === RecordKind.conflict) {
      this.#next(RecordKind.conflict);
      this.#seen(next.timeMs);
      await this.abort();
      const failed = Buffer.from(decodeStep(next.data).payload).toString();
      return failed === NAMES_TAG ? "list" : `object ${failed.slice(2)}`;
    }
    this.#open = null;
    const commit = this.#next(RecordKind.commit);
    this.#seen(commit.timeMs);
    for (const { seqnum } of transaction.committed(commit)) {
      this.wrote.add(seqnum);
    }
    for (const [key, text] of transaction.writes) {
      const old = transaction.isolation === "readAtomic" ? undefined : transaction.readBefore(key);
      const value = brief(text);
      const action =
        old === undefined ? { kind: "write" as const, key, value } : { kind: "update" as const, key, old: brief(old), value };
      this.done.push({ action, seqnum: commit.seqnum });
    }
    return "committed";
  }

  /** Leaves a record if there are locks to be released. */
  async abort(): Promise<void> {
    if ((this.#open?.locks.size ?? 0) > 0) {
      this.#next(RecordKind.abort);
    }
    this.#open = null;
  }

  async lock(name: string): Promise<number> {
    for (;;) {
      const token = await this.tryLock(name);
      if (token !== 0) {
        return token;
      }
    }
  }

  async tryLock(name: string): Promise<number> {
    const isConflict = this.#stream[this.#position]?.kind === RecordKind.conflict;
    const record = this.#next(isConflict ? RecordKind.conflict : RecordKind.lock);
    this.#seen(record.timeMs);
    if (!record.tags.includes(lockTag(name))) {
      return 0;
    }
    this.#open?.locks.add(name);
    const { token } = lockOf(record.data);
    return token === 0 ? record.seqnum : token;
  }

  async unlock(name: string): Promise<number> {
    this.#next(RecordKind.unlock, lockTag(name));
    return 0;
  }

  async append(stream: string, text: string, length?: number): Promise<string> {
    const next = this.#stream[this.#position];
    if (next?.kind === RecordKind.conflict) {
      this.#next(RecordKind.conflict);
      this.#seen(next.timeMs);
      // Of the CONFLICT's payload the seqnum of the record that stood in the way: as the guest does, it is looked up.
      const winner = new ByteReader(decodeStep(next.data).payload.subarray(3)).f64();
      const found = await this.logPrev(stream, winner);
      if (length === undefined || tailAt(this.#log, stream, next.seqnum).length <= length) {
        throw new Error(`F14: an append to ${stream} by ${this.#instance} was refused, and nothing stood in its way`);
      }
      return `conflict 0 ${found}`;
    }
    const record = this.#next(RecordKind.append, guestStream(stream));
    if (Buffer.from(decodeStep(record.data).payload).toString() !== text) {
      throw new Error(`step ${this.#position - 1} of ${this.#instance} appended something else than ${text}`);
    }
    if (length !== undefined && tailAt(this.#log, stream, record.seqnum).length !== length + 1) {
      throw new Error(`F14: an append to ${stream} by ${this.#instance} took another place than ${length}`);
    }
    this.#seen(record.timeMs);
    return `appended ${record.seqnum}`;
  }

  async logPrev(stream: string, max: number): Promise<string> {
    return max <= this.#cursor
      ? this.#found(prevAt(this.#log, stream, max, this.#cursor))
      : prevAt(this.#log, stream, max, this.#observe()).text;
  }

  async logNext(stream: string, min: number): Promise<string> {
    const before = min <= this.#cursor ? nextAt(this.#log, stream, min, this.#cursor) : null;
    return before !== null && before.text !== "none" ? this.#found(before) : nextAt(this.#log, stream, min, this.#observe()).text;
  }

  async logTail(stream: string): Promise<LogTail> {
    return tailAt(this.#log, stream, this.#observe());
  }

  async trim(stream: string, upTo: number): Promise<void> {
    const { tag, upTo: trimmed } = decodeTrim(this.#next(RecordKind.trim).data);
    if (tag !== guestStream(stream) || trimmed !== upTo) {
      throw new Error(`step ${this.#position - 1} of ${this.#instance} trims ${tag} to ${trimmed}, a replay to ${upTo}`);
    }
  }

  /** The position of the log that a read looked at. */
  #observe(): number {
    const record = this.#next(RecordKind.observe);
    this.#seen(record.timeMs);
    return new ByteReader(decodeStep(record.data).payload).f64();
  }

  #found({ text, record }: LogAnswer): string {
    this.#seen(record?.timeMs ?? 0);
    return text;
  }

  now(): number {
    return this.#timeMs;
  }

  trap(message: string): never {
    throw new ReplayTrap(message);
  }

  /** The function was called in a transaction of its caller. */
  inherit({ snapshot, isolation, writes }: InheritedTransaction): void {
    this.#open = new ReplayTransaction(this.#log, snapshot, isolation, textsOf(this.#log, writes));
  }

  /** What it has written in its caller's transaction. */
  get inheritedWrites(): ReadonlyMap<string, string | null> {
    return this.#open?.writes ?? new Map();
  }

  /** Only DONE may be left. */
  end(): void {
    const left = this.#stream.length - 1 - this.#position;
    if (left !== 0) {
      throw new Error(`${left} steps of ${this.#instance} were not done by a replay`);
    }
  }

  /** A version that is there has a time; a delete may have been collected, so it has none. */
  #see(version: HistoryRecord | undefined): void {
    this.#seen(version?.kind === RecordKind.write ? version.timeMs : 0);
  }

  #seen(timeMs: number): void {
    this.#timeMs = Math.max(this.#timeMs, timeMs);
  }

  #next(kind: RecordKind, tag?: string): HistoryRecord {
    const record = this.#stream[this.#position];
    if (record === undefined || endsInstance(record.kind)) {
      throw new StreamEnded(`the stream of ${this.#instance} ends before step ${this.#position}`);
    }
    if (record.kind !== kind || (tag !== undefined && record.tags[1] !== tag)) {
      const was = `kind ${record.kind} of ${record.tags[1]}`;
      throw new Error(`step ${this.#position} of ${this.#instance} is ${was}, a replay does kind ${kind} of ${tag}`);
    }
    this.#position += 1;
    this.#cursor = record.seqnum;
    // Whoever goes on after a long wait reads as of the RESUME (F25).
    for (let next = this.#stream[this.#position]; next?.kind === RecordKind.resume; next = this.#stream[this.#position]) {
      this.#position += 1;
      this.#cursor = next.seqnum;
    }
    return record;
  }
}
