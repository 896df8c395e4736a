import { type LogBookId, type SeqNum, seqNum, type Tag } from "../ids.ts";
import type {
  AppendRequest,
  AppendResult,
  CellOutcome,
  CellRead,
  CellWrite,
  ListedObject,
  LogBook,
  LogRecord,
  ModeAt,
  ReadResult,
  StreamRead,
  Turn,
} from "../logbook/logbook.ts";
import type { KnownModes } from "./known-modes.ts";
import { appendToWire, cellWriteToWire, keyToWire, recordFromWire, resultFromWire, tagToWire } from "./record-wire.ts";
import type { RemoteShard } from "./remote-shard.ts";
import * as methods from "./shard-methods.ts";

/**
 * A LogBook of another node. An append that rejects with OWNER_UNAVAILABLE may have been ordered, at most once: its conditions or
 * the log tell (F20, "reload").
 */
export class RemoteLogBook implements LogBook {
  readonly id: LogBookId;
  readonly #shard: RemoteShard;
  readonly #modes: KnownModes;

  constructor(id: LogBookId, shard: RemoteShard) {
    this.id = id;
    this.#shard = shard;
    this.#modes = shard.modes(id);
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    const [records, when] = appendToWire(request);
    return resultFromWire(await this.#shard.request(methods.append, [this.id, records, when]));
  }

  async readPrev(tag: Tag, max: SeqNum): Promise<ReadResult> {
    const [record, tail, modes] = await this.#shard.request(methods.readPrev, [this.id, tagToWire(tag), max]);
    this.#modes.learn(seqNum(tail), seqNum(modes));
    return { record: record === null ? null : recordFromWire(record), tail: seqNum(tail), modes: seqNum(modes) };
  }

  /** Long streams come in pages; the length is that of the last page, and every position below it is there. */
  async readStream(tag: Tag, from: number): Promise<StreamRead> {
    const name = tagToWire(tag);
    const records: LogRecord[] = [];
    for (;;) {
      const [page, length, closed, tail] = await this.#shard.request(methods.readStream, [this.id, name, from + records.length]);
      records.push(...page.map(recordFromWire));
      if (page.length === 0 || from + records.length >= length) {
        return { records, length, closed, tail: seqNum(tail) };
      }
    }
  }

  /** Long lists come in pages; with MAX_SEQNUM each page is as of its own moment, and `tail` as of the last. */
  async listObjects(
    prefix: string,
    after: string,
    cursor: SeqNum,
    limit: number,
  ): Promise<{ objects: readonly ListedObject[]; tail: SeqNum }> {
    const objects: ListedObject[] = [];
    for (;;) {
      const wanted = Math.min(limit - objects.length, methods.PAGE_ENTRIES);
      const last = objects.at(-1)?.key ?? keyToWire(after);
      const [page, tail] = await this.#shard.request(methods.listObjects, [this.id, keyToWire(prefix), last, cursor, wanted]);
      for (const [key, sizeBytes, seqnum, home] of page) {
        objects.push({ key, sizeBytes, seqnum: seqNum(seqnum), home });
      }
      if (page.length < wanted || objects.length >= limit) {
        return { objects, tail: seqNum(tail) };
      }
    }
  }

  async readCell(key: string, initialCursor: SeqNum): Promise<CellRead> {
    const [record, home, tail] = await this.#shard.request(methods.readCell, [this.id, keyToWire(key), initialCursor]);
    return { record: record === null ? null : recordFromWire(record), home, tail: seqNum(tail) };
  }

  async writeCell(write: CellWrite): Promise<CellOutcome> {
    const [kind, seqnum] = await this.#shard.request(methods.writeCell, [this.id, cellWriteToWire(write)]);
    return kind === "stale" ? { kind, floor: seqNum(seqnum) } : { kind, seqnum: seqNum(seqnum) };
  }

  async modeAt(scope: string, cursor: SeqNum): Promise<ModeAt> {
    const known = this.#modes.at(scope, cursor);
    if (known !== undefined) {
      return known;
    }
    const [mode, to, defaultMode, seqnum, modes] = await this.#shard.request(methods.modeAt, [this.id, keyToWire(scope), cursor]);
    const found = { mode, to, defaultMode, seqnum: seqNum(seqnum), modes: seqNum(modes) };
    this.#modes.add(scope, cursor, found);
    return found;
  }

  async tail(): Promise<SeqNum> {
    return seqNum(await this.#shard.request(methods.tail, [this.id]));
  }

  async turn(tag: Tag): Promise<Turn> {
    const id = this.#shard.nextTurn();
    const tail = await this.#shard.request(methods.turn, [this.id, tagToWire(tag), id]);
    return { tail: seqNum(tail), end: () => this.#shard.notify(methods.endTurn, id) };
  }
}
