import { NeapError } from "../errors.ts";
import { type InstanceId, type LogBookId, NO_SEQNUM, type SeqNum } from "../ids.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { betweenSlices, type Timers } from "../ports.ts";
import { type Instance, isClaimable } from "./instances.ts";
import { LocalLogBook, type LogBookSession } from "./local-logbook.ts";
import type { LogBook, LogRecord, ScopeView, Shard, UnfinishedInstance } from "./logbook.ts";
import type { ModeController } from "./mode-controller.ts";
import type { ModeSwitches } from "./mode-switches.ts";
import type { Mode } from "./modes.ts";
import { namesAfter } from "./names-after.ts";
import type { Outbox } from "./outbox.ts";
import type { Sequencer } from "./sequencer.ts";
import type { ShardIndex } from "./shard-index.ts";

/** Instances that are looked at in one go (H27). */
const SLICE_ENTRIES = 2_000;

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
      await this.#walk(book.instances.unfinished.values(), (instance) => {
        if (claimed.length < limit && isClaimable(instance, this.sequencer.timeMs())) {
          instance.holder = this;
          claimed.push(describe(book.id, instance));
        }
        return claimed.length < limit;
      });
    }
    return claimed;
  }

  /** In slices, between which others have their turn (H27), as long as `visit` says so. What comes meanwhile is visited too. */
  async #walk<T>(all: Iterable<T>, visit: (one: T) => boolean): Promise<void> {
    let left = SLICE_ENTRIES;
    for (const one of all) {
      if (!visit(one)) {
        return;
      }
      left -= 1;
      if (left === 0) {
        await this.#pause();
        left = SLICE_ENTRIES;
      }
    }
  }

  async #pause(): Promise<void> {
    await betweenSlices(this.timers);
    this.check();
  }

  async hold(book: LogBookId, id: InstanceId): Promise<void> {
    this.check();
    const instance = this.index.book(book).instances.unfinished.get(id);
    if (instance !== undefined) {
      instance.holder = this;
    }
  }

  async release(book: LogBookId, id: InstanceId): Promise<void> {
    this.check();
    const instance = this.index.book(book).instances.unfinished.get(id);
    if (instance?.holder === this) {
      instance.holder = undefined;
    }
  }

  async scopes(book: LogBookId, after: string | null = null, limit = Number.POSITIVE_INFINITY): Promise<readonly ScopeView[]> {
    this.check();
    const views: ScopeView[] = [];
    for (;;) {
      const last = views.at(-1)?.scope ?? after;
      const page = await namesAfter(this.#switches.names(book), last, limit - views.length, () => this.#pause());
      for (const name of page) {
        const waitingFor = await this.#waitingFor(book, name);
        views.push(this.#switches.view(book, name, waitingFor, (scope) => this.#controller.decision(scope)));
      }
      if (page.length === 0 || views.length >= limit) {
        return views;
      }
    }
  }

  /** Instances that use the mode from before the scope's switch, if it is being switched. */
  async #waitingFor(book: LogBookId, name: string): Promise<number> {
    const { scopes, instances } = this.index.book(book);
    const scope = scopes.get(name);
    let count = 0;
    if (scope !== undefined && scope.to !== null && instances.modesAt() < scope.begin) {
      await this.#walk(instances.unfinished.values(), ({ modesAt }) => {
        count += modesAt !== NO_SEQNUM && modesAt < scope.begin ? 1 : 0;
        return true;
      });
    }
    return count;
  }

  async switchMode(book: LogBookId, scope: string, to: Mode, automatic: boolean): Promise<SeqNum> {
    this.check();
    return this.#switches.begin(book, scope, to, automatic);
  }

  async chooseDefault(book: LogBookId, mode: Mode): Promise<SeqNum> {
    this.check();
    return this.#switches.chooseDefault(book, mode);
  }

  async unfinished(
    book: LogBookId,
    after: SeqNum = NO_SEQNUM,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<readonly UnfinishedInstance[]> {
    this.check();
    const found: UnfinishedInstance[] = [];
    await this.#walk(this.index.book(book).instances.unfinished.values(), (instance) => {
      if (instance.first > after && instance.done === NO_SEQNUM) {
        found.push(describe(book, instance));
      }
      return found.length < limit;
    });
    return found;
  }

  async close(): Promise<void> {
    this.#isOver = true;
    this.sequencer.leave(this);
    this.#end();
  }
}

function describe(book: LogBookId, { id, first, attempts, parked }: Instance): UnfinishedInstance {
  return { book, instance: id, first, attempts, parked };
}
