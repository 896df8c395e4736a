/**
 * A node's way to the owner of the journal.
 *
 * Owns: connecting, authenticating, reconnecting; the current session.
 * Does not own: what a session does (remote-shard).
 *
 * O1. There is at most one session, and a lost one never comes back: the next connection is another session, also in the same epoch.
 * O2. Epochs of the sessions never decrease and the journal never changes; an owner that says otherwise is refused (F1).
 * O3. What an operator must mend (another key, another journal) is logged as an error at each try and reported by `available` at
 *     once; tries go on, as it may be mended at the owner.
 */
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import { NeapError } from "../errors.ts";
import type { Shard, ShardSource } from "../logbook/logbook.ts";
import type { Random, Timers } from "../ports.ts";
import { authenticateOwner, HANDSHAKE_MS, INCARNATION_BYTES, type OwnerHello } from "./handshake.ts";
import type { Log } from "./log.ts";
import { CloseCode, DEFAULT_PEER_LIMITS, Peer, type PeerLimits } from "./peer.ts";
import { RemoteShard } from "./remote-shard.ts";

export interface OwnerConnectionOptions {
  /** ws://host:port of the owner's cluster server. */
  readonly url: string;
  /** The cluster's shared key. */
  readonly key: string;
  readonly nodeName: string;
  readonly random: Random;
  readonly timers: Timers;
  readonly log: Log;
  readonly limits?: PeerLimits;
}

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2_000;

/** Begins to connect, and reconnects for ever until `close`. @throws SyntaxError when `url` is none */
export function connectToOwner(options: OwnerConnectionOptions): OwnerConnection {
  return new OwnerConnection(options);
}

interface Waiter {
  readonly resolve: (shard: Shard) => void;
  readonly reject: (error: NeapError) => void;
}

export class OwnerConnection implements ShardSource {
  readonly #options: OwnerConnectionOptions;
  readonly #limits: PeerLimits;
  readonly #incarnation: Uint8Array;
  readonly #callbacks: ((peer: Peer) => void)[] = [];
  readonly #waiters = new Set<Waiter>();
  #peer: Peer | undefined;
  #session: RemoteShard | undefined;
  #owner: OwnerHello | undefined;
  /** Why the owner was refused, or refused us, at the last try. */
  #refusal: NeapError | undefined;
  #backoffMs = FIRST_BACKOFF_MS;
  #stopTrying: () => void = () => {};
  #isClosed = false;

  /** Use `connectToOwner`. */
  constructor(options: OwnerConnectionOptions) {
    this.#options = options;
    this.#limits = options.limits ?? DEFAULT_PEER_LIMITS;
    this.#incarnation = options.random.bytes(INCARNATION_BYTES);
    this.#connect();
  }

  current(): Shard | undefined {
    return this.peer() === undefined ? undefined : this.#session;
  }

  /** The other end of the current connection, for methods of the host; undefined while there is none. */
  peer(): Peer | undefined {
    return this.#peer?.failure === undefined ? this.#peer : undefined;
  }

  /** `callback` sees the owner at every connection from now on, before its first message is read. */
  onPeer(callback: (peer: Peer) => void): void {
    this.#callbacks.push(callback);
  }

