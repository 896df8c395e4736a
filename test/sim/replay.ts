/**
 * Runs an instance against the final log alone: the oracle.
 *
 * It is written from the rules and shares nothing with the code it judges but the layouts of records: a step is the next record of
 * the stream and moves the cursor to it, a read is the last version at or below the cursor, a join moves the cursor to the child's
 * DONE. That the log is the truth is for the other checks (`verdict.ts`) to show.
 */

import { doneOf, type InstanceInit, initOf, type Payload } from "../../host/invocation/instance-record.ts";
import type { BlobName, InstanceId, Tag } from "../../state/ids.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import { decodeStep } from "../../state/logbook/step-record.ts";
import { decodeObjectValue } from "../../state/objects/index.ts";
import type { ObjectAction } from "../support/history/objects.ts";
import type { HistoryRecord } from "./log-history.ts";
import { brief, type Machine, type Program, runProgram } from "./program.ts";

/** The log's streams, by tag. */
export class FinalLog {
  readonly records: readonly HistoryRecord[];
  readonly #streams = new Map<string, HistoryRecord[]>();
  readonly #blobs: ReadonlyMap<BlobName, Uint8Array>;

  constructor(records: readonly HistoryRecord[], blobs: ReadonlyMap<BlobName, Uint8Array>) {
    this.records = records;
    this.#blobs = blobs;
    for (const record of records) {
      for (const tag of record.tags) {
        const stream = this.#streams.get(tag) ?? [];
        stream.push(record);
        this.#streams.set(tag, stream);
      }
    }
  }

