/** Calls that go on at another node: when theirs stops, when what they read is there, when theirs has too much to do. */
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, expect, it } from "vitest";
import { compileFunction } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { HostCluster } from "../support/host-cluster.ts";
import { call, type RunningHost } from "../support/host-process.ts";
import { pollUntilDone, readObject, writeObject } from "../support/host-requests.ts";

const USER = "demo";
const MIB = 1024 * 1024;
const MODULES = new Map<string, Uint8Array>();
let cluster: HostCluster;

beforeAll(async () => {
  for (const name of ["napper", "reader", "slices", "looper"]) {
    const source = fileURLToPath(new URL(`../migration/assembly/${name}.ts`, import.meta.url));
    MODULES.set(name, await compileFunction(source, ["--runtime", "minimal"]));
  }
}, 120_000);

afterEach(() => cluster.close());

async function start(compute: number, flags: readonly string[] = []): Promise<void> {
  cluster = await HostCluster.start("moves", {
    compute,
    flags: ["--suspend-after-ms", "200", "--grace-ms", "20000", "--evacuate-queue", "0", ...flags],
  });
}

async function upload(name: string, flags = "migratable=true"): Promise<void> {
  const response = await fetch(`${cluster.storage.url}/v1/tenants/${USER}/functions/${name}?${flags}`, {
    method: "PUT",
    body: Uint8Array.from(MODULES.get(name) ?? []),
  });
  expect(await response.text()).toContain(name);
}

const nodes = (): RunningHost[] => [cluster.storage, cluster.node(0), cluster.node(1)];
const printed = (hosts: readonly RunningHost[]): number =>
  hosts.reduce((sum, host) => sum + host.output().split('"msg":"began"').length - 1, 0);

