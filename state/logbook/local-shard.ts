/**
 * The owner of a journal: the LogBooks in it, for the host it runs in and for other nodes.
 *
 * Owns: opening (replay, the new epoch), sessions, collection.
 * Does not own: order (sequencer), the index (shard-index), the disk (outbox, journal, blobs).
 *
 * S1. Nothing is served before everything durable is applied and the EPOCH record of this opening is durable (F1).
 * S2. Nothing is deleted from the disk before the record that orders it is durable (F4).
 */
import { hasCode, NeapError } from "../errors.ts";
import type { InstanceId, LogBookId, SeqNum } from "../ids.ts";
import type { Journal } from "../journal/journal.ts";
import type { OwnedBlobs } from "../objects/blobs.ts";
import { betweenSlices, type Clock, type Faults, type Timers } from "../ports.ts";
import type { BookState } from "./book-state.ts";
import { Checkpointer, type Checkpoints, openIndex } from "./checkpoint/index.ts";
import { type Collection, encodeCollection, type Piece } from "./collection.ts";
import { encodeEpoch } from "./epoch.ts";
import { isDue } from "./gc.ts";
import { RecordKind } from "./kinds.ts";
import { LocalSession, type SessionParts } from "./local-session.ts";
import type { LogBook, LogRecord, ScopeView, Shard, ShardSource, UnfinishedInstance } from "./logbook.ts";
import { type ControllerOptions, DEFAULT_CONTROLLER_OPTIONS, ModeController } from "./mode-controller.ts";
import { ModeSwitches } from "./mode-switches.ts";
import type { Mode } from "./modes.ts";
import { Outbox } from "./outbox.ts";
import type { LiveRecords } from "./record-store.ts";
import { Sequencer } from "./sequencer.ts";
import { isEmpty, PIECE_RECORDS, Sweep } from "./sweep.ts";

export interface LocalShardParts {
  /** Given back by `close`. */
  readonly journal: Journal;
  readonly blobs: OwnedBlobs;
  /** The size of the object whose value a write record holds. */
  readonly objectSizeBytes: (record: LogRecord) => number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly faults: Faults;
  /** Without them a start reads the whole journal, and nothing of it is released. Closed by `close`. */
  readonly checkpoints?: Checkpoints;
  readonly options?: Partial<LocalShardOptions>;
}

export interface LocalShardOptions {
  /** How long the result of a keyed call can be asked for. */
  readonly retentionMs: number;
  /** So long after its end what a call has logged is kept in any case: its output may be about to be read for its answer. */
  readonly answerMs: number;
  /** Records in memory besides those that are not durable. */
  readonly recentMaxBytes: number;
  /** Aux data in memory. */
  readonly auxMaxBytes: number;
  /** Above this many bytes ordered and not durable, appends wait. */
  readonly undurableMaxBytes: number;
  /** A LogBook is collected when this many versions were superseded or instances done. */
  readonly garbageMin: number;
  /** A checkpoint is made when so many bytes of the journal have become durable since the last. */
  readonly checkpointBytes: number;
  /** How modes of scopes are chosen that may choose by themselves. */
  readonly modes: ControllerOptions;
}

export const DEFAULT_SHARD_OPTIONS: LocalShardOptions = {
  retentionMs: 24 * 60 * 60 * 1_000,
  answerMs: 2_000,
  recentMaxBytes: 64 * 1024 * 1024,
  auxMaxBytes: 16 * 1024 * 1024,
  undurableMaxBytes: 32 * 1024 * 1024,
  garbageMin: 1_000,
  checkpointBytes: 32 * 1024 * 1024,
  modes: DEFAULT_CONTROLLER_OPTIONS,
};

/** Of a collection that still has results or trims to let go of. */
const NO_NAMES: Piece = { isFirst: false, most: PIECE_RECORDS, objects: [], cells: [], locks: [], instances: [] };

/**
 * Opens the last checkpoint, replays the journal after it, removes what a crash left among the blobs, and begins a new epoch, which is durable when this resolves.
 *
 * @throws JOURNAL_DAMAGED a frame does not hold records; the checkpoint is damaged, or not of this journal
 * @throws DISK_FULL no room for the EPOCH record
 */
