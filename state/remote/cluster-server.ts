/**
 * Where other nodes reach the owner of a journal.
 *
 * Owns: the listening socket, authentication, one session of the shard per connection.
 * Does not own: what the shard does, methods of the host (`onPeer`).
 *
 * C1. Before authentication a connection gets HANDSHAKE_MAX_BYTES, `handshakeMs` and one of MAX_UNAUTHENTICATED places.
 * C2. A node process has one connection: its next one ends the one before, so that what that one held is free at once.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { NeapError } from "../errors.ts";
import type { Shard } from "../logbook/logbook.ts";
import type { Random, Timers } from "../ports.ts";
import { authenticateNode, HANDSHAKE_MAX_BYTES, HANDSHAKE_MS, type NodeHello } from "./handshake.ts";
import type { Log } from "./log.ts";
import { DEFAULT_PEER_LIMITS, Peer, type PeerLimits } from "./peer.ts";
import { serveShard } from "./shard-server.ts";

const MAX_UNAUTHENTICATED = 64;

/** The owner's shard, of which every connection gets a session of its own. */
export interface ShardSessions {
  readonly journalId: string;
  readonly epoch: number;
  openSession(): Shard;
}

export interface ClusterServerOptions {
  readonly listenHost: string;
  /** 0 for any free one. */
  readonly listenPort: number;
  /** The cluster's shared key. */
  readonly key: string;
  readonly nodeName: string;
  readonly shard: ShardSessions;
  readonly random: Random;
  readonly timers: Timers;
  readonly log: Log;
  readonly limits?: PeerLimits;
}

export class ClusterServer {
  readonly #options: ClusterServerOptions;
  readonly #limits: PeerLimits;
  readonly #http: Server;
  /** Connections that have not authenticated, with what ends their time limit. */
  readonly #strangers = new Map<Socket, () => void>();
  readonly #peers = new Map<string, Peer>();
  #port = 0;
  readonly #callbacks: ((peer: Peer, session: Shard) => void)[] = [];

  private constructor(options: ClusterServerOptions) {
    this.#options = options;
    this.#limits = options.limits ?? DEFAULT_PEER_LIMITS;
    this.#http = createServer((_request, response) => response.writeHead(426).end());
    this.#http.on("connection", (stream) => this.#admit(stream));
    const { messageMaxBytes } = this.#limits;
    const sockets = new WebSocketServer({ server: this.#http, perMessageDeflate: false, maxPayload: messageMaxBytes });
    sockets.on("connection", (socket, request) => this.#authenticate(socket, request.socket));
    // ws repeats the errors of the server below; `start` hears them there.
    sockets.on("error", () => {});
  }

  /** Listens when this resolves. Rejects with the system's error when it cannot (EADDRINUSE …). */
  static async start(options: ClusterServerOptions): Promise<ClusterServer> {
    const server = new ClusterServer(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.#http.once("error", reject);
    server.#http.listen(options.listenPort, options.listenHost, resolve);
    await promise;
    server.#http.off("error", reject);
    server.#port = (server.#http.address() as AddressInfo).port;
    return server;
  }

  /** Where it listens. */
  get port(): number {
    return this.#port;
  }

  /** The nodes that are connected now. */
  get peers(): readonly Peer[] {
    return [...this.#peers.values()];
  }

  /**
   * `callback` sees every node that connects from now on, with the node's session, before its first message is read: the place to
   * offer methods of the host.
   */
  onPeer(callback: (peer: Peer, session: Shard) => void): void {
    this.#callbacks.push(callback);
  }

  /** Ends all connections and listens no more. The shard stays open. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve));
    for (const peer of this.#peers.values()) {
      peer.close();
    }
    for (const stream of this.#strangers.keys()) {
      stream.destroy();
    }
    await closed;
  }

  #admit(stream: Socket): void {
    if (this.#strangers.size >= MAX_UNAUTHENTICATED) {
      stream.destroy();
      return;
    }
    const { timers, log } = this.#options;
    const cancel = timers.after(HANDSHAKE_MS, () => {
      log.warn(`a connection did not authenticate within ${HANDSHAKE_MS} ms and was dropped`, { from: stream.remoteAddress });
      stream.destroy();
    });
    this.#strangers.set(stream, cancel);
    stream.once("close", () => this.#forget(stream));
  }

  #forget(stream: Socket): void {
    this.#strangers.get(stream)?.();
    this.#strangers.delete(stream);
  }

  #authenticate(socket: WebSocket, stream: Socket): void {
    const { key, random, shard, nodeName, log } = this.#options;
    const from = stream.remoteAddress;
    const watch = (): void => {
      if (stream.bytesRead > HANDSHAKE_MAX_BYTES) {
        log.warn("a connection sent too much before it authenticated and was dropped", { from });
        stream.destroy();
      }
    };
    stream.on("data", watch);
    const hello = { nodeName, journalId: shard.journalId, epoch: shard.epoch };
    authenticateNode(socket, key, random, hello, (result) => {
      stream.off("data", watch);
      if (result instanceof NeapError) {
        log.warn("a connection was refused", { from, code: result.code, error: result });
      } else {
        this.#forget(stream);
        this.#welcome(socket, stream, result);
      }
    });
  }

  #welcome(socket: WebSocket, stream: Socket, node: NodeHello): void {
    const { shard, timers, log } = this.#options;
    const peer = new Peer(socket, stream, { name: node.nodeName, epoch: shard.epoch, timers, log, limits: this.#limits });
    const identity = Buffer.from(node.incarnation).toString("hex");
    this.#peers.get(identity)?.close();
    this.#peers.set(identity, peer);
    void peer.ended.then(() => {
      log.info("a node has disconnected", { peer: peer.name });
      if (this.#peers.get(identity) === peer) {
        this.#peers.delete(identity);
      }
    });
    const session = shard.openSession();
    serveShard(peer, session);
    for (const callback of this.#callbacks) {
      callback(peer, session);
    }
    log.info("a node has connected", { peer: peer.name, from: stream.remoteAddress });
  }
}
