/** What is verified: host processes that can be killed and come back where they were. */
import { join } from "node:path";
import { HostCluster } from "../support/host-cluster.ts";
import { type RunningHost, startHost } from "../support/host-process.ts";
import type { Prng } from "../support/prng.ts";

export interface Deployment {
  /** Where a client sends its calls. */
  url(client: number): string;
  /** SIGKILL for one of the processes, which is running again when this resolves. */
  killOne(random: Prng): Promise<void>;
  /** Ends everything. */
  close(): Promise<void>;
}

/** One process with every role. `folder` is the caller's to remove. */
export async function startOne(folder: string, flags: readonly string[]): Promise<Deployment> {
  const options = { dataDirectory: join(folder, "data"), flags };
  let host: RunningHost = await startHost(options);
  const { url } = host;
  return {
    url: () => url,
    killOne: async () => {
      await host.kill();
      host = await startHost({ ...options, port: Number(new URL(url).port) });
    },
    close: () => host.kill(),
  };
}

/** A storage node and two compute nodes. */
export async function startSeparate(flags: readonly string[]): Promise<Deployment> {
  const cluster = await HostCluster.start("verify", { compute: 2, flags });
  return {
    url: (client) => cluster.url(client % 2),
    killOne: async (random) => {
      const victim = random.below(3);
      if (victim < 2) {
        await cluster.node(victim).kill();
        await cluster.restartCompute(victim);
      } else {
        await cluster.storage.kill();
        await cluster.restartStorage();
      }
    },
    close: () => cluster.close(),
  };
}
