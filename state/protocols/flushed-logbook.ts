import type { InstanceId, LogBookId, SeqNum, Tag } from "../ids.ts";
import type {
  AppendRequest,
  AppendResult,
  CellOutcome,
  CellRead,
  CellWrite,
  LockRead,
  LogBook,
  ModeAt,
  ReadResult,
  Shard,
  StreamRead,
  StreamTail,
  Turn,
} from "../logbook/logbook.ts";

/**
 * A LogBook without run-ahead: what changes it resolves when the change is durable, and rejects as `Shard.whenDurable` does when
 * that will never be known. Reads are those of the LogBook itself.
 */
export class FlushedLogBook implements LogBook {
  readonly id: LogBookId;
  readonly #book: LogBook;
  readonly #shard: Pick<Shard, "whenDurable">;

  /** @param shard  the session that `book` is of */
  constructor(book: LogBook, shard: Pick<Shard, "whenDurable">) {
    this.id = book.id;
    this.#book = book;
    this.#shard = shard;
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    const result = await this.#book.append(request);
    if (result.kind === "appended") {
      await this.#shard.whenDurable(result.seqnum);
    }
    return result;
  }

  /** A superseded write is done once the write that it stands right before is durable. */
  async writeCell(write: CellWrite): Promise<CellOutcome> {
    const outcome = await this.#book.writeCell(write);
    if (outcome.kind !== "stale") {
      await this.#shard.whenDurable(outcome.seqnum);
    }
    return outcome;
  }

  readPrev(tag: Tag, max: SeqNum, at?: SeqNum): Promise<ReadResult> {
    return this.#book.readPrev(tag, max, at);
  }

  readNext(tag: Tag, min: SeqNum, at?: SeqNum): Promise<ReadResult> {
    return this.#book.readNext(tag, min, at);
  }

  awaitNext(tag: Tag, min: SeqNum, timeoutMs: number, signal?: AbortSignal): Promise<ReadResult> {
    return this.#book.awaitNext(tag, min, timeoutMs, signal);
  }

  tailOf(tag: Tag, at?: SeqNum): Promise<StreamTail> {
    return this.#book.tailOf(tag, at);
  }

  setAux(tag: Tag, seqnum: SeqNum, bytes: Uint8Array): Promise<void> {
    return this.#book.setAux(tag, seqnum, bytes);
  }

  lock(name: string): Promise<LockRead> {
    return this.#book.lock(name);
  }

  lockTurn(name: string, root: InstanceId): Promise<Turn> {
    return this.#book.lockTurn(name, root);
  }

  locks(): ReturnType<LogBook["locks"]> {
    return this.#book.locks();
  }

  readStream(tag: Tag, from: number, most?: number): Promise<StreamRead> {
    return this.#book.readStream(tag, from, most);
  }

  listObjects(...args: Parameters<LogBook["listObjects"]>): ReturnType<LogBook["listObjects"]> {
    return this.#book.listObjects(...args);
  }

  readCell(key: string, initialCursor: SeqNum, at?: SeqNum): Promise<CellRead> {
    return this.#book.readCell(key, initialCursor, at);
  }

  modeAt(scope: string, cursor: SeqNum): Promise<ModeAt> {
    return this.#book.modeAt(scope, cursor);
  }

  tail(): Promise<SeqNum> {
    return this.#book.tail();
  }

  turn(tag: Tag): Promise<Turn> {
    return this.#book.turn(tag);
  }
}
