/** Calls that go on at another node when theirs stops. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compileFunction } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { HostCluster } from "../support/host-cluster.ts";
import { call } from "../support/host-process.ts";
import { readObject, writeObject } from "../support/host-requests.ts";

const NAPPER = fileURLToPath(new URL("../migration/assembly/napper.ts", import.meta.url));
const USER = "demo";
let cluster: HostCluster;

beforeAll(async () => {
  const wasm = await compileFunction(NAPPER, ["--runtime", "minimal"]);
  cluster = await HostCluster.start("moves", {
    compute: 1,
    flags: ["--suspend-after-ms", "200", "--grace-ms", "20000"],
  });
  const response = await fetch(`${cluster.storage.url}/v1/tenants/${USER}/functions/moves?migratable=true`, {
    method: "PUT",
    body: Uint8Array.from(wasm),
  });
  expect(await response.text()).toContain("moves");
}, 120_000);

afterAll(() => cluster?.close());

const printed = (): number => {
  const outputs = cluster.storage.output() + cluster.node(0).output();
  return outputs.split('"msg":"began"').length - 1;
};

it("a call that sleeps when its node is told to stop ends at the storage node, from where it was, and its client gets the answer", async () => {
  const answer = call(cluster.url(0), { user: USER, function: "moves", input_data: "4000" });
  await eventually("it has begun", () => readObject(cluster.storage.url, USER, "count"));
  await writeObject(cluster.storage.url, USER, "signal", "meanwhile");
  const stopped = cluster.node(0).stop();
  const { status, body, headers } = await answer;
  expect([status, body]).toEqual([200, "count 1 signal meanwhile "]);
  expect(headers.get("neap-executed-at")).toBe("compute@compute-0, storage@store");
  expect(await stopped).toBe(0);
  expect(printed()).toBe(1);
});