async function moved(host: RunningHost, cause: string, outcome: string): Promise<number> {
  const text = await (await fetch(`${host.url}/metrics`)).text();
  return Number(new RegExp(`neap_moved_calls_total\\{cause="${cause}",outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
}

it("a call that sleeps when its node is told to stop ends at the storage node, from where it was, and its client gets the answer", async () => {
  await start(1);
  await upload("napper");
  const answer = call(cluster.url(0), { user: USER, function: "napper", input_data: "4000" });
  await eventually("it has begun", () => readObject(cluster.storage.url, USER, "count"));
  await writeObject(cluster.storage.url, USER, "signal", "meanwhile");
  const stopped = cluster.node(0).stop();
  const { status, body, headers } = await answer;
  expect([status, body]).toEqual([200, "count 1 signal meanwhile "]);
  expect(headers.get("neap-executed-at")).toBe("compute@compute-0, storage@store");
  expect(await stopped).toBe(0);
  expect(printed([cluster.storage, cluster.node(0)])).toBe(1);
});

it("calls of a node that stops go on at any nodes that have the least to do, each once, and each client gets its answer", async () => {
  await start(2);
  await upload("napper");
  const answers: ReturnType<typeof call>[] = [];
  for (const count of ["1", "2", "3", "4"]) {
    answers.push(call(cluster.url(0), { user: USER, function: "napper", input_data: "12000" }));
    // One after the other: who loses an update before its first step begins anew.
    await eventually(`call ${count} has begun`, async () => (await readObject(cluster.storage.url, USER, "count")) === count);
  }
  const stopped = cluster.node(0).stop();
  const told = await Promise.all(answers);
  expect(told.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(told.map(({ body }) => body.slice(0, 7)).sort()).toEqual(["count 1", "count 2", "count 3", "count 4"]);
  const places = new Set(told.map(({ headers }) => headers.get("neap-executed-at")));
  expect(places).toEqual(new Set(["compute@compute-0, compute@compute-1", "compute@compute-0, storage@store"]));
  for (const { headers } of told) {
    expect(headers.get("neap-moves")).toMatch(
      /^"(compute@compute-1|storage@store)";from="compute@compute-0";reason="its node stops";bytes=\d+$/,
    );
  }
  expect(await stopped).toBe(0);
  expect(printed(nodes())).toBe(4);
  expect(await readObject(cluster.storage.url, USER, "count")).toBe("4");
  expect((await moved(cluster.node(1), "drain", "taken")) + (await moved(cluster.storage, "drain", "taken"))).toBe(4);
});

it("a call that has moved when its first node ends is answered by its id, and under its key, by every other node", async () => {
  await start(2, ["--grace-ms", "1000"]);
  await upload("napper");
  const request = { user: USER, function: "napper", input_data: "6000", id: 77 };
  const answer = call(cluster.url(0), request);
  await eventually("it has begun", () => readObject(cluster.storage.url, USER, "count"));
  expect(await cluster.node(0).stop()).toBe(0);
  const { status, body } = await answer;
  expect([status, body]).toEqual([504, expect.stringContaining("goes on at")]);
  const polled = await pollUntilDone(cluster.url(1), USER, 77);
  expect(polled).toMatchObject({ status: 200, body: expect.stringContaining("count 1") });
  const asked = await call(cluster.url(1), request);
  expect(asked).toMatchObject({ status: 200, body: expect.stringContaining("count 1") });
  expect(Number(asked.headers.get("neap-cpu-ms"))).toBeGreaterThan(0);
  expect(polled.headers.get("neap-cpu-ms")).toBe(asked.headers.get("neap-cpu-ms"));
  expect(printed(nodes())).toBe(1);
});

it("a call that keeps reading what the storage node has goes on there, once, if that is not turned off", async () => {
  await start(1, ["--move-to-data-min-bytes", `${2 * MIB}`]);
  await upload("reader");
  await writeObject(cluster.storage.url, USER, "large", "x".repeat(MIB));
  const read = (times: number, more = {}) =>
    call(cluster.url(0), { user: USER, function: "reader", input_data: `${times}`, ...more });
  const few = await read(1);
  expect(few.headers.get("neap-executed-at")).toBe("compute@compute-0");
  const stays = await read(24, { forbid_ndp: true });
  expect(stays.headers.get("neap-executed-at")).toBe("compute@compute-0");
  const goes = await read(24);
  expect(goes.headers.get("neap-executed-at")).toBe("compute@compute-0, storage@store");
  expect(goes.headers.get("neap-moves")).toMatch(
    /^"storage@store";from="compute@compute-0";reason="has read \d+ bytes in \d+ reads, is expected to read \d+ more";bytes=\d+$/,
  );
  expect(goes.body.replace("count 3", "")).toBe(stays.body.replace("count 2", ""));
  expect(printed([cluster.storage, cluster.node(0)])).toBe(3);
  expect(await moved(cluster.node(0), "data", "moved")).toBe(1);
  expect(await moved(cluster.storage, "data", "taken")).toBe(1);
});

it("what a call reads piece by piece is one value and one step, wherever it goes on in between", async () => {
  await start(1, ["--move-to-data-min-bytes", `${MIB}`]);
  await upload("slices");
  const scope = `${cluster.storage.url}/v1/tenants/${USER}/scopes/kept?protocol=halfmoon-write`;
  expect((await fetch(scope, { method: "PUT" })).status).toBe(202);
  await writeObject(cluster.storage.url, USER, "kept/large", Buffer.alloc(1_300_000, 7));
  const read = async (more: object) => {
    const { body, headers } = await call(cluster.url(0), { user: USER, function: "slices", id: 7, ...more });
    const steps = await fetch(`${cluster.storage.url}/v1/tenants/${USER}/calls/${headers.get("neap-instance")}/steps`);
    const kinds = ((await steps.json()) as { steps: { kind: string }[] }).steps.map(({ kind }) => kind);
    return { body, kinds, executedAt: headers.get("neap-executed-at") };
  };
  const told = { body: "1300000 bytes, sum 9100000", kinds: ["init", "read", "done"] };
  expect(await read({})).toEqual({ ...told, executedAt: "compute@compute-0, storage@store" });
  expect(await read({ id: 8, forbid_ndp: true })).toEqual({ ...told, executedAt: "compute@compute-0" });
});

it("no call moves to its data where that is turned off", async () => {
  await start(1, ["--move-to-data", "false", "--move-to-data-min-bytes", "1"]);
  await upload("reader");
  await writeObject(cluster.storage.url, USER, "large", "x".repeat(MIB));
  const { headers } = await call(cluster.url(0), { user: USER, function: "reader", input_data: "12" });
  expect(headers.get("neap-executed-at")).toBe("compute@compute-0");
  expect(headers.get("neap-moves")).toBeNull();
});

it("calls leave a node that has too much to do for idle ones, in the middle, and do once what they do", async () => {
  // With room for one call at a time the others wait for a worker.
  const flags = ["--compute-workers", "1", "--active-max-calls", "4", "--evacuate-queue", "2", "--evacuate-after-ms", "300"];
  await start(2, [...flags, "--tenant-max-sandboxes", "100", "--wall-time-ms", "300000", "--cpu-time-ms", "300000"]);
  await upload("looper");
  const names = ["a", "b", "c", "d", "e"];
  const answers = names.map((name) => call(cluster.url(0), { user: USER, function: "looper", input_data: name }));
  await eventually("one has left", async () => (await taken()) > 0);
  await writeObject(cluster.storage.url, USER, "go", "now");
  const told = await Promise.all(answers);
  expect(told.map(({ status }) => status)).toEqual(names.map(() => 200));
  expect(await Promise.all(names.map((name) => readObject(cluster.storage.url, USER, name)))).toEqual(
    told.map(({ body }) => body),
  );
  expect(printed(nodes())).toBe(5);
  const moves = told.map(({ headers }) => headers.get("neap-moves")).filter((one) => one !== null);
  expect(moves.length).toBeGreaterThan(0);
  for (const one of moves) {
    expect(one).toMatch(/from="compute@compute-0";reason="its node has too much to do";bytes=\d+/);
  }
  // Nothing comes back.
  expect(await moved(cluster.node(0), "load", "taken")).toBe(0);

  async function taken(): Promise<number> {
    const counts = await Promise.all([cluster.node(1), cluster.storage].map((host) => moved(host, "load", "taken")));
    return Math.max(...counts);
  }
});
