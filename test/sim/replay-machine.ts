/** What each operation does and sees, by what the rules say of the log. */
import { doneOf, initOf } from "../../host/invocation/instance-record.ts";
import { ByteReader } from "../../state/bytes.ts";
import type { Tag } from "../../state/ids.ts";
import { endsInstance, RecordKind } from "../../state/logbook/index.ts";
import { lockOf } from "../../state/logbook/lock-record.ts";
import type { Mode } from "../../state/logbook/modes.ts";
import { decodeStep } from "../../state/logbook/step-record.ts";
import { decodeTrim } from "../../state/logbook/trim.ts";
import { HOLD_TAG_PREFIX, lockTag, NAMES_TAG } from "../../state/tags.ts";
import { decodeEffects, decodeInherited, type InheritedTransaction, type Isolation } from "../../state/txn/index.ts";
import type { FinalLog } from "./final-log.ts";
import type { HistoryRecord } from "./log-history.ts";
import { brief, type LogTail, type Looked, type Machine, type Program } from "./machine.ts";
import { runProgram } from "./program.ts";
import { guestStream, type LogAnswer, nextAt, prevAt, tailAt } from "./replay-log.ts";
import { type Done, ReplayObjects } from "./replay-objects.ts";
import { type ReplayStream, StreamEnded } from "./replay-stream.ts";
import { ReplayTransaction, textsOf } from "./replay-transaction.ts";

export class ReplayTrap extends Error {}

export class ReplayMachine implements Machine {
  readonly looked: Looked[] = [];
  readonly #objects: ReplayObjects;
  readonly #told: () => Looked;
  #open: ReplayTransaction | null = null;
  readonly #log: FinalLog;
  readonly #stream: ReplayStream;
  readonly #children: HistoryRecord[] = [];

  /** @param told  what the guest says that it has read, one after the other; empty when it has not come to say it */
  constructor(log: FinalLog, stream: ReplayStream, protocol: Mode | null, told: readonly Looked[]) {
    this.#log = log;
    this.#stream = stream;
    this.#told = () => told[this.looked.length];
    this.#objects = new ReplayObjects(log, stream, protocol, this.#told);
  }

  get done(): readonly Done[] {
    return this.#objects.done;
  }

  /** Versions of objects that are its own. */
  get wrote(): ReadonlySet<number> {
    return this.#objects.wrote;
  }

  /** Objects that it has updated from what nobody knows, or may yet have written when it was over. */
  get vague(): ReadonlySet<string> {
    return this.#objects.vague;
  }

  async read(key: string): Promise<string | null> {
    const text = this.#open === null ? this.#objects.read(key) : this.#readAtSnapshot(this.#open, key);
    this.looked.push(brief(text));
    return text;
  }

