import { afterEach, expect, test } from "vitest";
import {
  HeldStates,
  type MovedCall,
  NodeDirectory,
  nodesBehind,
  type OtherNode,
  type OwnNode,
  Spread,
  serveLoad,
  serveMoves,
} from "../../../../host/offload/index.ts";
import { type InstanceId, logBookId, type SeqNum } from "../../../../state/ids.ts";
import { Anything } from "../../../../state/shape.ts";
import { Cleanup } from "../../../support/cluster.ts";
import { eventually } from "../../../support/eventually.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { peerPair } from "../../../support/peer-pair.ts";

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const CALL: MovedCall = {
  tenant: logBookId("demo"),
  instance: "i" as InstanceId,
  init: new Uint8Array(3),
  steps: {
    origin: "initialised",
    pins: { initialCursor: 1 as SeqNum, timeMs: 2, seed: new Uint8Array(16), nonce: new Uint8Array(8) },
    position: 5,
    cursor: 6 as SeqNum,
    dependency: 7 as SeqNum,
    touched: true,
    isChild: false,
    base: 8 as SeqNum,
    writes: 9,
    readsFrom: 10 as SeqNum,
    reading: null,
  },
  children: [],
  guest: new Uint8Array(300_000).fill(7),
  answer: null,
  cause: "drain",
  writtenBytes: 0,
  moves: 1,
  cpuMs: 0,
  runCpuMs: 0,
};
const TRACE = { executedAt: [], moves: [], movedBytes: 0, readBytes: 0, cpuMs: 0 };

interface Member extends OwnNode {
  readonly got: MovedCall[];
  stops: boolean;
}

function member(name: string, queue: number): Member {
  const got: MovedCall[] = [];
  return {
    got,
    stops: false,
    taker: {
      name,
      async take(call) {
        got.push(call);
        return { kind: "logged", trace: TRACE };
      },
    },
    ranks: {
      runRank: async () => ({ kind: "refused", reason: "not here" }),
      ask: async (_root, _rank, _what, seen, bytes) => ({ seen, bytes }),
    },
    load() {
      return this.stops ? null : { queue, workers: 2 };
    },
  };
}

/** A storage node with compute nodes, each over a connection of its own. */
async function cluster(names: readonly string[]) {
  const time = new ManualTime();
  const storage = member("storage@s", 3);
  const directory = new NodeDirectory(storage, time);
  const nodes = [];
  for (const [queue, name] of names.entries()) {
    const { near, far } = await peerPair(cleanup);
    const own = member(name, queue);
    serveMoves(far, (node) => directory.taker(node), HeldStates.serve(far));
    directory.join(far);
    serveMoves(near, () => own.taker, HeldStates.serve(near));
    serveLoad(near, own);
    nodes.push({ own, near, others: nodesBehind(() => near) });
  }
  return { storage, directory, nodes, time };
}

const shown = (others: readonly OtherNode[]) => others.map(({ taker, queue, workers }) => [taker.name, queue, workers]);

test("a node is told of all others, the storage node last, and not of those that stop", async () => {
  const { nodes, directory, storage } = await cluster(["a", "b", "c"]);
  expect(shown((await nodes[0]?.others()) ?? [])).toEqual([
    ["b", 1, 2],
    ["c", 2, 2],
    ["storage@s", 3, 2],
  ]);
  expect(shown(await directory.nodes())).toEqual([
    ["a", 0, 2],
    ["b", 1, 2],
    ["c", 2, 2],
  ]);
  storage.stops = true;
  if (nodes[1] !== undefined) {
    nodes[1].own.stops = true;
  }
  expect(shown((await nodes[0]?.others()) ?? [])).toEqual([["c", 2, 2]]);
});

test("a call goes to the node that it was sent to, over the storage node, as it was", async () => {
  const { nodes, storage } = await cluster(["a", "b", "c"]);
  const others = (await nodes[0]?.others()) ?? [];
  for (const { taker } of others) {
    expect(await taker.take(CALL)).toEqual({ kind: "logged", trace: TRACE });
  }
  expect(nodes.map(({ own }) => own.got.length)).toEqual([0, 1, 1]);
  expect(storage.got).toHaveLength(1);
  const [got] = nodes[2]?.own.got ?? [];
  expect(Buffer.compare(got?.guest ?? new Uint8Array(0), CALL.guest)).toBe(0);
});

test("a node that is gone refuses, one that does not answer soon is left out", async () => {
  const { nodes, time } = await cluster(["a", "b", "c"]);
  const others = (await nodes[0]?.others()) ?? [];
  nodes[1]?.near.close();
  await eventually("the storage node has noticed", async () => ((await nodes[0]?.others()) ?? []).length === 2);
  expect(await others[0]?.taker.take(CALL)).toEqual({ kind: "refused", reason: "the node is gone" });
  const isAsked = Promise.withResolvers<void>();
  nodes[2]?.near.handle({ name: "offload.load", body: Anything, answer: Anything }, () => {
    isAsked.resolve();
    return new Promise(() => {});
  });
  const answer = nodes[0]?.others() ?? Promise.resolve([]);
  await isAsked.promise;
  time.advance(1_000);
  expect(shown(await answer)).toEqual([["storage@s", 3, 2]]);
});

test("calls are spread so that each node has as much to do as the others", () => {
  const taker = (name: string) => member(name, 0).taker;
  const spread = new Spread([
    { taker: taker("small"), queue: 0, workers: 1 },
    { taker: taker("large"), queue: 0, workers: 3 },
    { taker: taker("busy"), queue: 9, workers: 3 },
  ]);
  const first = Array.from({ length: 8 }, () => spread.next()[0]?.name);
  expect(first.filter((name) => name === "small")).toHaveLength(2);
  expect(first.filter((name) => name === "large")).toHaveLength(6);
  expect(spread.next()).toHaveLength(3);
  expect(new Spread([]).next()).toEqual([]);
});