  tags(prefix: string): string[] {
    return [...this.#streams.keys()].filter((tag) => tag.startsWith(prefix));
  }

  stream(tag: string): readonly HistoryRecord[] {
    return this.#streams.get(tag) ?? [];
  }

  versionAt(key: string, cursor: number): HistoryRecord | undefined {
    return this.stream(`o/${key}`).findLast(({ seqnum }) => seqnum <= cursor);
  }

  /** null for a delete and for nothing. */
  text(record: HistoryRecord | undefined): string | null {
    const value = record === undefined ? null : decodeObjectValue(record);
    return value === null ? null : this.bytes(value).toString();
  }

  bytes(payload: Payload): Buffer {
    const bytes = payload.kind === "inline" ? payload.bytes : this.#blobs.get(payload.ref.name);
    if (bytes === undefined) {
      throw new Error("F6: a record names a blob that never was");
    }
    return Buffer.from(bytes);
  }
}

/** The host gave the child up, as too many of its attempts were ended (F17). */
export const GIVEN_UP = "ended by the host";

export class ReplayTrap extends Error {}

/** An action on objects, at its place in the log: its record, or the cursor of a read. */
export interface Done {
  readonly action: ObjectAction;
  readonly seqnum: number;
}

export interface Replayed {
  readonly program: Program;
  readonly init: InstanceInit;
  /** What it did to objects, and what it saw. */
  readonly done: readonly Done[];
  readonly initialCursor: number;
  readonly output: string;
  readonly trap: string;
  /** Its DONE record. */
  readonly end: HistoryRecord;
  readonly givenUp: boolean;
}

/** @throws when the stream is not what the program does */
export async function replay(log: FinalLog, instance: InstanceId): Promise<Replayed> {
  const stream = log.stream(`i/${instance}`);
  const [first, second] = stream;
  const end = stream.at(-1);
  if (first === undefined || end === undefined || end.kind !== RecordKind.done) {
    throw new Error(`instance ${instance} has no DONE`);
  }
  const init = initOf(first);
  const isChild = first.kind === RecordKind.invoke;
  // A child begins at its Invoke record, behind neither its clock nor its caller's (F28, F35).
  const pins = isChild
    ? { initialCursor: first.seqnum, timeMs: Math.max(first.timeMs, init.startedMs) }
    : decodeStep((second ?? first).data).pins;
  if (pins === null) {
    throw new Error(`F13: the first step of instance ${instance} carries no pins`);
  }
  const program = JSON.parse(log.bytes(init.input).toString()) as Program;
  const machine = new ReplayMachine(log, instance, pins.initialCursor, pins.timeMs);
  const outcome = doneOf(end);
  const givenUp = outcome.trap.startsWith(GIVEN_UP);
  let output = "";
  let trap = "";
  try {
    output = await runProgram(machine, program);
  } catch (error) {
    if (error instanceof ReplayTrap) {
      trap = error.message;
    } else if (!givenUp || !(error instanceof StreamEnded)) {
      throw error;
    }
  }
  if (!givenUp) {
    machine.end();
    if (trap !== outcome.trap || output !== log.bytes(outcome.output).toString()) {
      throw new Error(
        `DONE of ${instance} is not what a replay gives: ${log.bytes(outcome.output)} ${outcome.trap}, replayed ${output} ${trap}`,
      );
    }
  }
  const result = { program, init, done: machine.done, initialCursor: pins.initialCursor, end, givenUp };
  return { ...result, output: log.bytes(outcome.output).toString(), trap: outcome.trap };
}

class StreamEnded extends Error {}

class ReplayMachine implements Machine {
  readonly done: Done[] = [];
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
    const version = this.#log.versionAt(key, this.#cursor);
    this.#see(version);
    const text = this.#log.text(version);
    this.done.push({ action: { kind: "read", key, value: brief(text) }, seqnum: this.#cursor });
    return text;
  }

  async put(key: string, text: string): Promise<void> {
    this.#write(key, text);
    this.done.push({ action: { kind: "write", key, value: brief(text) }, seqnum: this.#cursor });
  }

  #write(key: string, text: string): void {
    const record = this.#next(RecordKind.write, `o/${key}`);
    const written = this.#log.text(record);
    if (written !== text) {
      throw new Error(`step ${this.#position - 1} of ${this.#instance} wrote ${written}, a replay writes ${text}`);
    }
  }

  async delete(key: string): Promise<void> {
    this.#next(RecordKind.delete, `o/${key}`);
    this.done.push({ action: { kind: "write", key, value: null }, seqnum: this.#cursor });
  }

  async list(prefix: string): Promise<readonly string[]> {
    const all = this.#log.tags(`o/${prefix}`).map((tag) => tag.slice(2));
    const keys = all.filter((key) => this.#log.text(this.#log.versionAt(key, this.#cursor)) !== null).sort();
    this.done.push({ action: { kind: "list", keys }, seqnum: this.#cursor });
    return keys;
  }

  async update(key: string, change: (old: string | null) => string): Promise<string | null> {
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
    const tag = this.#children[handle]?.tags[1] as Tag;
    const done = this.#log.stream(tag).at(-1);
    if (done === undefined || done.kind !== RecordKind.done) {
      if (this.#stream[this.#position]?.kind === RecordKind.done) {
        throw new StreamEnded();
      }
      throw new Error(`F17: ${this.#instance} went on without the DONE of ${tag}`);
    }
    this.#cursor = Math.max(this.#cursor, done.seqnum);
    this.#seen(done.timeMs);
    const { returnValue, trap, output } = doneOf(done);
    return { returnValue, text: trap === "" ? this.#log.bytes(output).toString() : trap };
  }

  async sleep(durationMs: number): Promise<void> {
    this.#seen(this.#next(RecordKind.sleep).timeMs + durationMs);
  }

  now(): number {
    return this.#timeMs;
  }

  trap(message: string): never {
    throw new ReplayTrap(message);
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
    if (record === undefined || record.kind === RecordKind.done) {
      throw new StreamEnded(`the stream of ${this.#instance} ends before step ${this.#position}`);
    }
    if (record.kind !== kind || (tag !== undefined && record.tags[1] !== tag)) {
      const was = `kind ${record.kind} of ${record.tags[1]}`;
      throw new Error(`step ${this.#position} of ${this.#instance} is ${was}, a replay does kind ${kind} of ${tag}`);
    }
    this.#position += 1;
    this.#cursor = record.seqnum;
    return record;
  }
}

/**
 * What a program that only reads did if it gives this output at this moment; null when it does not. Its clock is not known, so it is
 * not compared.
 */
export async function replaySnapshot(
  log: FinalLog,
  program: Program,
  cursor: number,
  output: string,
): Promise<readonly Done[] | null> {
  const machine = new ReplayMachine(log, "" as InstanceId, cursor, 0);
  const timeless = (text: string): string =>
    JSON.stringify((JSON.parse(text) as unknown[]).map((saw, index) => (program.steps[index]?.op === "now" ? null : saw)));
  return timeless(await runProgram(machine, program)) === timeless(output) ? machine.done : null;
}
