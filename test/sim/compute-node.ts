import { remoteStoragePool, type StoragePool } from "../../host/offload/index.ts";
import { NeapError } from "../../state/errors.ts";
import type { Shard, ShardSource } from "../../state/logbook/index.ts";
import type { Peer } from "../../state/remote/peer.ts";
import { RemoteShard } from "../../state/remote/remote-shard.ts";
import type { Cluster, SimHost } from "./cluster.ts";
import { latencyMs, type SimProcess, WORLD } from "./process.ts";

const RECONNECT_MS = 100;

/** A node without a disk, and its way to the owner: connects again and again, as `connectToOwner` does. */
export class ComputeNode implements ShardSource {
  readonly name: string;
  host: SimHost | undefined;
  readonly #cluster: Cluster;
  #process: SimProcess;
  #starts = 0;
  #session: { readonly peer: Peer; readonly shard: RemoteShard } | undefined;
  #waiting: ((shard: Shard) => void)[] = [];

  constructor(cluster: Cluster, name: string) {
    this.#cluster = cluster;
    this.name = name;
    this.#process = cluster.newProcess(`${name}#0`);
  }

  get process(): SimProcess {
    return this.#process;
  }

  start(): void {
    this.#starts += 1;
    this.#process = this.#cluster.newProcess(`${this.name}#${this.#starts}`);
    this.#session = undefined;
    this.#waiting = [];
    this.#dial(this.#process);
    this.host = this.#cluster.host(this.#process, this, () => this.#storage());
  }

  /** Ends the process; the owner hears of it, or finds out. */
  crash(isSilent: boolean): void {
    this.#cluster.scheduler.note(`${this.#process.name} crashes`);
    this.#process.alive = false;
    this.host = undefined;
    this.cut(isSilent);
    this.#cluster.scheduler.at(WORLD, 10 + this.#process.random.below(300), `${this.name} starts`, () => this.start());
  }

  /** Cuts the connection to the owner. */
  cut(isSilent: boolean): void {
    for (const one of [...this.#cluster.links]) {
      if (one.node === this) {
        one.link.cut(isSilent);
        this.#cluster.links.delete(one);
      }
    }
  }

  current(): Shard | undefined {
    return this.#session === undefined || this.#session.peer.failure !== undefined ? undefined : this.#session.shard;
  }

  #storage(): StoragePool | null {
    return this.current() === undefined || this.#session === undefined ? null : remoteStoragePool(this.#session.peer);
  }

  available(timeoutMs: number): Promise<Shard> {
    const current = this.current();
    if (current !== undefined) {
      return Promise.resolve(current);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Shard>();
    this.#process.after(timeoutMs, () => reject(new NeapError("OWNER_UNAVAILABLE", "no owner")));
    this.#waiting.push(resolve);
    return promise;
  }

  async close(): Promise<void> {}

  #dial(process: SimProcess): void {
    process.scheduler.at(process, latencyMs(process.random), "connects", () => {
      const connected = this.#cluster.connect(this, process);
      if (connected === undefined) {
        process.after(RECONNECT_MS, () => this.#dial(process));
        return;
      }
      const { peer, epoch } = connected;
      if (this.#session !== undefined && this.#session.shard.epoch !== epoch) {
        this.#session.shard.supersede(epoch);
      }
      const shard = new RemoteShard(peer);
      this.#session = { peer, shard };
      void peer.ended.then(() => process.after(RECONNECT_MS, () => this.#dial(process)));
      for (const resolve of this.#waiting.splice(0)) {
        resolve(shard);
      }
    });
  }
}
