/** Does harm at times that the seed chooses, and undoes it at the end. */

import { Trace } from "../../host/invocation/context.ts";
import { initOf } from "../../host/invocation/instance-record.ts";
import { NeapError } from "../../state/errors.ts";
import type { InstanceId } from "../../state/ids.ts";
import { ScopeChoices } from "../../state/protocols/index.ts";
import { stepTag } from "../../state/tags.ts";
import type { Prng } from "../support/prng.ts";
import type { Cluster } from "./cluster.ts";
import { TENANT } from "./founding.ts";
import type { Program } from "./machine.ts";
import { WORLD } from "./process.ts";

type Harm = (cluster: Cluster, random: Prng) => void;

const pick = <T>(random: Prng, from: readonly T[]): T | undefined => from[random.below(Math.max(1, from.length))];

/** A run uses some of them only, so that rare combinations happen as well. */
const HARMS: Readonly<Record<string, Harm>> = {
  ownerKilled: (cluster) => crashOwner(cluster, "kill", () => false),
  powerCut: (cluster, random) => crashOwner(cluster, "powerCut", () => random.below(2) === 0),
  ownerCrashesAtPoint: (cluster, random) => {
    cluster.crashAfterPoints = 1 + random.below(40);
    cluster.crashKind = random.below(2) === 0 ? "kill" : "powerCut";
  },
  nodeKilled: (cluster, random) => {
    const node = pick(random, cluster.nodes);
    if (node?.host !== undefined) {
      node.crash(random.below(2) === 0);
    }
  },
  connectionLost: (cluster, random) => pick(random, cluster.nodes)?.cut(random.below(3) === 0),
  nodePaused: (cluster, random) => {
    const process = pick(random, cluster.nodes)?.process;
    if (process !== undefined) {
      process.pausedUntilMs = cluster.scheduler.nowMs + random.below(8_000);
    }
  },
  ownerPaused: (cluster, random) => {
    cluster.ownerProcess.pausedUntilMs = cluster.scheduler.nowMs + random.below(500);
  },
  guestEnded: (cluster, random) => {
    const guest = pick(random, [...(pick(random, cluster.hosts)?.pool.running ?? [])]);
    if (random.below(2) === 0) {
      guest?.displace();
    } else {
      guest?.kill(random.below(2) === 0 ? "workerLost" : "overloaded");
    }
  },
  flushFails: (cluster, random) => {
    cluster.disk.nextFlush = random.below(2) === 0 ? "lost" : "refused";
  },
  diskFull: (cluster, random) => {
    const { disk } = cluster;
    const used = disk.list().reduce((sum, name) => sum + disk.bytes(name).length, 0);
    disk.capacityBytes = used + random.below(2) * 4096;
    cluster.scheduler.at(WORLD, 200 + random.below(2_000), "disk has room", () => {
      disk.capacityBytes = Number.POSITIVE_INFINITY;
    });
  },
  bitFlips: (cluster) => {
    cluster.flips = true;
  },
  slowDisk: (cluster, random) => {
    cluster.diskMaxMs = 50 + random.below(400);
    cluster.scheduler.at(WORLD, 2_000, "disk is fast", () => {
      cluster.diskMaxMs = 2;
    });
  },
  clockJumps: (cluster, random) => {
    for (const process of [cluster.ownerProcess, ...cluster.nodes.map((node) => node.process)]) {
      process.skewMs = random.below(20_000) - 10_000;
    }
  },
};

const RARELY_MS = 20_000;

export class Nemesis {
  readonly #cluster: Cluster;
  readonly #random: Prng;
  readonly #harms: (readonly [string, Harm])[];
  readonly #everyMs: number;
  #stopped = false;

  constructor(cluster: Cluster, random: Prng) {
    this.#cluster = cluster;
    this.#random = random;
    this.#everyMs = 100 + random.below(1_500);
    this.#harms = Object.entries(HARMS).filter(() => !cluster.options.isCalm && random.below(2) === 0);
    if (cluster.options.isCalm) {
      return;
    }
    this.#next();
    const often = (): number => 20 + random.below(500);
    this.#steadily(random.below(3) === 0 ? RARELY_MS : often(), "collection", () => collect(cluster));
    this.#steadily(random.below(3) === 0 ? often() : RARELY_MS, "checkpoint", () => checkpoint(cluster));
    this.#steadily(random.below(3) > 0 ? RARELY_MS : often() / 4, "second attempt", () => secondAttempt(cluster, random));
    if (random.below(2) === 0) {
      this.#steadily(300 + random.below(1_000), "cancel", () => cancelOne(cluster, random));
    }
    if (random.below(3) === 0) {
      this.#steadily(100 + random.below(1_000), "break a lock", () => breakLock(cluster, random));
    }
    if (cluster.options.layout.switched.length > 0) {
      this.#steadily(200 + random.below(1_500), "switch", () => switchScope(cluster, random));
    }
  }

  get harms(): string {
    return this.#harms.map(([name]) => name).join(" ");
  }

