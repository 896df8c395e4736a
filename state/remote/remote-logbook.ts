import { type InstanceId, type LogBookId, MAX_SEQNUM, type SeqNum, seqNum, type Tag } from "../ids.ts";
import { checkAux } from "../logbook/aux-cache.ts";
import { checkNumber, checkRequest } from "../logbook/check-request.ts";
import type {
  AppendRequest,
  AppendResult,
  CellOutcome,
  CellRead,
  CellWrite,
  HeldLock,
  ListedObject,
  LockRead,
  LogBook,
  LogRecord,
  ModeAt,
  ReadResult,
  StreamRead,
  StreamTail,
  Turn,
} from "../logbook/logbook.ts";
import { checkTimeout } from "../logbook/waits.ts";
import type { KnownModes } from "./known-modes.ts";
import {
  appendToWire,
  asBuffer,
  cellWriteToWire,
  heldLockFromWire,
  keyToWire,
  readFromWire,
  recordFromWire,
  resultFromWire,
  tagToWire,
} from "./record-wire.ts";
import type { RemoteShard } from "./remote-shard.ts";
import * as methods from "./shard-methods.ts";

/**
 * A LogBook of another node. An append that rejects with OWNER_UNAVAILABLE may have been ordered, at most once: its conditions or
 * the log tell (F20, "reload"). What cannot be asked is refused here, as the owner would.
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
    checkRequest(request);
    const [records, when] = appendToWire(request);
    return resultFromWire(await this.#shard.request(methods.append, [this.id, records, when]));
  }

  async readPrev(tag: Tag, max: SeqNum, at: SeqNum = MAX_SEQNUM): Promise<ReadResult> {
    const read = readFromWire(await this.#shard.request(methods.readPrev, [this.id, tagToWire(tag), seqNum(max), seqNum(at)]));
    this.#modes.learn(read.tail, read.modes);
    return read;
  }

  async readNext(tag: Tag, min: SeqNum, at: SeqNum = MAX_SEQNUM): Promise<ReadResult> {
    return readFromWire(await this.#shard.request(methods.readNext, [this.id, tagToWire(tag), seqNum(min), seqNum(at)]));
  }

  async awaitNext(tag: Tag, min: SeqNum, timeoutMs: number, signal?: AbortSignal): Promise<ReadResult> {
    checkTimeout(timeoutMs);
    signal?.throwIfAborted();
    const id = this.#shard.nextNumber();
    const answer = this.#shard.request(methods.awaitNext, [this.id, tagToWire(tag), seqNum(min), timeoutMs, id]);
    const { promise: givenUp, reject } = Promise.withResolvers<never>();
    const abort = () => {
      // A request, not a notice: it must not arrive before the wait has begun.
      void this.#shard.request(methods.endAwait, id).catch(() => {});
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort);
    try {
      return readFromWire(await Promise.race([answer, givenUp]));
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async tailOf(tag: Tag, at: SeqNum = MAX_SEQNUM): Promise<StreamTail> {
    const [length, last, gone, closed, tail] = await this.#shard.request(methods.tailOf, [this.id, tagToWire(tag), seqNum(at)]);
    return { length, last: seqNum(last), goneUpTo: seqNum(gone), closed, tail: seqNum(tail) };
  }

  async setAux(tag: Tag, seqnum: SeqNum, bytes: Uint8Array): Promise<void> {
    checkAux(bytes);
    await this.#shard.request(methods.setAux, [this.id, tagToWire(tag), seqnum, asBuffer(bytes)]);
  }

  /** Long streams come in pages; the length is that of the last page, and every position below it is there. */
  async readStream(tag: Tag, from: number, most: number = Number.POSITIVE_INFINITY): Promise<StreamRead> {
    const name = tagToWire(tag);
    checkNumber("from", from);
    const records: LogRecord[] = [];
    for (;;) {
      const [page, length, closed, tail] = await this.#shard.request(methods.readStream, [this.id, name, from + records.length]);
      records.push(...page.slice(0, most - records.length).map(recordFromWire));
      if (page.length === 0 || records.length >= most || from + records.length >= length) {
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
    at: SeqNum = MAX_SEQNUM,
  ): Promise<{ objects: readonly ListedObject[]; tail: SeqNum }> {
    const objects: ListedObject[] = [];
    const name = keyToWire(prefix);
    for (;;) {
      const wanted = Math.min(limit - objects.length, methods.PAGE_ENTRIES);
      const last = objects.at(-1)?.key ?? keyToWire(after);
      const [page, tail] = await this.#shard.request(methods.listObjects, [this.id, name, last, cursor, wanted, at]);
      for (const [key, sizeBytes, seqnum, home] of page) {
        objects.push({ key, sizeBytes, seqnum: seqNum(seqnum), home });
      }
      if (page.length < wanted || objects.length >= limit) {
        return { objects, tail: seqNum(tail) };
      }
    }
  }

  async readCell(key: string, initialCursor: SeqNum, at: SeqNum = MAX_SEQNUM): Promise<CellRead> {
    const [record, home, tail] = await this.#shard.request(methods.readCell, [this.id, keyToWire(key), initialCursor, at]);
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

  turn(tag: Tag): Promise<Turn> {
    return this.#turn((id) => this.#shard.request(methods.turn, [this.id, tagToWire(tag), id]));
  }

  async lock(name: string): Promise<LockRead> {
    const [held, last, tail] = await this.#shard.request(methods.lock, [this.id, keyToWire(name)]);
    return { held: held === null ? null : heldLockFromWire(held), last: seqNum(last), tail: seqNum(tail) };
  }

  lockTurn(name: string, root: InstanceId): Promise<Turn> {
    return this.#turn((id) => this.#shard.request(methods.lockTurn, [this.id, keyToWire(name), root, id]));
  }

  /** Many come in pages, each as of its own moment, and `tail` as of the last. */
  async locks(after = "", limit = Number.POSITIVE_INFINITY): Promise<{ locks: readonly HeldLock[]; tail: SeqNum }> {
    const locks: HeldLock[] = [];
    for (;;) {
      const [page, tail] = await this.#shard.request(methods.locks, [this.id, locks.at(-1)?.name ?? after]);
      locks.push(...page.map(heldLockFromWire));
      if (page.length < methods.PAGE_ENTRIES || locks.length >= limit) {
        return { locks: locks.slice(0, limit), tail: seqNum(tail) };
      }
    }
  }

  /** @param ask  for the turn that is to have this number; resolves to the tail when it begins */
  async #turn(ask: (id: number) => Promise<number>): Promise<Turn> {
    const id = this.#shard.nextNumber();
    const tail = await ask(id);
    return { tail: seqNum(tail), end: () => this.#shard.notify(methods.endTurn, id) };
  }
}
