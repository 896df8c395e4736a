import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions, compileFunction } from "../../functions/build.ts";
import { COUNTS, curl, LINES } from "../support/curl.ts";
import { eventually } from "../support/eventually.ts";
import { HostCluster } from "../support/host-cluster.ts";
import { call, runHost, sampleModule, upload } from "../support/host-process.ts";
import { readObject, writeObject } from "../support/host-requests.ts";
import { askUntilAnswered } from "../support/keyed-call.ts";

const WORDCOUNT = { user: "ndp", function: "wordcount", input_data: "key" };

let cluster: HostCluster;

beforeAll(async () => {
  await buildFunctions({ force: false });
  // First, as it blocks this process for longer than an idle connection lives.
  const gated = await compileFunction(join(import.meta.dirname, "assembly", "gated.ts"));
  cluster = await HostCluster.start("cluster", { compute: 2 });
  for (const name of ["put", "get", "wordcount"]) {
    await upload(cluster.url(0), "ndp", name, sampleModule(`ndp/${name}`));
  }
  await upload(cluster.url(1), "ndp", "counter", sampleModule("counter"));
  await upload(cluster.url(0), "ndp", "gated", gated);
});

afterAll(() => cluster?.close());

const read = (node: number, key: string) => readObject(cluster.url(node), "ndp", key);
const write = (node: number, key: string, text: string) => writeObject(cluster.url(node), "ndp", key, text);
const begun = (node: number, name: string) => eventually(`${name} has begun`, () => read(node, `${name}/begun`));

describe("one storage node and two compute nodes", () => {
  it.each([0, 1])("answers the curl lines through compute node %i", async (node) => {
    const run = (line: string) => curl(line, cluster.url(node));
    for (const line of LINES.uploads) {
      expect((await run(line)).body).toBe("Function upload complete\n");
    }
    expect((await run(LINES.put)).body).toBe("OK");
    expect((await run(LINES.get)).body).toBe("v1 v2 v3");

    const pushed = await run(LINES.wordcount);
    expect(pushed).toMatchObject({ status: 200, body: COUNTS });
    expect(pushed.headers.get("neap-executed-at")).toBe(`compute@compute-${node}, storage@store`);
    expect(pushed.headers.get("neap-parts")).toMatch(/^"storage@store";reason="marked by the function";out=\d+;back=\d+$/);

    const local = await run(LINES.wordcountHere);
    expect(local).toMatchObject({ status: 200, body: COUNTS });
    expect(local.headers.get("neap-executed-at")).toBe(`compute@compute-${node}`);
    expect(local.headers.get("neap-parts")).toContain('reason="forbidden by the request"');
  });

  it("of which a compute node names the storage node as the place of all data, and ends without a complaint", async () => {
    const node = cluster.node(1);
    expect(node.output()).toContain(`listening on ${node.url}, storage node at ${cluster.storage.clusterUrl}\n`);
    expect(node.output()).not.toContain("data in");
    expect(await node.stop()).toBe(0);
    const [, afterSignal] = node.output().split("SIGTERM: stopping");
    expect(
      afterSignal
        ?.trim()
        .split("\n")
        .filter((line) => line.includes('"level"') && !line.includes('"level":"info"')),
    ).toEqual([]);
    await cluster.restartCompute(1);
  });

  it("F29: shows through one node at once what was written through the other", async () => {
    for (let i = 0; i < 50; i += 1) {
      const [writer, reader] = i % 2 === 0 ? [0, 1] : [1, 0];
      await call(cluster.url(writer), { user: "ndp", function: "put", input_data: `seen ${i}` });
      expect((await call(cluster.url(reader), { user: "ndp", function: "get", input_data: "seen" })).body).toBe(`${i}`);
      await call(cluster.url(writer), { user: "ndp", function: "counter", input_data: "both" });
    }
    expect(await read(0, "both")).toBe("50");
    expect(await read(1, "both")).toBe("50");
  });

  it("counts each increment once when both nodes count the same object at the same time", async () => {
    const request = { user: "ndp", function: "counter", input_data: "hot" };
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => call(cluster.url(i % 2), request)));
    const numbers = answers.map(({ body }) => Number(body)).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  it("refuses a compute node with another cluster key: it ends, and names the code", async () => {
    const { code, output } = await runHost({
      dataDirectory: join(cluster.folder, "stranger"),
      env: { NEAP_CLUSTER_KEY: "the key of another cluster" },
      flags: ["--role", "compute", "--storage-url", cluster.storage.clusterUrl],
    });
    expect(code).toBe(1);
    expect(output).toMatch(/^neap: CLUSTER_KEY_REFUSED: .+$/m);
    expect((await call(cluster.url(0), WORDCOUNT)).body).toBe(COUNTS);
  });
});

