/**
 * Ranks of a world that run at other nodes than the world is at, which is that of its first rank. Every compute node is connected to the storage node and
 * to no other: that one passes on what they say to each other.
 */
import { NeapError } from "../../state/errors.ts";
import { type InstanceId, type LogBookId, logBookId, type SeqNum } from "../../state/ids.ts";
import { fields, method, type Peer } from "../../state/remote/index.ts";
import { Bytes, between, Count, choice, orNothing, Text, tuple } from "../../state/shape.ts";
import type { NodeLoad } from "./nodes.ts";

/** A rank whose Invoke record is in the log. */
export interface RankCall {
  readonly tenant: LogBookId;
  readonly instance: InstanceId;
  readonly init: Uint8Array;
}

/** `failure`: why the world is lost with it; null: it has ended well. Nothing may leave before `dependency` is durable. */
export type RankEnd =
  | { readonly kind: "ended"; readonly failure: string | null; readonly dependency: SeqNum; readonly cpuMs: number }
  /** It did not begin there. */
  | { readonly kind: "refused"; readonly reason: string };

/** What a rank asks of its world. */
export const RANK_ASKS = ["come", "send", "take", "look", "leave", "lose", "watch"] as const;
export type RankAsk = (typeof RANK_ASKS)[number];

export interface WorldAnswer {
  readonly seen: SeqNum;
  readonly bytes: Uint8Array;
}

/** Worlds, as ranks of other nodes reach them. @throws WORLD_LOST, and what the way there throws */
export interface WorldDesk {
  ask(root: InstanceId, rank: number, what: RankAsk, seen: SeqNum, bytes: Uint8Array): Promise<WorldAnswer>;
}

/** Another node, as a place where ranks of a world that is here run. */
export interface RankHost {
  readonly name: string;
  /** Resolves when the rank has ended. @throws what the way there throws: what has become of it is not known */
  runRank(call: RankCall): Promise<RankEnd>;
}

/** node, node of the world, tenant, instance, INIT → kind, why, dependency, CPU time */
const RUN_RANK = method(
  "mpi.runRank",
  tuple(Count, Count, Text, Text, Bytes),
  tuple(choice("ended", "refused"), orNothing(Text), Count, between(0, Number.MAX_VALUE)),
);
/** node of the world, root, rank, what, seen, bytes → seen, bytes */
const ASK_WORLD = method("mpi.askWorld", tuple(Count, Text, Count, Count, Count, Bytes), tuple(Count, Bytes));

const HERE = 0;

/** @param node  among those that the node at the other end of the connection knows */
export function remoteRankHost(peer: Peer, node: number, name: string): RankHost {
  return { name, runRank: (call) => runRank(peer, node, HERE, call) };
}

async function runRank(peer: Peer, node: number, world: number, { tenant, instance, init }: RankCall): Promise<RankEnd> {
  const [kind, why, dependency, cpuMs] = await peer.request(RUN_RANK, [node, world, tenant, instance, init]);
  return kind === "refused" ? { kind, reason: why ?? "" } : { kind, failure: why, dependency: dependency as SeqNum, cpuMs };
}

function remoteDesk(peer: Peer, node: number): WorldDesk {
  return {
    async ask(root, rank, what, seen, bytes) {
      const [theirs, answer] = await peer.request(ASK_WORLD, [
        node,
        root,
        rank,
        RANK_ASKS.indexOf(what),
        seen,
        Buffer.from(bytes),
      ]);
      return { seen: theirs as SeqNum, bytes: answer };
    },
  };
}

/** What this node is to the ranks of others: it runs them, and has worlds. */
export interface OwnRanks extends WorldDesk {
  /** @param desk  where its world is */
  runRank(call: RankCall, desk: WorldDesk): Promise<RankEnd>;
}

/**
 * From now on the node at the other end has ranks run here, and asks worlds here; or at a third node, where `route` knows one.
 * @param node  the number of the one at the other end, by which others know it
 */
export function serveRanks(
  peer: Peer,
  own: OwnRanks,
  route: (node: number) => Peer | null = () => null,
  node: number = HERE,
): void {
  peer.handle(RUN_RANK, async ([to, world, tenant, instance, init]) => {
    const call = { tenant: logBookId(tenant), instance: instance as InstanceId, init: copy(init) };
    const third = to === HERE ? null : routed(route, to);
    // Whose world it is knows the one who passes it on.
    const end = third === null ? await own.runRank(call, remoteDesk(peer, world)) : await runRank(third, HERE, node, call);
    return end.kind === "refused" ? fields(end.kind, end.reason, 0, 0) : fields(end.kind, end.failure, end.dependency, end.cpuMs);
  });
  peer.handle(ASK_WORLD, async ([to, root, rank, ask, seen, bytes]) => {
    const what = RANK_ASKS[ask];
    if (what === undefined) {
      throw new NeapError("BAD_MESSAGE", `a rank asks for ${ask} of its world`);
    }
    const desk = to === HERE ? own : remoteDesk(routed(route, to), HERE);
    const answer = await desk.ask(root as InstanceId, rank, what, seen as SeqNum, copy(bytes));
    return fields(answer.seen, Buffer.from(answer.bytes));
  });
}

function routed(route: (node: number) => Peer | null, node: number): Peer {
  const peer = route(node);
  if (peer === null) {
    throw new NeapError("OWNER_UNAVAILABLE", "the other node is gone");
  }
  return peer;
}

/** A copy: the message's buffer is used again. */
function copy(bytes: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes);
}

/**
 * Where ranks run: as many at each node as it has workers free, this node first; and then in turn.
 * @returns for each of `count` ranks after the first, which is here: the node, null for this one
 */
export function spreadRanks(
  own: NodeLoad,
  others: readonly (NodeLoad & { readonly ranks: RankHost })[],
  count: number,
): (RankHost | null)[] {
  const nodes = [
    { ranks: null as RankHost | null, queue: own.queue + 1, workers: own.workers },
    ...others.map(({ ranks, queue, workers }) => ({ ranks: ranks as RankHost | null, queue, workers })),
  ];
  return Array.from({ length: count }, () => {
    const turns = nodes.map(({ queue, workers }) => Math.floor(queue / Math.max(1, workers)));
    const next = nodes[turns.indexOf(Math.min(...turns))];
    if (next === undefined) {
      return null;
    }
    next.queue += 1;
    return next.ranks;
  });
}
