import { afterEach, describe, expect, it } from "vitest";
import {
  NodeDirectory,
  type OwnRanks,
  type RankCall,
  type RankHost,
  spreadRanks,
  type WorldDesk,
} from "../../../../host/offload/index.ts";
import { remoteRankHost, serveRanks } from "../../../../host/offload/ranks.ts";
import { NeapError } from "../../../../state/errors.ts";
import type { InstanceId, LogBookId, SeqNum } from "../../../../state/ids.ts";
import { Cleanup } from "../../../support/cluster.ts";
import { ManualTime } from "../../../support/manual-time.ts";
import { peerPair } from "../../../support/peer-pair.ts";

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const ROOT = "root" as InstanceId;
const CALL: RankCall = {
  tenant: "ada" as LogBookId,
  instance: "rank" as InstanceId,
  init: Uint8Array.of(1, 2, 3),
};

/** A node that asks the world of each rank that it runs, and whose worlds answer with their node's name. */
function ranksOf(name: string, got: RankCall[] = []): OwnRanks {
  return {
    async runRank(call, desk: WorldDesk) {
      got.push(call);
      const { seen, bytes } = await desk.ask(ROOT, 3, "take", 7 as SeqNum, Buffer.from(`${name} to`));
      return {
        kind: "ended",
        failure: Buffer.from(bytes).toString(),
        dependency: seen,
        cpuMs: 2.5,
      };
    },
    async ask(root, rank, what, seen, bytes) {
      if (root !== ROOT) {
        throw new NeapError("WORLD_LOST", "the world is gone");
      }
      return {
        seen: (seen + 1) as SeqNum,
        bytes: Buffer.from(`${Buffer.from(bytes)} ${name}: ${rank} ${what}`),
      };
    },
  };
}

/** A storage node with compute nodes 1 and 2. */
async function cluster() {
  const got: RankCall[] = [];
  const taker = {
    name: "storage",
    take: async () => ({ kind: "refused", reason: "" }) as const,
  };
  const directory = new NodeDirectory({ taker, ranks: ranksOf("storage", got), load: () => null }, new ManualTime());
  const nodes = [];
  for (const name of ["one", "two"]) {
    const { near, far } = await peerPair(cleanup);
    directory.join(far);
    serveRanks(near, ranksOf(name, got));
    nodes.push({ near, far });
  }
  const [one, two] = nodes;
  if (one === undefined || two === undefined) {
    throw new Error("there are two nodes");
  }
  return { one, two, got };
}

describe("a rank of another node's world", () => {
  it("runs at a third node, and asks the world by way of the one that knows both", async () => {
    const { one, got } = await cluster();
    const end = await remoteRankHost(one.near, 2, "two").runRank(CALL);
    expect(end).toEqual({
      kind: "ended",
      failure: "two to one: 3 take",
      dependency: 8,
      cpuMs: 2.5,
    });
    expect(got.map(({ tenant, instance, init }) => [tenant, instance, [...init]])).toEqual([["ada", "rank", [1, 2, 3]]]);
  });

  it("runs at the storage node, or is the storage node's", async () => {
    const { one, two } = await cluster();
    expect(await remoteRankHost(one.near, 0, "storage").runRank(CALL)).toMatchObject({ failure: "storage to one: 3 take" });
    expect(await remoteRankHost(two.far, 0, "two").runRank(CALL)).toMatchObject({ failure: "two to storage: 3 take" });
  });

  it("fails when the other node is gone, or its world", async () => {
    const { one, two } = await cluster();
    two.near.close();
    await two.far.ended;
    await expect(remoteRankHost(one.near, 2, "two").runRank(CALL)).rejects.toThrow("the other node is gone");
    await expect(remoteRankHost(one.near, 9, "nine").runRank(CALL)).rejects.toThrow("the other node is gone");
  });
});

describe("ranks are spread", () => {
  const other = (name: string, queue: number, workers: number) => ({
    ...{
      queue,
      workers,
      ranks: {
        name,
        runRank: async () => ({ kind: "refused", reason: "" }),
      } satisfies RankHost,
    },
  });
  const names = (places: readonly (RankHost | null)[]) => places.map((place) => place?.name ?? "here");

  it("as many to each node as it has workers free, this one first, and then in turn", () => {
    const others = [other("a", 0, 2), other("b", 1, 2)];
    expect(names(spreadRanks({ queue: 0, workers: 2 }, others, 7))).toEqual(["here", "a", "a", "b", "here", "here", "a"]);
  });

  it("all here when there is no other node, or none with less to do", () => {
    expect(names(spreadRanks({ queue: 0, workers: 1 }, [], 3))).toEqual(["here", "here", "here"]);
    expect(names(spreadRanks({ queue: 0, workers: 2 }, [other("busy", 9, 1)], 3))).toEqual(["here", "here", "here"]);
  });
});
