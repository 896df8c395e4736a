import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { Bank } from "../support/bank.ts";
import { HostCluster } from "../support/host-cluster.ts";
import { type RunningHost, removeFolder, startHost, temporaryFolder } from "../support/host-process.ts";
import { prng } from "../support/prng.ts";

const KILLS = 20;
const CLUSTER_KILLS = 6;
const CLIENTS = 6;
/** A call that is running at every kill shall not be parked for it; checkpoints are made as often as can be. */
const FLAGS = ["--recovery-attempts-max", `${KILLS + 1}`, "--checkpoint-bytes", `${2 ** 20}`];
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000);

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) {
    await cleanup();
  }
});

describe("a host that is killed again and again", () => {
  it(`loses nothing it acknowledged and doubles nothing, over ${KILLS} SIGKILLs`, { timeout: 240_000 }, async () => {
    const folder = temporaryFolder("kill");
    let host: RunningHost = await startHost({ dataDirectory: folder, flags: FLAGS });
    const { url } = host;
    cleanups.push(async () => {
      await host.kill();
      removeFolder(folder);
    });
    const random = prng(seed);
    const bank = new Bank(seed, () => url);
    await bank.open();
    bank.start(CLIENTS);
    for (let kills = 0; kills < KILLS; kills += 1) {
      await pause(50 + random.below(250));
      await host.kill();
      host = await startHost({ dataDirectory: folder, flags: FLAGS, port: Number(new URL(url).port) });
    }
    await bank.stop();
    expect(bank.asked, `seed ${seed}`).toBeGreaterThan(KILLS);
    await bank.check();
    expect(await host.stop()).toBe(0);
  });
});

describe("a cluster whose nodes are killed again and again", () => {
  it(`loses nothing it acknowledged and doubles nothing, over ${CLUSTER_KILLS} SIGKILLs`, { timeout: 240_000 }, async () => {
    const cluster = await HostCluster.start("kill-cluster", { compute: 2, flags: FLAGS });
    cleanups.push(() => cluster.close());
    const random = prng(seed);
    const bank = new Bank(seed, (client) => cluster.url(client % 2));
    await bank.open();
    bank.start(CLIENTS);
    for (let kills = 0; kills < CLUSTER_KILLS; kills += 1) {
      await pause(50 + random.below(250));
      const victim = random.below(4);
      if (victim < 2) {
        await cluster.node(victim).kill();
        await cluster.restartCompute(victim);
      } else {
        await cluster.storage.kill();
        await cluster.restartStorage();
      }
    }
    await bank.stop();
    expect(bank.asked, `seed ${seed}`).toBeGreaterThan(CLUSTER_KILLS);
    await bank.check();
  });
});