  #readAtSnapshot(transaction: ReplayTransaction, key: string): string | null {
    const version = transaction.read(key);
    if (version === null) {
      return transaction.buffered.get(key) ?? null;
    }
    this.#objects.readInside(key, version);
    const text = this.#log.text(version);
    this.#objects.add({ kind: "read", key, value: brief(text) }, transaction.snapshot);
    return text;
  }

  async put(key: string, text: string): Promise<void> {
    this.#put(key, text);
  }

  async delete(key: string): Promise<void> {
    this.#put(key, null);
  }

  #put(key: string, text: string | null): void {
    if (this.#open === null) {
      this.#objects.write(key, text);
    } else {
      this.#open.writes.set(key, text);
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    if (this.#open !== null) {
      this.#objects.listInside(prefix, this.#log.keysAt(prefix, this.#open.snapshot));
    }
    const keys = this.#open === null ? this.#objects.list(prefix) : this.#open.list(prefix);
    this.looked.push(keys);
    return keys;
  }

  async update(key: string, change: (old: string | null) => string): Promise<string | null> {
    if (this.#open !== null) {
      const old = await this.read(key);
      this.#open.writes.set(key, change(old));
      return old;
    }
    const old = this.#objects.update(key, change);
    this.looked.push(brief(old));
    return old;
  }

  async callStart(program: Program, bound = false): Promise<number> {
    const record = this.#stream.next(RecordKind.invoke);
    this.#demandCalled(record, program);
    if (initOf(record).bound !== bound) {
      throw new Error(`F40: the call at ${record.seqnum} of ${this.#stream.instance} is bound or not, against what was asked`);
    }
    this.#children.push(record);
    if (this.#open !== null) {
      this.#open.openCalls += 1;
    }
    return this.#children.length - 1;
  }

  #demandCalled(record: HistoryRecord, program: Program): void {
    const init = initOf(record);
    const asked = this.#log.bytes(init.input).toString();
    if (asked !== JSON.stringify(program) || init.functionName !== program.functionName) {
      throw new Error(
        `the step at ${record.seqnum} of ${this.#stream.instance} called with ${asked}, a replay with ${program.id}`,
      );
    }
  }

  async callAwait(handle: number): Promise<{ returnValue: number; text: string }> {
    const end = this.#endOf(handle);
    this.#stream.join(end);
    const { returnValue, trap, output, transaction } = doneOf(end);
    if (this.#open !== null && this.#wasGiven(this.#open, handle)) {
      this.#open.openCalls -= 1;
      if (transaction === null) {
        this.#open.hasLost = true;
      } else {
        this.#open.join(decodeEffects(this.#log.bytes(transaction)));
      }
    }
    return { returnValue, text: trap === "" ? this.#log.bytes(output).toString() : trap };
  }

  /** Whether the call was started in the transaction. */
  #wasGiven({ snapshot }: ReplayTransaction, handle: number): boolean {
    const { transaction } = initOf(this.#children[handle] as HistoryRecord);
    return transaction !== null && decodeInherited(this.#log.bytes(transaction)).snapshot === snapshot;
  }

  async select(handles: readonly number[]): Promise<number> {
    const record = this.#stream.next(RecordKind.select);
    const chosen = new ByteReader(decodeStep(record.data).payload).u32();
    if (this.#endOf(handles[chosen] ?? -1).seqnum > record.seqnum) {
      const { instance } = this.#stream;
      throw new Error(`F17: ${instance} took call ${chosen} for the first to end at ${record.seqnum}, before its end`);
    }
    return chosen;
  }

  async cancel(handle: number): Promise<number> {
    this.#stream.next(RecordKind.cancelCall);
    const end = this.#endOf(handle);
    this.#stream.join(end);
    return end.kind === RecordKind.cancel ? 1 : 0;
  }

  async spawn(program: Program, delayMs: number): Promise<string> {
    const record = this.#stream.next(RecordKind.spawn);
    this.#demandCalled(record, program);
    if ((delayMs === 0) !== (initOf(record).notBeforeMs === 0)) {
      throw new Error(`the step at ${record.seqnum} of ${this.#stream.instance} has another delay than ${delayMs} ms`);
    }
    return record.tags[1]?.slice(2) ?? "";
  }

  #endOf(handle: number): HistoryRecord {
    const tag = this.#children[handle]?.tags[1] as Tag;
    const end = this.#log.stream(tag).at(-1);
    const next = this.#stream.peek;
    if (next?.kind === RecordKind.cancel && end !== undefined && end.seqnum > next.seqnum) {
      // Whether an attempt still heard of it shows nowhere.
      throw new StreamEnded();
    }
    if (end === undefined || !endsInstance(end.kind)) {
      if (next !== undefined && endsInstance(next.kind)) {
        throw new StreamEnded();
      }
      throw new Error(`F17: ${this.#stream.instance} went on without the end of ${tag}`);
    }
    return end;
  }

  /** As if it were part of the program: what it did must not depend on the place (F21). */
  async part(program: Program): Promise<unknown> {
    const [all] = JSON.parse(await runProgram(this, program)) as [unknown];
    return all;
  }

  async sleep(durationMs: number): Promise<void> {
    this.#stream.seen(this.#stream.next(RecordKind.sleep).timeMs + durationMs);
  }

  async outside(): Promise<string> {
    this.#stream.next(RecordKind.outside);
    const done = this.#stream.next(RecordKind.outsideDone);
    this.#stream.seen(done.timeMs);
    const r = new ByteReader(decodeStep(done.data).payload);
    const status = r.i32();
    const head = r.text();
    r.u8();
    return `${status < 0 ? head : status} ${Buffer.from(r.bytes())}`;
  }

  async sync(): Promise<void> {
    this.#stream.next(RecordKind.sync);
  }

  async fence(): Promise<void> {
    this.#stream.next(RecordKind.fence);
  }

  async begin(isolation: Isolation): Promise<void> {
    this.#open = new ReplayTransaction(this.#log, this.#stream.next(RecordKind.begin).seqnum, isolation);
  }

  async commit(): Promise<string> {
    const transaction = this.#open;
    if (transaction === null || transaction.isEmpty) {
      this.#open = null;
      return "committed";
    }
    const next = this.#stream.peek;
    if (next?.kind === RecordKind.conflict) {
      this.#stream.next(RecordKind.conflict);
      this.#stream.seen(next.timeMs);
      await this.abort();
      const failed = Buffer.from(decodeStep(next.data).payload).toString();
      if (failed.startsWith(HOLD_TAG_PREFIX)) {
        return `lock ${failed.slice(HOLD_TAG_PREFIX.length)}`;
      }
      return failed === NAMES_TAG ? "list" : `object ${failed.slice(2)}`;
    }
    this.#open = null;
    const commit = this.#stream.next(RecordKind.commit);
    this.#stream.seen(commit.timeMs);
    for (const { seqnum } of transaction.committed(commit)) {
      this.#objects.wrote.add(seqnum);
    }
    for (const [key, text] of transaction.writes) {
      const old = transaction.isolation === "readAtomic" ? undefined : transaction.readBefore(key);
      const value = brief(text);
      const action =
        old === undefined ? { kind: "write" as const, key, value } : { kind: "update" as const, key, old: brief(old), value };
      this.#objects.add(action, commit.seqnum);
    }
    return "committed";
  }

  /** Leaves a record if there are locks to be released. */
  async abort(): Promise<void> {
    if (this.#open?.mayHoldLocks === true) {
      this.#stream.next(RecordKind.abort);
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
    const isConflict = this.#stream.peek?.kind === RecordKind.conflict;
    const record = this.#stream.next(isConflict ? RecordKind.conflict : RecordKind.lock);
    this.#stream.seen(record.timeMs);
    if (!record.tags.includes(lockTag(name))) {
      return 0;
    }
    const { token } = lockOf(record.data);
    const held = token === 0 ? record.seqnum : token;
    this.#open?.locks.set(name, this.#open.locks.get(name) ?? held);
    return held;
  }

  async unlock(name: string): Promise<number> {
    this.#stream.next(RecordKind.unlock, lockTag(name));
    return 0;
  }

  async append(stream: string, text: string, length?: number): Promise<string> {
    const { instance, peek: next } = this.#stream;
    if (next?.kind === RecordKind.conflict) {
      this.#stream.next(RecordKind.conflict);
      this.#stream.seen(next.timeMs);
      // Of the CONFLICT's payload the seqnum of the record that stood in the way: as the guest does, it is looked up.
      const winner = new ByteReader(decodeStep(next.data).payload.subarray(3)).f64();
      const found = await this.logPrev(stream, winner);
      if (length === undefined || tailAt(this.#log, stream, next.seqnum).length <= length) {
        throw new Error(`F14: an append to ${stream} by ${instance} was refused, and nothing stood in its way`);
      }
      return `conflict 0 ${found}`;
    }
    const record = this.#stream.next(RecordKind.append, guestStream(stream));
    if (Buffer.from(decodeStep(record.data).payload).toString() !== text) {
      throw new Error(`the step at ${record.seqnum} of ${instance} appended something else than ${text}`);
    }
    if (length !== undefined && tailAt(this.#log, stream, record.seqnum).length !== length + 1) {
      throw new Error(`F14: an append to ${stream} by ${instance} took another place than ${length}`);
    }
    this.#stream.seen(record.timeMs);
    return `appended ${record.seqnum}`;
  }

  async logPrev(stream: string, max: number): Promise<string> {
    const { cursor } = this.#stream;
    return max <= cursor
      ? this.#found(prevAt(this.#log, stream, max, cursor))
      : prevAt(this.#log, stream, max, this.#observe()).text;
  }

  async logNext(stream: string, min: number): Promise<string> {
    const { cursor } = this.#stream;
    const before = min <= cursor ? nextAt(this.#log, stream, min, cursor) : null;
    return before !== null && before.text !== "none" ? this.#found(before) : nextAt(this.#log, stream, min, this.#observe()).text;
  }

  /** What it waited for is in what it looked at, or it waited in vain. */
  logAwait(stream: string, min: number, _timeoutMs: number): Promise<string> {
    return this.logNext(stream, min);
  }

  async logTail(stream: string): Promise<LogTail> {
    return tailAt(this.#log, stream, this.#observe());
  }

  async trim(stream: string, upTo: number): Promise<void> {
    const record = this.#stream.next(RecordKind.trim);
    const { tag, upTo: trimmed } = decodeTrim(record.data);
    if (tag !== guestStream(stream) || trimmed !== upTo) {
      const { instance } = this.#stream;
      throw new Error(`the step at ${record.seqnum} of ${instance} trims ${tag} to ${trimmed}, a replay to ${upTo}`);
    }
  }

  /** The position of the log that a read looked at. */
  #observe(): number {
    const record = this.#stream.next(RecordKind.observe);
    this.#stream.seen(record.timeMs);
    return new ByteReader(decodeStep(record.data).payload).f64();
  }

  #found({ text, record }: LogAnswer): string {
    this.#stream.seen(record?.timeMs ?? 0);
    return text;
  }

  now(): number {
    const { timeMs } = this.#stream;
    const told = this.#told();
    const isKnown = this.#stream.origin.hasClock && !this.done.some(({ way }) => way === "unsafe");
    const now = isKnown || typeof told !== "string" ? timeMs : Number(told);
    if (now < timeMs) {
      throw new Error(`F35: the clock of ${this.#stream.instance} was ${now}, behind ${timeMs}, which it had seen`);
    }
    this.looked.push(`${now}`);
    return now;
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
}
