import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findClang } from "../../functions/clang.ts";
import { eventually } from "../support/eventually.ts";
import {
  call,
  type RunningHost,
  removeFolder,
  sampleModule,
  startHost,
  temporaryFolder,
  upload,
} from "../support/host-process.ts";
import { heatOf } from "../support/mpi-results.ts";

const USER = "mpi";
const heat = (url: string, input: string, more: object = {}) =>
  call(url, { user: USER, function: "heat", input_data: input, mpi: true, mpi_world_size: 4, ...more });

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

  it("is over when the host is killed, whoever asks", { timeout: 120_000 }, async () => {
    const lost = heat(host.url, "400 1000000", { id: 77 }).catch(() => null);
    await eventually("the ranks compute", async () => {
      const response = await fetch(`${host.url}/v1/tenants/${USER}/instances?state=unfinished`);
      const { instances } = (await response.json()) as { instances: unknown[] };
      return instances.length === 4;
    });
    await host.kill();
    await lost;
    host = await start();
    const answer = await heat(host.url, "400 1000000", { id: 77 });
    expect(answer.status).toBe(500);
    expect(answer.body).toContain("WORLD_LOST: rank 0 of 4 was interrupted: messages of its world are gone");
  });
});