export async function openLocalShard(parts: LocalShardParts): Promise<LocalShard> {
  const { journal, blobs, checkpoints } = parts;
  const options = { ...DEFAULT_SHARD_OPTIONS, ...parts.options };
  const { index, last } = openIndex(journal, checkpoints?.store, options);
  index.blobs.takeDead();
  const outbox = new Outbox(journal, index.store, parts.timers, index.tail);
  const sequencer = new Sequencer({ ...parts, index, outbox, undurableMaxBytes: options.undurableMaxBytes });
  await blobs.sweep((name) => index.blobs.has(name));
  const data = encodeEpoch({ epoch: journal.epoch, previousEnd: index.tail });
  await outbox.whenDurable(sequencer.orderOwn(null, { kind: RecordKind.epoch, tags: [], data }));
  const checkpointer = checkpoints && new Checkpointer(journal, checkpoints, index.store, options.checkpointBytes, last);
  if (checkpointer !== undefined) {
    outbox.onDurable.push(() => checkpointer.consider());
  }
  const switches = new ModeSwitches({ index, outbox, sequencer, timers: parts.timers });
  const controller = new ModeController({ ...parts, index, outbox, sequencer, switches, options: options.modes });
  const { timers, objectSizeBytes } = parts;
  const shared = { index, outbox, sequencer, blobs, switches, controller, timers, objectSizeBytes };
  return new LocalShard(journal, blobs, shared, options, checkpointer);
}

/** The methods of Shard are those of the local host's own session. */
export class LocalShard implements Shard, ShardSource {
  readonly epoch: number;
  readonly ended: Promise<void>;
  readonly blobs: OwnedBlobs;
  readonly #journal: Journal;
  readonly #parts: SessionParts;
  readonly #options: LocalShardOptions;
  readonly #sessions = new Set<LocalSession>();
  readonly #own: LocalSession;
  readonly #checkpointer: Checkpointer | undefined;
  /** LogBooks whose last sweep in this opening came to its end. */
  readonly #swept = new WeakSet<BookState>();
  #closing: Promise<void> | undefined;

  /** Use `openLocalShard`. */
  constructor(
    journal: Journal,
    blobs: OwnedBlobs,
    parts: SessionParts,
    options: LocalShardOptions,
    checkpointer: Checkpointer | undefined,
  ) {
    this.#checkpointer = checkpointer;
    this.#journal = journal;
    this.#parts = parts;
    this.#options = options;
    this.blobs = blobs;
    this.epoch = journal.epoch;
    this.#own = new LocalSession(parts);
    this.ended = this.#own.ended;
    this.#sessions.add(this.#own);
  }

