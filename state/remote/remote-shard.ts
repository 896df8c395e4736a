/** The owner's shard as another node sees it over a connection. */
import { NeapError } from "../errors.ts";
import { type InstanceId, type LogBookId, logBookId, NO_SEQNUM, type SeqNum, seqNum } from "../ids.ts";
import type { LogBook, ScopeView, Shard, UnfinishedInstance } from "../logbook/logbook.ts";
import type { Mode } from "../logbook/modes.ts";
import type { BlobStore } from "../objects/blobs.ts";
import { DurableWaits } from "./durable-waits.ts";
import { KnownModes } from "./known-modes.ts";
import type { Method } from "./method.ts";
import type { Peer } from "./peer.ts";
import { unfinishedFromWire } from "./record-wire.ts";
import { RemoteBlobs } from "./remote-blobs.ts";
import { RemoteLogBook } from "./remote-logbook.ts";
import * as methods from "./shard-methods.ts";

/**
 * A session that lives as long as its connection. Once it has ended every call, outstanding or later, rejects: with
 * OWNER_UNAVAILABLE, and with EPOCH_CHANGED as soon as it is known that the owner was restarted (F1).
 */
export class RemoteShard implements Shard {
  readonly epoch: number;
  readonly ended: Promise<void>;
  readonly blobs: BlobStore;
  readonly #peer: Peer;
  readonly #durable: DurableWaits;
  readonly #modes = new Map<LogBookId, KnownModes>();
  #currentEpoch: number;
  #numbers = 0;

  constructor(peer: Peer) {
    this.#peer = peer;
    this.epoch = peer.epoch;
    this.#currentEpoch = peer.epoch;
    this.ended = peer.ended.then(() => {});
    this.blobs = new RemoteBlobs(this);
    this.#durable = new DurableWaits((seqnum) => this.request(methods.whenDurable, seqnum));
  }

  /** The owner has begun another epoch: what is asked of this session from now on rejects with EPOCH_CHANGED. */
  supersede(epoch: number): void {
    this.#currentEpoch = epoch;
    this.#peer.close();
  }

  request<Body, Answer>(method: Method<Body, Answer>, body: Body): Promise<Answer> {
    return this.#currentEpoch === this.epoch ? this.#peer.request(method, body) : Promise.reject(this.#superseded());
  }

  notify<Body>(method: Method<Body, null>, body: Body): void {
    this.#peer.notify(method, body);
  }

  /** A number that no other turn or wait of this session has. */
  nextNumber(): number {
    return ++this.#numbers;
  }

  /** What this session knows of a LogBook's modes. */
  modes(id: LogBookId): KnownModes {
    let known = this.#modes.get(id);
    if (known === undefined) {
      known = new KnownModes();
      this.#modes.set(id, known);
    }
    return known;
  }

  book(id: LogBookId): LogBook {
    return new RemoteLogBook(id, this);
  }

  async books(): Promise<readonly LogBookId[]> {
    const all: LogBookId[] = [];
    for (;;) {
      const [page, isLast] = await this.request(methods.books, [all.length]);
      all.push(...page.map(logBookId));
      if (isLast) {
        return all;
      }
    }
  }

  whenDurable(seqnum: SeqNum): Promise<void> {
    if (this.#currentEpoch !== this.epoch) {
      return Promise.reject(this.#superseded());
    }
    return this.#peer.failure === undefined ? this.#durable.wait(seqnum) : Promise.reject(this.#peer.failure);
  }

  async claim(limit: number): Promise<readonly UnfinishedInstance[]> {
    return (await this.request(methods.claim, limit)).map(unfinishedFromWire);
  }

  async hold(book: LogBookId, instance: InstanceId): Promise<void> {
    await this.request(methods.hold, [book, instance]);
  }

  async release(book: LogBookId, instance: InstanceId): Promise<void> {
    await this.request(methods.release, [book, instance]);
  }

  async scopes(book: LogBookId, after: string | null = null, limit = Number.POSITIVE_INFINITY): Promise<readonly ScopeView[]> {
    const all: ScopeView[] = [];
    for (;;) {
      const last = all.at(-1)?.scope ?? after;
      const page = await this.request(methods.scopes, [book, last ?? "", last === null]);
      for (const [scope, mode, to, automatic, begin, waitingFor, decision, reads, writes] of page) {
        all.push({ scope, mode, to, automatic, begin: seqNum(begin), waitingFor, decision, reads, writes });
      }
      if (page.length < methods.PAGE_ENTRIES || all.length >= limit) {
        return all.slice(0, limit);
      }
    }
  }

  async switchMode(book: LogBookId, scope: string, to: Mode, automatic: boolean): Promise<SeqNum> {
    return seqNum(await this.request(methods.switchMode, [book, scope, to, automatic]));
  }

  async chooseDefault(book: LogBookId, mode: Mode): Promise<SeqNum> {
    return seqNum(await this.request(methods.chooseDefault, [book, mode]));
  }

  async unfinished(
    book: LogBookId,
    after: SeqNum = NO_SEQNUM,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<readonly UnfinishedInstance[]> {
    const all: UnfinishedInstance[] = [];
    for (;;) {
      const page = await this.request(methods.unfinished, [book, all.at(-1)?.first ?? after]);
      all.push(...page.map(unfinishedFromWire));
      if (page.length < methods.PAGE_ENTRIES || all.length >= limit) {
        return all.slice(0, limit);
      }
    }
  }

  async close(): Promise<void> {
    this.#peer.close();
    await this.ended;
  }

  #superseded(): NeapError {
    return new NeapError("EPOCH_CHANGED", `this session is of epoch ${this.epoch}, the owner is in epoch ${this.#currentEpoch}`);
  }
}
