import { fetch } from "undici";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningHost, removeFolder, sampleModule, startHost, temporaryFolder, upload } from "../support/host-process.ts";

const folder = temporaryFolder("regions");
let host: RunningHost;

beforeAll(async () => {
  host = await startHost({ dataDirectory: folder, flags: ["--compute-workers", "2"] });
  await upload(host.url, "lab", "matrix", sampleModule("matrix"));
}, 120_000);

afterAll(async () => {
  await host.stop();
  removeFolder(folder);
});

async function call(user: string, input: string): Promise<{ status: number; code: string | null; text: string }> {
  const body = JSON.stringify({ user, function: "matrix", input_data: input });
  const answer = await fetch(`${host.url}/f/`, { method: "POST", body });
  return { status: answer.status, code: answer.headers.get("neap-error"), text: await answer.text() };
}

it("functions of a started host share a region, and get what they get by copies", async () => {
  const [region, copy] = [await call("lab", "40 4 region"), await call("lab", "40 4 copy")];
  expect(region).toMatchObject({ status: 200, text: copy.text });
  expect(Number(region.text)).toBeGreaterThan(0);
  const metrics = await (await fetch(`${host.url}/metrics`)).text();
  expect(metrics).toContain("neap_region_tenants 1");
});

it("a tenant that is isolated in processes is told that it has no regions", async () => {
  // The second tenant isolates both.
  await upload(host.url, "other", "matrix", sampleModule("matrix"));
  expect(await call("other", "8 1")).toMatchObject({ status: 501, code: "REGIONS_ISOLATED" });
  expect(await call("lab", "8 1")).toMatchObject({ status: 501, code: "REGIONS_ISOLATED" });
});