  /** A session of its own for a remote node; its `close` gives back what the node held. */
  openSession(): Shard {
    const session = new LocalSession(this.#parts);
    if (this.#closing === undefined) {
      this.#sessions.add(session);
      void session.ended.then(() => this.#sessions.delete(session));
    } else {
      void session.close();
    }
    return session;
  }

  current(): Shard | undefined {
    return this.#own.isOver ? undefined : this;
  }

  async available(_timeoutMs: number): Promise<Shard> {
    this.#own.check();
    return this;
  }

  book(id: LogBookId): LogBook {
    return this.#own.book(id);
  }

  books(): Promise<readonly LogBookId[]> {
    return this.#own.books();
  }

  whenDurable(seqnum: SeqNum): Promise<void> {
    return this.#own.whenDurable(seqnum);
  }

  claim(limit: number): Promise<readonly UnfinishedInstance[]> {
    return this.#own.claim(limit);
  }

  hold(book: LogBookId, instance: InstanceId): Promise<void> {
    return this.#own.hold(book, instance);
  }

  release(book: LogBookId, instance: InstanceId): Promise<void> {
    return this.#own.release(book, instance);
  }

  scopes(...args: Parameters<Shard["scopes"]>): Promise<readonly ScopeView[]> {
    return this.#own.scopes(...args);
  }

  switchMode(book: LogBookId, scope: string, to: Mode, automatic: boolean): Promise<SeqNum> {
    return this.#own.switchMode(book, scope, to, automatic);
  }

  chooseDefault(book: LogBookId, mode: Mode): Promise<SeqNum> {
    return this.#own.chooseDefault(book, mode);
  }

  unfinished(...args: Parameters<Shard["unfinished"]>): Promise<readonly UnfinishedInstance[]> {
    return this.#own.unfinished(...args);
  }

  /** What the index holds of a kind of record, in all LogBooks. */
  live(kind: RecordKind): LiveRecords {
    return this.#parts.index.store.live(kind);
  }

  /**
   * Collects in every LogBook where enough has become collectable. What it lets go of on disk is deleted when this resolves.
   * @throws DISK_FULL, OWNER_UNAVAILABLE
   */
  async collect(): Promise<void> {
    this.#own.check();
    const { index, outbox, sequencer } = this.#parts;
    await outbox.whenDurable(index.tail);
    this.#own.check();
    for (const book of index.books.values()) {
      const nowMs = sequencer.timeMs();
      const collection = { watermark: this.#watermark(book), retainSinceMs: nowMs - this.#options.retentionMs };
      if (book.garbage >= this.#options.garbageMin || isDue(book, collection, nowMs) || this.#mayBeHalfSwept(book)) {
        await this.#sweep(book, collection, nowMs);
      }
    }
    const dead = index.blobs.takeDead();
    await outbox.whenDurable(index.tail);
    // A read step may have named one again meanwhile; it dies again with that record.
    await this.blobs.remove(dead.filter((name) => !index.blobs.has(name)));
  }

  /** A crash or a failure may have ended a sweep in the middle, or it has left many: its first piece has reset the count of garbage. */
  #mayBeHalfSwept(book: BookState): boolean {
    return !this.#swept.has(book) && book.superseded.size + book.cells.ending.size + book.instances.ended.size > 0;
  }

  /** Piece by piece, between which others have their turn. */
  async #sweep(book: BookState, collection: Collection, nowMs: number): Promise<void> {
    const { index, outbox, sequencer, timers } = this.#parts;
    const order = (piece: Piece | null) => {
      const data = encodeCollection(piece === null ? collection : { ...collection, piece });
      sequencer.orderOwn(book, { kind: RecordKind.gc, tags: [], data });
    };
    const sweep = new Sweep(book, collection.watermark, nowMs - this.#options.answerMs);
    this.#swept.delete(book);
    try {
      order(sweep.next());
      for (let piece = sweep.next(); piece !== null || isDue(book, collection, nowMs); piece = sweep.next()) {
        if (piece !== null && isEmpty(piece) && !sweep.hasNames && !isDue(book, collection, nowMs)) {
          await betweenSlices(timers);
          this.#own.check();
        } else {
          await outbox.whenDurable(index.tail);
          this.#own.check();
          order(piece ?? NO_NAMES);
        }
      }
    } catch (error) {
      if (!hasCode(error, "DISK_FULL")) {
        throw error;
      }
      // One record that names nothing needs next to no room, and is what makes some.
      order(null);
    } finally {
      sweep.end();
    }
    if (sweep.left < this.#options.garbageMin) {
      this.#swept.add(book);
    }
  }

  /**
   * Makes a checkpoint of what is durable now, or waits for the one that is being made. Without `checkpoints` it does nothing.
   * Rejects when it could not be made: the one before still holds.
   */
  async checkpoint(): Promise<void> {
    await this.#checkpointer?.take();
  }

  /** Refuses what comes from now on, writes what is ordered, ends all sessions and gives the journal back. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { index, outbox, sequencer, switches, controller } = this.#parts;
    controller.stop();
    switches.stop();
    sequencer.stop(new NeapError("OWNER_UNAVAILABLE", "the owner of the LogBook is stopping"));
    for (const session of this.#sessions) {
      await session.close();
    }
    await outbox.whenDurable(index.tail);
    await this.#checkpointer?.close();
    await this.#journal.close();
  }

  /**
   * No attempt that can still write reads below this (F11). What is not durable is not collected: a reader that finds nothing would
   * not know what to wait for (F8).
   */
  #watermark(book: BookState): SeqNum {
    return Math.min(this.#parts.outbox.durable, book.instances.readsFrom()) as SeqNum;
  }
}
