import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { HostCluster } from "../support/host-cluster.ts";
import { call, sampleModule, upload } from "../support/host-process.ts";
import { readObject, writeObject } from "../support/host-requests.ts";

let cluster: HostCluster;

beforeAll(async () => {
  await buildFunctions({ force: false });
  cluster = await HostCluster.start("protocols", { compute: 2 });
  await upload(cluster.url(0), "demo", "counter", sampleModule("counter"));
  for (const name of ["put", "wordcount"]) {
    await upload(cluster.url(0), "demo", name, sampleModule(`ndp/${name}`));
  }
});

afterAll(() => cluster?.close());

interface Scope {
  readonly scope: string;
  readonly protocol: string | null;
  readonly switching: object | null;
}

const path = (node: number, rest: string) => `${cluster.url(node)}/v1/tenants/demo/${rest}`;

async function choose(node: number, scope: string, protocol: string): Promise<void> {
  const answer = await fetch(path(node, `scopes/${scope}?protocol=${protocol}`), { method: "PUT" });
  expect([answer.status, await answer.text()]).toEqual([202, expect.stringContaining(`"scope":"${scope}"`)]);
  await eventually(`scope ${scope} is in ${protocol}`, async () => {
    const { scopes } = (await (await fetch(path(node, "scopes"))).json()) as { scopes: Scope[] };
    return scopes.find((one) => one.scope === scope && one.switching === null && one.protocol === protocol);
  });
}

describe("a cluster of one storage node and two compute nodes", () => {
  it("[45] loses no update while a scope is switched through all protocols, whichever node a call or a choice comes to", async () => {
    let calls = 0;
    let isStopped = false;
    const clients = [0, 1].map(async (node) => {
      while (!isStopped) {
        calls += 1;
        const answer = await call(cluster.url(node), { user: "demo", function: "counter", input_data: "n/visits" });
        expect([answer.status, Number(answer.body)]).toEqual([200, expect.any(Number)]);
      }
    });
    for (const [i, protocol] of ["halfmoon-write", "boki", "halfmoon-read", "halfmoon-write", "halfmoon-read"].entries()) {
      await choose(i % 2, "n", protocol);
      const before = calls;
      await eventually("some calls in it", () => calls > before + 4);
    }
    isStopped = true;
    await Promise.all(clients);
    expect(await readObject(cluster.url(0), "demo", "n/visits")).toBe(`${calls}`);
  });

  it("writes from outside go where the scope's protocol looks, and storage parts read them there", async () => {
    await choose(0, "", "halfmoon-write");
    await writeObject(cluster.url(1), "demo", "text", "one two two");
    const counted = await call(cluster.url(0), { user: "demo", function: "wordcount", input_data: "text" });
    expect(counted.body).toBe("one\t1\ntwo\t2\n");
    await call(cluster.url(1), { user: "demo", function: "put", input_data: "text three" });
    expect(await readObject(cluster.url(0), "demo", "text")).toBe("three");
  });

  it("what was switched is so after the storage node was killed", async () => {
    await choose(0, "k", "boki");
    await call(cluster.url(0), { user: "demo", function: "counter", input_data: "k/x 5" });
    await cluster.storage.kill();
    await cluster.restartStorage();
    expect((await call(cluster.url(1), { user: "demo", function: "counter", input_data: "k/x" })).body).toBe("6");
    const { scopes } = (await (await fetch(path(0, "scopes"))).json()) as { scopes: Scope[] };
    expect(scopes).toContainEqual(expect.objectContaining({ scope: "k", protocol: "boki", switching: null }));
  });
});
