import { NeapError } from "../errors.ts";
import type { InstanceId, LogBookId, SeqNum } from "../ids.ts";
import type { BlobStore } from "../objects/blobs.ts";
import type { Timers } from "../ports.ts";
import type { Instance } from "./instances.ts";
import { LocalLogBook, type LogBookSession } from "./local-logbook.ts";
import type { LogBook, LogRecord, ScopeView, Shard, UnfinishedInstance } from "./logbook.ts";
import type { ModeController } from "./mode-controller.ts";
import type { ModeSwitches } from "./mode-switches.ts";
import type { Mode } from "./modes.ts";
import type { Outbox } from "./outbox.ts";
import type { Sequencer } from "./sequencer.ts";
import type { ShardIndex } from "./shard-index.ts";

/** What all sessions of a shard share. */
export interface SessionParts {
  readonly index: ShardIndex;
  readonly outbox: Outbox;
  readonly sequencer: Sequencer;
  readonly blobs: BlobStore;
  readonly switches: ModeSwitches;
  readonly controller: ModeController;
  readonly timers: Timers;
  readonly objectSizeBytes: (record: LogRecord) => number;
}

/** The owner as one user of it sees it: the local host, or one remote node. When it is over its leases and turns are given back. */
export class LocalSession implements Shard, LogBookSession {
  readonly epoch: number;
  readonly ended: Promise<void>;
  readonly blobs: BlobStore;
  readonly index: ShardIndex;
  readonly sequencer: Sequencer;
  readonly timers: Timers;
  readonly objectSizeBytes: (record: LogRecord) => number;
  readonly #outbox: Outbox;
  readonly #switches: ModeSwitches;
  readonly #controller: ModeController;
  readonly #end: () => void;
  #isOver = false;

  constructor({ index, outbox, sequencer, blobs, switches, controller, timers, objectSizeBytes }: SessionParts) {
    this.epoch = index.epoch;
    this.index = index;
    this.sequencer = sequencer;
    this.blobs = blobs;
    this.timers = timers;
    this.objectSizeBytes = objectSizeBytes;
    this.#outbox = outbox;
    this.#switches = switches;
    this.#controller = controller;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  check(): void {
    if (this.#isOver) {
      throw new NeapError("OWNER_UNAVAILABLE", "the session with the owner of the LogBook has ended");
    }
  }

  book(id: LogBookId): LogBook {
    return new LocalLogBook(id, this);
  }

  async books(): Promise<readonly LogBookId[]> {
    this.check();
    return [...this.index.books.values()].filter((book) => book.streams.size > 0).map((book) => book.id);
  }

  async whenDurable(seqnum: SeqNum): Promise<void> {
    this.check();
    if (seqnum > this.index.tail) {
      throw new NeapError("EPOCH_CHANGED", `seqnum ${seqnum} is of another epoch, the tail is ${this.index.tail}`);
    }
    await this.#outbox.whenDurable(seqnum);
  }

  async claim(limit: number): Promise<readonly UnfinishedInstance[]> {
    this.check();
    const claimed: UnfinishedInstance[] = [];
    for (const book of this.index.books.values()) {
      for (const instance of book.instances.claimable(this.sequencer.timeMs())) {
        if (claimed.length >= limit) {
          return claimed;
        }
        instance.holder = this;
        claimed.push(describe(book.id, instance));
      }
    }
    return claimed;
  }

  async release(book: LogBookId, id: InstanceId): Promise<void> {
    this.check();
    const instance = this.index.book(book).instances.unfinished.get(id);
    if (instance?.holder === this) {
      instance.holder = undefined;
    }
  }

  async scopes(book: LogBookId): Promise<readonly ScopeView[]> {
    this.check();
    return this.#switches.view(book, (scope) => this.#controller.decision(scope));
  }

  async switchMode(book: LogBookId, scope: string, to: Mode, automatic: boolean): Promise<SeqNum> {
    this.check();
    return this.#switches.begin(book, scope, to, automatic);
  }

  async chooseDefault(book: LogBookId, mode: Mode): Promise<SeqNum> {
    this.check();
    return this.#switches.chooseDefault(book, mode);
  }

  async unfinished(book: LogBookId): Promise<readonly UnfinishedInstance[]> {
    this.check();
    return [...this.index.book(book).instances.unfinished.values()].map((instance) => describe(book, instance));
  }

  async close(): Promise<void> {
    this.#isOver = true;
    this.sequencer.leave(this);
    this.#end();
  }
}

function describe(book: LogBookId, { id, attempts, parked }: Instance): UnfinishedInstance {
  return { book, instance: id, attempts, parked };
}
