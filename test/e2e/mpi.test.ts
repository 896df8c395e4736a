import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findClang } from "../../functions/clang.ts";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
import { HostCluster } from "../support/host-cluster.ts";
import {
  call,
  type RunningHost,
  removeFolder,
  sampleModule,
  startHost,
  temporaryFolder,
  upload,
} from "../support/host-process.ts";
import { heatOf, sortedNumbers } from "../support/mpi-results.ts";

const USER = "mpi";
const heat = (url: string, input: string, more: object = {}) =>
  call(url, { user: USER, function: "heat", input_data: input, mpi: true, mpi_world_size: 4, ...more });

/** Every rank waits for a message of any other. */
const STUCK = wat(`(module
  (import "env" "MPI_Init" (func $init (param i32 i32) (result i32)))
  (import "env" "MPI_Recv" (func $receive (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "main") (result i32)
    (drop (call $init (i32.const 0) (i32.const 0)))
    (call $receive (i32.const 0) (i32.const 1) (i32.const 6) (i32.const -1) (i32.const -1) (i32.const 1) (i32.const 0))))`);

async function unfinished(url: string): Promise<number> {
  const response = await fetch(`${url}/v1/tenants/${USER}/instances?state=unfinished`);
  const { instances } = (await response.json()) as { instances: unknown[] };
  return instances.length;
}

describe.skipIf(findClang() === null).each(["threads", "process"])("a call with MPI, with isolation %s", (isolation) => {
  const folder = temporaryFolder("mpi");
  let host: RunningHost;
  const start = () => startHost({ dataDirectory: folder, flags: ["--isolation", isolation] });

  beforeAll(async () => {
    host = await start();
    await upload(host.url, USER, "heat", sampleModule("mpi/heat"));
    await upload(host.url, USER, "sum", sampleModule("mpi/sum"));
  }, 240_000);
  afterAll(async () => {
    await host.kill();
    removeFolder(folder);
  });

  it("answers what a sequential one does", { timeout: 60_000 }, async () => {
    expect(await heat(host.url, "50 100")).toMatchObject({ status: 200, body: heatOf(50, 100) });
    expect(await heat(host.url, "50 100", { mpi: false })).toMatchObject({ status: 200, body: heatOf(50, 100) });
  });

  it("H7: is not begun anew for ranks that compute for long in one go", { timeout: 60_000 }, async () => {
    const count = 400_000_000n;
    const sum = BigInt.asUintN(64, (count * (count - 1n) * (2n * count - 1n)) / 6n);
    const request = { user: USER, function: "sum", input_data: `${count}`, mpi: true, mpi_world_size: 4 };
    expect(await call(host.url, request)).toMatchObject({ status: 200, body: `${sum}` });
  });

  it("fails with one reason when a rank does: a plate with fewer rows than ranks", { timeout: 60_000 }, async () => {
    const { status, body } = await heat(host.url, "3 1");
    expect(status).toBe(500);
    expect(body).toContain("the plate has fewer rows than there are ranks");
    expect(await heat(host.url, "50 1", { mpi_world_size: 1000 })).toMatchObject({ status: 400 });
  });

  it("whose ranks wait for each other ends at the limit of their time", { timeout: 60_000 }, async () => {
    await upload(host.url, USER, "stuck", STUCK);
    const options = `${host.url}/v1/tenants/${USER}/functions/stuck/options`;
    const set = await fetch(options, { method: "PUT", body: JSON.stringify({ limits: { wallTimeMs: 2000 } }) });
    expect(set.status).toBe(200);
    const { status, body } = await call(host.url, { user: USER, function: "stuck", mpi: true, mpi_world_size: 2 });
    expect([status, body]).toEqual([
      500,
      expect.stringMatching(/WORLD_LOST: rank [01] of 2 was ended: the call ran longer than 2000 ms/),
    ]);
  });

  it("is over when the host is killed, whoever asks", { timeout: 120_000 }, async () => {
    const lost = heat(host.url, "400 1000000", { id: 77 }).catch(() => null);
    await eventually("the ranks compute", async () => (await unfinished(host.url)) === 4);
    await host.kill();
    await lost;
    host = await start();
    const answer = await heat(host.url, "400 1000000", { id: 77 });
    expect(answer.status).toBe(500);
    expect(answer.body).toContain("WORLD_LOST: rank 0 of 4 was interrupted: messages of its world are gone");
  });
});

describe.skipIf(findClang() === null)("a world on several nodes", () => {
  let cluster: HostCluster;
  beforeAll(async () => {
    cluster = await HostCluster.start("mpi-cluster", { compute: 2 });
    await upload(cluster.url(0), USER, "heat", sampleModule("mpi/heat"));
    await upload(cluster.url(0), USER, "sort", sampleModule("mpi/sort"));
  }, 240_000);
  afterAll(() => cluster.close());

  it("has ranks at each of them, and answers what a sequential one does", { timeout: 120_000 }, async () => {
    const { status, body, headers } = await heat(cluster.url(0), "60 50");
    expect([status, body]).toEqual([200, heatOf(60, 50)]);
    expect(headers.get("neap-executed-at")).toContain("compute-0");
    expect(headers.get("neap-executed-at")).toContain("compute-1");
    // From the storage node, too.
    expect(await heat(cluster.storage.url, "60 50", { mpi_world_size: 3 })).toMatchObject({ status: 200, body: heatOf(60, 50) });
  });

  it("exchanges long messages between them", { timeout: 120_000 }, async () => {
    const input = { user: USER, function: "sort", input_data: "300000 3", mpi: true, mpi_world_size: 4 };
    const response = await fetch(`${cluster.url(0)}/f/`, { method: "POST", body: JSON.stringify(input) });
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), sortedNumbers(300_000, 3))).toBe(0);
  });

  it("is lost with one of them: the call fails, with the reason, and nothing of it runs on", { timeout: 120_000 }, async () => {
    const running = heat(cluster.url(0), "400 1000000");
    await eventually("the ranks compute", async () => (await unfinished(cluster.url(0))) === 4);
    await cluster.node(1).kill();
    const { status, body } = await running;
    expect([status, body]).toEqual([500, expect.stringContaining("WORLD_LOST: rank ")]);
    await eventually("all ranks have ended", async () => (await unfinished(cluster.url(0))) === 0);
  });
});