describe("a storage node that refuses parts", () => {
  it.each([
    ["--offload-slots", /"compute@compute-0";reason="refused: no free slot: 0 of 0 in use";out=\d+;back=0/],
    ["--offload-memory-threshold", /"compute@compute-0";reason="refused: memory in use \d+ %, threshold 0 %";out=\d+;back=0/],
    ["--offload-cpu-threshold", /"compute@compute-0";reason="refused: CPU in use \d+ %, threshold 0 %";out=\d+;back=0/],
  ])("by %s 0 has the part run at the caller, with the same result and the reason in the answer", async (flag, reason) => {
    expect(await cluster.storage.stop()).toBe(0);
    await cluster.restartStorage([flag, "0"]);
    // The machine's load is known only after a moment.
    const refused = await eventually("a part is refused", async () => {
      const answer = await call(cluster.url(0), WORDCOUNT);
      expect([answer.status, answer.body]).toEqual([200, COUNTS]);
      return answer.headers.get("neap-parts")?.includes("refused") && answer;
    });
    expect(refused.headers.get("neap-parts")).toMatch(reason);
    expect(refused.headers.get("neap-executed-at")).toBe("compute@compute-0");
  });

  it("takes them again when it may", async () => {
    await cluster.storage.stop();
    await cluster.restartStorage();
    expect((await call(cluster.url(0), WORDCOUNT)).headers.get("neap-executed-at")).toContain("storage@store");
  });
});

describe("nodes that fail", () => {
  it("F21, H17: a part whose storage node is killed runs again, and happened once", async () => {
    const answer = call(cluster.url(0), { user: "ndp", function: "gated", input_data: "part lost" });
    await begun(1, "lost");
    await cluster.storage.kill();
    await cluster.restartStorage();
    await write(1, "lost/gate", "open");
    const { status, body, headers } = await answer;
    expect([status, body]).toEqual([200, "1"]);
    expect(headers.get("neap-parts")).toContain('"compute@compute-0";reason="lost: ');
    expect([await read(0, "lost/begun"), await read(0, "lost/ended")]).toEqual(["1", "1"]);
  });

  it("F1: a call whose owner is killed goes on with the next one, and happened once", async () => {
    const answer = call(cluster.url(1), { user: "ndp", function: "gated", input_data: "here orphan" });
    await begun(0, "orphan");
    await cluster.storage.kill();
    await cluster.restartStorage();
    await write(0, "orphan/gate", "open");
    expect(await answer).toMatchObject({ status: 200, body: "1" });
    expect([await read(0, "orphan/begun"), await read(0, "orphan/ended")]).toEqual(["1", "1"]);
  });

  it("F27: a call whose compute node is killed is finished by the other one, once", async () => {
    const request = { user: "ndp", function: "gated", input_data: "here heir" };
    const key = { "idempotency-key": "heir" };
    const lost = call(cluster.url(0), request, key).catch((error: unknown) => error);
    await begun(1, "heir");
    await cluster.node(0).kill();
    expect(await lost).toBeInstanceOf(TypeError);
    await write(1, "heir/gate", "open");
    await eventually("the call is finished", async () => (await read(1, "heir/ended")) === "1");
    expect(await call(cluster.url(1), request, key)).toMatchObject({ status: 200, body: "1" });
    expect([await read(1, "heir/begun"), await read(1, "heir/ended")]).toEqual(["1", "1"]);
    await cluster.restartCompute(0);
    expect(await call(cluster.url(0), request, key)).toMatchObject({ status: 200, body: "1" });
  });

  it("a storage node that stands still for longer than its sessions live loses no call and doubles none", async () => {
    const clients = 6;
    let stopped = false;
    const sums = Array.from({ length: clients }, async (_, client) => {
      let sum = 0;
      for (let n = 0; !stopped; n += 1) {
        const keyed = { key: `still-${client}-${n}`, tenant: "ndp", functionName: "counter", input: "still" };
        await askUntilAnswered(() => cluster.url(client % 2), keyed);
        sum += 1;
      }
      return sum;
    });
    await eventually("calls are counted", async () => Number(await read(0, "still")) > 20);
    const { process: storage } = cluster.storage;
    storage.kill("SIGSTOP");
    const ended = "the session with the storage node has ended";
    const before = cluster.node(0).output().split(ended).length;
    await eventually("a session has ended", () => cluster.node(0).output().split(ended).length > before);
    storage.kill("SIGCONT");
    const reached = Number(await eventually("it answers again", () => read(0, "still")));
    await eventually("calls are counted again", async () => Number(await read(1, "still")) > reached + 20);
    stopped = true;
    const total = (await Promise.all(sums)).reduce((sum, one) => sum + one, 0);
    expect(await read(0, "still")).toBe(`${total}`);
  });
});
