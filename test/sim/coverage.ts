/** What has happened in a run: a simulation that never does something says nothing about it. */
import { initOf } from "../../host/invocation/instance-record.ts";
import { decodeCollection } from "../../state/logbook/collection.ts";
import { RecordKind } from "../../state/logbook/index.ts";
import { kindName } from "../../state/logbook/kinds.ts";
import type { Way } from "./final-log.ts";
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
];

export class Coverage {
  readonly #counts = new Map<string, number>();

  add(name: string, times = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + times);
  }

  /** By the final log, and what the oracle says that instances did. */
  addLog(records: readonly HistoryRecord[], ways: Iterable<Way>): void {
    for (const { kind } of records) {
      this.add(`record: ${kindName(kind)}`);
    }
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
  readonly #done = new Map<string, number>();
  #floor = 0;

  clear(): void {
    this.#streams.clear();
    this.#calls.clear();
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
    const stream = this.#streams.get(id) ?? "";
    const call = this.#calls.get(stream);
    if (call === undefined || !this.#done.has(stream)) {
      return "running";
    }
    const done = Math.max(this.#done.get(stream) ?? 0, this.#done.get(call.root) ?? Number.POSITIVE_INFINITY);
    return !call.isRetained && done < this.#floor ? "collected" : "ended";
  }

  #begin(record: HistoryRecord, stream: string, call: Call): void {
    const { input } = initOf(record);
    if (input.kind === "inline") {
      const { id } = JSON.parse(Buffer.from(input.bytes).toString()) as Program;
      this.#streams.set(id, stream);
      this.#calls.set(stream, call);
    }
  }
}
