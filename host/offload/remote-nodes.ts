/**
 * What nodes tell each other of their load. Every compute node is connected to the storage node and to no other: that one asks all, and passes
 * calls on between them.
 */
import { NeapError } from "../../state/errors.ts";
import type { Timers } from "../../state/ports.ts";
import { fields, method, type Peer } from "../../state/remote/index.ts";
import { Count, list, Nothing, Text, tuple } from "../../state/shape.ts";
import type { CallTaker } from "./moved-call.ts";
import type { NodeLoad, OtherNode, OtherNodes } from "./nodes.ts";
import { type OwnRanks, remoteRankHost, serveRanks } from "./ranks.ts";
import { remoteTaker } from "./remote-moves.ts";

/** → name, queue, workers */
const NODE_LOAD = method("offload.load", Nothing, tuple(Text, Count, Count));
/** → of each node that takes calls: number, name, queue, workers */
const OTHER_NODES = method("offload.nodes", Nothing, list(tuple(Count, Text, Count, Count)));

/** The storage node's number; compute nodes have those that follow. */
export const STORAGE_NODE = 0;
/** A node that takes longer to say how much it has to do has enough to do. */
const ANSWER_MAX_MS = 500;

/** This node, as it shows itself to others. */
export interface OwnNode {
  readonly taker: CallTaker;
  readonly ranks: OwnRanks;
  /** Null while it stops: it takes no calls. */
  load(): NodeLoad | null;
}

/** From now on the node at the other end is told how much there is to do here. */
export function serveLoad(peer: Peer, own: OwnNode): void {
  serveRanks(peer, own.ranks);
  peer.handle(NODE_LOAD, async () => {
    const load = own.load();
    if (load === null) {
      throw new NeapError("SHUTTING_DOWN", "the host is stopping");
    }
    return fields(own.taker.name, load.queue, load.workers);
  });
}

/** A compute node's view: all that the storage node knows. */
export function nodesBehind(storage: () => Peer | undefined): OtherNodes {
  return async () => {
    const peer = storage();
    const nodes = await peer?.request(OTHER_NODES, null).catch(none);
    return peer === undefined
      ? []
      : (nodes ?? []).map(([id, name, queue, workers]) => ({
          taker: remoteTaker(peer, id, name),
          ranks: remoteRankHost(peer, id, name),
          queue,
          workers,
        }));
  };
}

/** The storage node's view. */
export class NodeDirectory {
  readonly #own: OwnNode;
  readonly #timers: Timers;
  readonly #peers = new Map<number, Peer>();
  #lastId = STORAGE_NODE;

  constructor(own: OwnNode, timers: Timers) {
    this.#own = own;
    this.#timers = timers;
  }

  /** A compute node has connected: it may ask for the others, and is one of them until its connection ends. */
  join(peer: Peer): void {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#peers.set(id, peer);
    void peer.ended.then(() => this.#peers.delete(id));
    serveRanks(peer, this.#own.ranks, (other) => this.#peer(other), id);
    peer.handle(OTHER_NODES, async () => {
      const load = this.#own.load();
      const own = load === null ? [] : [fields(STORAGE_NODE, this.#own.taker.name, load.queue, load.workers)];
      const others = await this.#ask(id);
      return [...others.map(({ id, taker, queue, workers }) => fields(id, taker.name, queue, workers)), ...own];
    });
  }

  /** The node of this number; null when there is none, or it is this one. */
  #peer(id: number): Peer | null {
    return this.#peers.get(id) ?? null;
  }

  /** Who takes the calls that are sent to a node; null when there is no such node. */
  taker(id: number): CallTaker | null {
    const peer = this.#peers.get(id);
    return id === STORAGE_NODE ? this.#own.taker : peer === undefined ? null : remoteTaker(peer, STORAGE_NODE, peer.name);
  }

  readonly nodes: OtherNodes = () => this.#ask(STORAGE_NODE);

  async #ask(asking: number): Promise<(OtherNode & { readonly id: number })[]> {
    const asked = [...this.#peers].filter(([id]) => id !== asking).map(([id, peer]) => this.#askOne(id, peer));
    return (await Promise.all(asked)).flat();
  }

  async #askOne(id: number, peer: Peer): Promise<(OtherNode & { readonly id: number })[]> {
    const { promise: late, resolve } = Promise.withResolvers<null>();
    const cancel = this.#timers.after(ANSWER_MAX_MS, () => resolve(null));
    const told = await Promise.race([peer.request(NODE_LOAD, null).catch(none), late]);
    cancel();
    if (told === null) {
      return [];
    }
    const [name, queue, workers] = told;
    const ranks = remoteRankHost(peer, STORAGE_NODE, name);
    return [{ id, taker: remoteTaker(peer, STORAGE_NODE, name), ranks, queue, workers }];
  }
}

function none(error: unknown): null {
  if (error instanceof NeapError) {
    return null;
  }
  throw error;
}