  /**
   * The current session, or the next one.
   *
   * @throws OWNER_UNAVAILABLE    after `timeoutMs`, or closed
   * @throws CLUSTER_KEY_REFUSED  at once, when the last try ended so
   * @throws WRONG_JOURNAL        at once, when the last try found another journal than before, or an older epoch
   */
  available(timeoutMs: number): Promise<Shard> {
    const current = this.current();
    if (current !== undefined) {
      return Promise.resolve(current);
    }
    if (this.#refusal !== undefined) {
      return Promise.reject(this.#refusal);
    }
    if (this.#isClosed) {
      return Promise.reject(new NeapError("OWNER_UNAVAILABLE", "the connection to the storage node was closed"));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Shard>();
    const waiter = { resolve, reject };
    const cancel = this.#options.timers.after(timeoutMs, () =>
      reject(
        new NeapError("OWNER_UNAVAILABLE", `the storage node at ${this.#options.url} was not reached within ${timeoutMs} ms`),
      ),
    );
    this.#waiters.add(waiter);
    return promise.finally(() => {
      cancel();
      this.#waiters.delete(waiter);
    });
  }

  /** Ends the session and does not reconnect. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTrying();
    this.#rejectWaiters(new NeapError("OWNER_UNAVAILABLE", "the connection to the storage node was closed"));
    await this.#session?.close();
  }

  #connect(): void {
    const { url, key, nodeName, random, timers } = this.#options;
    const socket = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: this.#limits.messageMaxBytes,
      // The mask protects proxies of the open web from browsers; zeros cost nothing.
      generateMask: (mask) => mask.fill(0),
    });
    let stream: Socket | undefined;
    socket.on("upgrade", (response) => {
      stream = response.socket;
    });
    const cancel = timers.after(HANDSHAKE_MS, () => socket.terminate());
    this.#stopTrying = () => {
      cancel();
      socket.terminate();
    };
    authenticateOwner(socket, key, random, { nodeName, incarnation: this.#incarnation }, (result) => {
      cancel();
      this.#stopTrying = () => {};
      if (result instanceof NeapError) {
        this.#failed(result);
      } else if (stream !== undefined) {
        this.#accept(socket, stream, result);
      }
    });
  }

  #accept(socket: WebSocket, stream: Socket, owner: OwnerHello): void {
    const { url, timers, log } = this.#options;
    const known = this.#owner;
    if (known !== undefined && (known.journalId !== owner.journalId || known.epoch > owner.epoch)) {
      socket.on("error", () => {});
      socket.close(CloseCode.goodbye);
      const was = `journal ${known.journalId}, epoch ${known.epoch}`;
      const is = `journal ${owner.journalId}, epoch ${owner.epoch}`;
      this.#failed(new NeapError("WRONG_JOURNAL", `the storage node at ${url} serves ${is}; it was ${was}`));
      return;
    }
    if (known !== undefined && known.epoch !== owner.epoch) {
      this.#session?.supersede(owner.epoch);
    }
    this.#owner = owner;
    this.#refusal = undefined;
    this.#backoffMs = FIRST_BACKOFF_MS;
    const peer = new Peer(socket, stream, { name: owner.nodeName, epoch: owner.epoch, timers, log, limits: this.#limits });
    const session = new RemoteShard(peer);
    this.#peer = peer;
    this.#session = session;
    void peer.ended.then((reason) => {
      if (!this.#isClosed) {
        log.warn("the session with the storage node has ended", { url, code: reason.code, error: reason });
      }
      this.#retry();
    });
    for (const callback of this.#callbacks) {
      callback(peer);
    }
    log.info("connected to the storage node", { url, owner: owner.nodeName, epoch: owner.epoch });
    for (const waiter of this.#waiters) {
      waiter.resolve(session);
    }
  }

  #failed(error: NeapError): void {
    if (this.#isClosed) {
      return;
    }
    const { url, log } = this.#options;
    if (error.code === "OWNER_UNAVAILABLE" || error.code === "BAD_MESSAGE") {
      this.#refusal = undefined;
      if (this.#backoffMs === FIRST_BACKOFF_MS) {
        log.warn("the storage node cannot be reached, trying on", { url, code: error.code, error });
      }
    } else {
      this.#refusal = error;
      this.#backoffMs = MAX_BACKOFF_MS;
      log.error("the storage node was refused", { url, code: error.code, error });
      this.#rejectWaiters(error);
    }
    this.#retry();
  }

  #retry(): void {
    if (this.#isClosed) {
      return;
    }
    this.#stopTrying = this.#options.timers.after(this.#backoffMs, () => this.#connect());
    this.#backoffMs = Math.min(2 * this.#backoffMs, MAX_BACKOFF_MS);
  }

  #rejectWaiters(error: NeapError): void {
    for (const waiter of this.#waiters) {
      waiter.reject(error);
    }
  }
}
