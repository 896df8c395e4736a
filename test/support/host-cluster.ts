/** One storage node and compute nodes, each a process of its own, on loopback. */
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { type RunningHost, removeFolder, startHost, temporaryFolder } from "./host-process.ts";

export const CLUSTER_KEY = "the key of a test cluster";
const ENV = { NEAP_CLUSTER_KEY: CLUSTER_KEY };
/** Tests need a part to move although the machine is busy with the tests themselves. */
const TAKES_EVERY_PART = ["--offload-cpu-threshold", "1", "--offload-memory-threshold", "1"];

export class HostCluster {
  /** Holds the data of each node in a folder of its own. */
  readonly folder: string;
  /** Of every node. */
  readonly #flags: readonly string[];
  #storage: RunningHost;
  readonly #compute: RunningHost[] = [];

  /** Resolves when all nodes take calls. Compute nodes are called compute-0, compute-1 … */
  static async start(name: string, options: { compute: number; flags?: readonly string[] }): Promise<HostCluster> {
    const folder = temporaryFolder(name);
    const { compute, flags = [] } = options;
    const cluster = new HostCluster(folder, flags, await startStorage(folder, 0, flags));
    for (let i = 0; i < compute; i += 1) {
      cluster.#compute.push(await cluster.#startCompute(i));
    }
    return cluster;
  }

  private constructor(folder: string, flags: readonly string[], storage: RunningHost) {
    this.folder = folder;
    this.#flags = flags;
    this.#storage = storage;
  }

  get storage(): RunningHost {
    return this.#storage;
  }

  /** Of the compute node's HTTP interface. */
  url(index: number): string {
    return this.node(index).url;
  }

  node(index: number): RunningHost {
    const node = this.#compute[index];
    if (node === undefined) {
      throw new Error(`there is no compute node ${index}`);
    }
    return node;
  }

  /** Starts the storage node again after it was ended, where it was. `flags` come last and win. */
  async restartStorage(flags: readonly string[] = []): Promise<void> {
    const port = Number(new URL(this.#storage.clusterUrl).port);
    this.#storage = await startStorage(this.folder, port, [...this.#flags, ...flags]);
    await Promise.all(this.#compute.map((node) => this.#reconnected(node)));
  }

  /** Starts a compute node that was killed once more, on its old port. */
  async restartCompute(index: number): Promise<void> {
    this.#compute[index] = await this.#startCompute(index, Number(new URL(this.url(index)).port));
  }

  /** Ends everything and removes the data. */
  async close(): Promise<void> {
    await Promise.all([this.#storage, ...this.#compute].map((node) => node.kill()));
    removeFolder(this.folder);
  }

  #startCompute(index: number, port = 0): Promise<RunningHost> {
    return startHost({
      dataDirectory: join(this.folder, `compute-${index}`),
      port,
      env: ENV,
      flags: ["--role", "compute", "--node-name", `compute-${index}`, "--storage-url", this.#storage.clusterUrl, ...this.#flags],
    });
  }

  /** A node that was killed meanwhile does not count. */
  async #reconnected(node: RunningHost): Promise<void> {
    await eventually("the compute node has found the storage node again", async () => {
      if (node.process.exitCode !== null || node.process.signalCode !== null) {
        return true;
      }
      const response = await fetch(`${node.url}/v1/tenants/nobody/functions`);
      await response.arrayBuffer();
      return response.ok;
    });
  }
}

function startStorage(folder: string, port: number, flags: readonly string[]): Promise<RunningHost> {
  return startHost({
    dataDirectory: join(folder, "storage"),
    env: ENV,
    flags: [
      ...["--role", "storage", "--node-name", "store", "--cluster-listen-port", String(port)],
      ...["--recovery-scan-interval-ms", "100", ...TAKES_EVERY_PART, ...flags],
    ],
  });
}