  /** No more harm: what is broken is mended. */
  stop(): void {
    this.#stopped = true;
    const { disk, scheduler } = this.#cluster;
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    disk.nextFlush = "works";
    this.#cluster.diskMaxMs = 2;
    this.#cluster.crashAfterPoints = Number.POSITIVE_INFINITY;
    this.#cluster.flips = false;
    for (const process of [this.#cluster.ownerProcess, ...this.#cluster.nodes.map((node) => node.process)]) {
      process.pausedUntilMs = Math.min(process.pausedUntilMs, scheduler.nowMs);
    }
  }

  /** Does again and again what is no harm at all. */
  #steadily(everyMs: number, label: string, action: () => Promise<void>): void {
    this.#cluster.scheduler.at(WORLD, this.#random.below(2 * everyMs), label, () => {
      if (!this.#stopped) {
        void action();
        this.#steadily(everyMs, label, action);
      }
    });
  }

  #next(): void {
    this.#cluster.scheduler.at(WORLD, this.#random.below(2 * this.#everyMs), "nemesis", () => {
      if (this.#stopped) {
        return;
      }
      const harm = pick(this.#random, this.#harms);
      if (harm !== undefined) {
        this.#cluster.scheduler.note(`nemesis: ${harm[0]}`);
        this.#cluster.coverage.add(`harm: ${harm[0]}`);
        harm[1](this.#cluster, this.#random);
      }
      this.#next();
    });
  }
}

function crashOwner(cluster: Cluster, kind: "kill" | "powerCut", keep: () => boolean): void {
  if (cluster.ownerProcess.alive) {
    cluster.crashOwner(kind, keep);
  }
}

/** Collects as the host does from time to time. */
export async function collect(cluster: Cluster): Promise<void> {
  const { owner } = cluster;
  try {
    await owner?.shard.collect();
  } catch (error) {
    if (!(error instanceof NeapError)) {
      cluster.fail(error);
    }
  }
}

/** At any time, not only when enough has been written. */
async function checkpoint(cluster: Cluster): Promise<void> {
  try {
    await cluster.owner?.shard.checkpoint();
  } catch (error) {
    cluster.fail(error);
  }
}

/** Runs an instance on one more host, although somebody may be running it: peers are harmless. */
async function secondAttempt(cluster: Cluster, random: Prng): Promise<void> {
  const { owner } = cluster;
  const host = pick(random, cluster.hosts);
  if (owner === undefined || host === undefined) {
    return;
  }
  try {
    const instance = pick(random, await owner.shard.unfinished(TENANT));
    const first = instance && (await owner.shard.book(TENANT).readStream(stepTag(instance.instance), 0)).records[0];
    const init = first && initOf(first);
    if (init !== undefined && instance !== undefined && init.notBeforeMs <= host.process.now()) {
      const { epoch } = owner.shard;
      const begin = { kind: "logged" } as const;
      const spec = { tenant: TENANT, instance: instance.instance as InstanceId, init, epoch, begin };
      cluster.coverage.add("second attempt");
      await host.invocations.run(spec, new Trace());
    }
  } catch (error) {
    if (!(error instanceof NeapError)) {
      cluster.fail(error);
    }
  }
}

/** Cancels what may be cut, as an administrator does. */
async function cancelOne(cluster: Cluster, random: Prng): Promise<void> {
  const host = pick(random, cluster.hosts);
  await unlessRefused(cluster, async () => {
    const { owner } = cluster;
    const instance = pick(random, (await owner?.shard.unfinished(TENANT)) ?? [])?.instance as InstanceId | undefined;
    const first = instance && (await owner?.shard.book(TENANT).readStream(stepTag(instance), 0))?.records[0];
    const input = first && initOf(first).input;
    if (instance !== undefined && input?.kind === "inline") {
      const { mayBeCut } = JSON.parse(Buffer.from(input.bytes).toString()) as Program;
      await (mayBeCut ? host?.invocations.cancel(instance, TENANT) : undefined);
    }
  });
}

async function breakLock(cluster: Cluster, random: Prng): Promise<void> {
  const host = pick(random, cluster.hosts);
  await unlessRefused(cluster, async () => {
    const lock = pick(random, (await host?.invocations.locks(TENANT)) ?? []);
    await (lock === undefined ? undefined : host?.invocations.breakLock(lock.name, TENANT, "administrator"));
  });
}

/** As an administrator does, through any host. */
async function switchScope(cluster: Cluster, random: Prng): Promise<void> {
  const { switched, modes } = cluster.options.layout;
  const host = pick(random, cluster.hosts);
  const [scope, mode] = [pick(random, switched), pick(random, [...modes, "automatic" as const])];
  if (host === undefined || scope === undefined || mode === undefined) {
    return;
  }
  await unlessRefused(cluster, () => new ScopeChoices(host.source, 1_000).choose(TENANT, scope, mode));
}

async function unlessRefused(cluster: Cluster, action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof NeapError)) {
      cluster.fail(error);
    }
  }
}
