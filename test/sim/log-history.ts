/** Everything the journal has ever ordered, as an observer beside the disk sees it. */

import type { InstanceId, LogBookId, SeqNum } from "../../state/ids.ts";
import type { Journal, JournalFrame, JournalPosition } from "../../state/journal/index.ts";
import type { CellEntry, LogRecord } from "../../state/logbook/logbook.ts";
import { readFrame } from "../../state/logbook/record-codec.ts";
import type { Ends } from "./coverage.ts";

export interface HistoryRecord extends LogRecord {
  /** "" for the records of the shard itself. */
  readonly book: LogBookId | "";
  /** It is the newest value of this cell, with this version. */
  readonly cell?: CellEntry;
}

interface SeenFrame {
  readonly address: number;
  readonly payload: Buffer;
  isDurable: boolean;
}

export class LogHistory {
  /** Frames in order; only the last one may be undurable. */
  readonly #frames: SeenFrame[] = [];
  /** null where records are not those of programs. */
  readonly ends: Ends | null;
  /** Every record of a durable frame is at or below it. */
  durable = 0;

  constructor(ends: Ends | null) {
    this.ends = ends;
  }

  /**
   * A journal that this history watches as long as its process lives.
   *
   * @param from  where a checkpoint ends: the frames before it may be released
   * @throws when an opening has lost or changed a frame that was durable (J2)
   */
  watch(journal: Journal, process: { readonly alive: boolean }, from?: JournalPosition): Journal {
    const saved = this.#frames.filter(({ address }) => address < (from?.address ?? 0));
    if (saved.some(({ isDurable }) => !isDurable)) {
      throw new Error("K1: a checkpoint holds a frame that is not durable");
    }
    const found = Array.from(journal.frames(from), ({ address, payload }) => ({
      address,
      payload: Buffer.from(payload),
      isDurable: true,
    }));
    this.#compare(this.#frames.slice(saved.length), found);
    this.#frames.splice(saved.length, this.#frames.length, ...found);
    this.ends?.clear();
    for (const record of this.records()) {
      this.ends?.take(record);
    }
    this.#count();
    return new WatchedJournal(journal, this, process);
  }

  ordered(address: number, payload: Uint8Array): void {
    this.#frames.push({ address, payload: Buffer.from(payload), isDurable: false });
  }

  landed(): void {
    const last = this.#frames.at(-1);
    if (last === undefined || last.isDurable) {
      throw new Error("J3: a frame became durable that was not in flight");
    }
    last.isDurable = true;
    visit(last.payload, (record) => this.ends?.take(record));
    this.#count();
  }

  /** Payloads of all frames, newest first. */
  *newest(): Iterable<Buffer> {
    for (let i = this.#frames.length - 1; i >= 0; i -= 1) {
      yield (this.#frames[i] as SeenFrame).payload;
    }
  }

  /** The records of all durable frames. */
  records(): HistoryRecord[] {
    const records: HistoryRecord[] = [];
    for (const frame of this.#frames) {
      if (frame.isDurable) {
        visit(frame.payload, (record) => records.push(record));
      }
    }
    return records;
  }

  /** The durable step stream of an instance. */
  stream(instance: InstanceId): HistoryRecord[] {
    return this.records().filter(({ tags }) => tags.includes(`i/${instance}` as (typeof tags)[number]));
  }

  #compare(seen: readonly SeenFrame[], found: readonly SeenFrame[]): void {
    for (const [index, { address, payload, isDurable }] of seen.entries()) {
      const now = found[index];
      if (now === undefined || now.address !== address || !now.payload.equals(payload)) {
        if (isDurable) {
          throw new Error(`J2: the durable frame at ${address} is ${now === undefined ? "lost" : "changed"} after a restart`);
        }
        return;
      }
    }
    if (found.length > seen.length && this.#frames.length > 0) {
      throw new Error(`J1: the journal has ${found.length} frames, ${seen.length} were written`);
    }
  }

  #count(): void {
    const last = this.#frames.findLast(({ isDurable }) => isDurable);
    this.durable = 0;
    if (last !== undefined) {
      visit(last.payload, ({ seqnum }) => {
        this.durable = seqnum;
      });
    }
  }
}

class WatchedJournal implements Journal {
  onDurable: () => void = () => {};
  readonly #journal: Journal;
  readonly #history: LogHistory;
  readonly #process: { readonly alive: boolean };

  constructor(journal: Journal, history: LogHistory, process: { readonly alive: boolean }) {
    this.#journal = journal;
    this.#history = history;
    this.#process = process;
    journal.onDurable = () => {
      if (process.alive) {
        history.landed();
      }
      this.onDurable();
    };
  }

  get id(): string {
    return this.#journal.id;
  }

  get epoch(): number {
    return this.#journal.epoch;
  }

  get idle(): boolean {
    return this.#journal.idle;
  }

  get start(): number {
    return this.#journal.start;
  }

  get durable(): JournalPosition {
    return this.#journal.durable;
  }

  frames(from?: JournalPosition, to?: JournalPosition): Iterable<JournalFrame> {
    return this.#journal.frames(from, to);
  }

  get frameMaxBytes(): number {
    return this.#journal.frameMaxBytes;
  }

  hasRoom(payloads: readonly number[], reserved: boolean): boolean {
    return this.#journal.hasRoom(payloads, reserved);
  }

  makeRoom(): Promise<boolean> {
    return this.#journal.makeRoom();
  }

  append(payload: Uint8Array): number {
    const address = this.#journal.append(payload);
    if (this.#process.alive) {
      this.#history.ordered(address, payload);
    }
    return address;
  }

  read(address: number, sizeBytes: number): Uint8Array {
    return this.#journal.read(address, sizeBytes);
  }

  release(before: number): void {
    this.#journal.release(before);
  }

  close(): Promise<void> {
    return this.#journal.close();
  }
}

function visit(payload: Buffer, take: (record: HistoryRecord) => void): void {
  readFrame(payload, ({ book, kind, tags, timeMs, data, cell }, seqnum: SeqNum) =>
    take({ book, kind, tags, timeMs, data, seqnum, ...(cell !== undefined && { cell }) }),
  );
}
