import type { Shard } from "../../state/logbook/index.ts";
import { Cluster } from "../sim/cluster.ts";
import { NO_LAYOUT } from "../sim/layout.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { describeLogBookContract } from "./logbook/contract.ts";

const SEED = 1;
const OWNER_WAIT_MS = 60_000;

for (const kind of ["kill", "powerCut"] as const) {
  describeLogBookContract(`a LogBook of another node, all simulated, after a ${kind},`, async () => {
    const scheduler = new Scheduler(SEED);
    const cluster = new Cluster(scheduler, SEED, {
      computeNodes: 1,
      segmentBytes: 4 * 1024 * 1024,
      undurableMaxBytes: 2 ** 24,
      garbageMin: 1,
      guestPauses: { percent: 0, maxMs: 1 },
      suspendAfterMs: 10_000,
      layout: NO_LAYOUT,
      isCalm: true,
      retriesMax: 1,
      checkpointBytes: Number.POSITIVE_INFINITY,
    });
    const node = cluster.nodes[0] ?? raise("there is no node");
    let isStopped = false;
    cluster.startOwner();
    node.start();
    const world = (async () => {
      while (!isStopped) {
        await scheduler.run(() => isStopped, scheduler.nowMs + 1, Number.POSITIVE_INFINITY);
      }
    })();
    return {
      shard: await node.available(OWNER_WAIT_MS),
      restart: async (): Promise<Shard> => {
        const session = node.current();
        cluster.crashOwner(kind, () => false);
        await session?.ended;
        return node.available(OWNER_WAIT_MS);
      },
      collect: async () => cluster.owner?.shard.collect(),
      // Time passes by itself.
      advance() {},
      stop: async () => {
        isStopped = true;
        await world;
        if (cluster.failure !== undefined) {
          throw cluster.failure;
        }
      },
    };
  });
}

function raise(message: string): never {
  throw new Error(message);
}
