/** What has happened in a run: a simulation that never does something says nothing about it. */
import { initOf } from "../../host/invocation/instance-record.ts";
import { decodeCollection } from "../../state/logbook/collection.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import { kindName } from "../../state/logbook/kinds.ts";
import type { FinalLog, Way } from "./final-log.ts";
import type { HistoryRecord } from "./log-history.ts";
import type { Program } from "./machine.ts";

/** So often each of them has happened, by its name. */
export type Counts = Readonly<Record<string, number>>;

/** What the seeds of `npm test` must have shown, besides a record of each kind that a host can write, and every way to treat a scope. */
export const REQUIRED: readonly string[] = [
  "guest: resumed when its call had ended",
  "guest: resumed when its call was collected",
  "peace: began with calls unfinished",
  "peace: began with a switch under way",
  "peace: resumed a parked call",
  "second attempt",
  "flipped bit: refused",
  "part: run at the owner",
  "part: run at its caller",
  "outside: arrived again",
  "transaction: wrote a cell",
  "transaction: read what a cell had held before",
];

export class Coverage {
  readonly #counts = new Map<string, number>();

  add(name: string, times = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + times);
  }

  /** By the final log, and what the oracle says that instances did. */
  addLog(log: FinalLog, ways: Iterable<Way>): void {
    for (const record of log.records) {
      this.add(`record: ${kindName(record.kind)}`);
      if (record.cell !== undefined && log.isCommitted(record)) {
        this.add("transaction: wrote a cell");
      }
    }
    this.add("transaction: read what a cell had held before", log.readBefore);
    for (const way of ways) {
      this.add(`objects: ${way}`);
    }
  }

  get counts(): Counts {
    return Object.fromEntries(this.#counts);
  }
}

interface Call {
  /** The step stream of the call at the top of its chain. */
  readonly root: string;
  /** Somebody may still ask for the result of that (G2 in gc.ts). */
  readonly isRetained: boolean;
}

/** Which calls are over, as the disk has it. */
export class Ends {
  /** Step streams by the ids of programs. */
  readonly #streams = new Map<string, string>();
  readonly #calls = new Map<string, Call>();
  /** Read when somebody asks: where nobody does the records need not be those of programs. */
  readonly #begun: { readonly record: HistoryRecord; readonly stream: string }[] = [];
  readonly #done = new Map<string, number>();
  #floor = 0;

  clear(): void {
    this.#streams.clear();
    this.#calls.clear();
    this.#begun.length = 0;
    this.#done.clear();
    this.#floor = 0;
  }

  take(record: HistoryRecord): void {
    const { kind, tags, data, seqnum } = record;
    const [own = "", second = ""] = tags;
    switch (kind) {
      case RecordKind.init:
      case RecordKind.delayed:
        this.#begin(record, own, { root: own, isRetained: tags.length > 1 });
        return;
      case RecordKind.invoke:
        this.#begin(record, second, this.#calls.get(own) ?? { root: own, isRetained: true });
        return;
      case RecordKind.spawn:
        this.#begin(record, second, { root: second, isRetained: true });
        return;
      case RecordKind.done:
      case RecordKind.cancel:
        this.#done.set(own, seqnum);
        return;
      case RecordKind.gc:
        this.#floor = Math.max(this.#floor, decodeCollection(data).watermark);
    }
  }

  /** What has become of the call that runs a program. */
  of({ id }: Program): "running" | "ended" | "collected" {
    this.#name();
    const stream = this.#streams.get(id) ?? "";
    const call = this.#calls.get(stream);
    if (call === undefined || !this.#done.has(stream)) {
      return "running";
    }
    const done = Math.max(this.#done.get(stream) ?? 0, this.#done.get(call.root) ?? Number.POSITIVE_INFINITY);
    return !call.isRetained && done < this.#floor ? "collected" : "ended";
  }

  #begin(record: HistoryRecord, stream: string, call: Call): void {
    this.#calls.set(stream, call);
    this.#begun.push({ record, stream });
  }

  #name(): void {
    for (const { record, stream } of this.#begun.splice(0)) {
      const { input } = initOf(record);
      if (input.kind === "inline") {
        const { id } = JSON.parse(Buffer.from(input.bytes).toString()) as Program;
        this.#streams.set(id, stream);
      }
    }
  }
}
