/** Everything the journal has ever ordered, as an observer beside the disk sees it. */

import type { InstanceId, LogBookId, SeqNum } from "../../state/ids.ts";
import type { Journal, JournalFrame } from "../../state/journal/index.ts";
import type { LogRecord } from "../../state/logbook/index.ts";
import { readFrame } from "../../state/logbook/record-codec.ts";

export interface HistoryRecord extends LogRecord {
  /** "" for the records of the shard itself. */
  readonly book: LogBookId | "";
}

interface SeenFrame {
  readonly address: number;
  readonly payload: Buffer;
  isDurable: boolean;
}

export class LogHistory {
  /** Frames in order; only the last one may be undurable. */
  readonly #frames: SeenFrame[] = [];
  /** Every record of a durable frame is at or below it. */
  durable = 0;

  /** A journal that this history watches as long as its process lives. @throws when an opening has lost or changed a frame that was durable (J2) */
  watch(journal: Journal, process: { readonly alive: boolean }): Journal {
    const found = [...journal.frames()].map(({ address, payload }) => ({ address, payload: Buffer.from(payload) }));
    this.#compare(found);
    this.#frames.splice(0, this.#frames.length, ...found.map((frame) => ({ ...frame, isDurable: true })));
    this.#count();
    return new WatchedJournal(journal, found, this, process);
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
    this.#count();
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

  #compare(found: readonly { address: number; payload: Buffer }[]): void {
    for (const [index, { address, payload, isDurable }] of this.#frames.entries()) {
      const now = found[index];
      if (now === undefined || now.address !== address || !now.payload.equals(payload)) {
        if (isDurable) {
          throw new Error(
            `J2: durable frame ${index} at ${address} is ${now === undefined ? "lost" : "changed"} after a restart`,
          );
        }
        return;
      }
    }
    if (found.length > this.#frames.length && this.#frames.length > 0) {
      throw new Error(`J1: the journal has ${found.length} frames, ${this.#frames.length} were written`);
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
  readonly #found: readonly JournalFrame[];
  readonly #history: LogHistory;
  readonly #process: { readonly alive: boolean };

  constructor(journal: Journal, found: readonly JournalFrame[], history: LogHistory, process: { readonly alive: boolean }) {
    this.#journal = journal;
    this.#found = found;
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

  frames(): Iterable<JournalFrame> {
    return this.#found;
  }

  hasRoom(sizeBytes: number, reserved: boolean): boolean {
    return this.#journal.hasRoom(sizeBytes, reserved);
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

  close(): Promise<void> {
    return this.#journal.close();
  }
}

function visit(payload: Buffer, take: (record: HistoryRecord) => void): void {
  readFrame(payload, ({ book, kind, tags, timeMs, data }, seqnum: SeqNum) => take({ book, kind, tags, timeMs, data, seqnum }));
}
