import { readFileSync } from "node:fs";
import { fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
import {
  type Answer,
  call,
  type RunningHost,
  removeFolder,
  sampleModule,
  startHost,
  temporaryFolder,
  upload,
} from "../support/host-process.ts";
import { workerProcesses } from "../support/worker-processes.ts";

/** Opens a region and computes until somebody ends it. */
const COMPUTES = wat(`(module
  (import "region" "open" (func $open (param i32 i32 i32 i32) (result i32)))
  (memory 1) (data (i32.const 0) "r")
  (func (export "main") (drop (call $open (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 0))) (loop $forever (br $forever))))`);

const folder = temporaryFolder("regions");
let host: RunningHost;

beforeAll(async () => {
  await buildFunctions({ force: false });
  host = await startHost({ dataDirectory: folder, flags: ["--compute-workers", "2", "--tenant-processes", "2"] });
  await uploadSamples("lab");
}, 120_000);

afterAll(async () => {
  await host.stop();
  removeFolder(folder);
});

async function uploadSamples(tenant: string): Promise<void> {
  for (const name of ["matrix", "sgd"]) {
    await upload(host.url, tenant, name, sampleModule(name));
  }
}

const matrix = (user: string, input: string): Promise<Answer> => call(host.url, { user, function: "matrix", input_data: input });
const sgd = (user: string, input: string): Promise<Answer> => call(host.url, { user, function: "sgd", input_data: input });

async function learns(user: string): Promise<void> {
  const { status, body } = await sgd(user, "64 4 1000");
  const [, before = "0", after = "0"] = /^loss (\S+) -> (\S+)$/.exec(body) ?? [];
  expect([status, body]).toEqual([200, expect.stringContaining("->")]);
  expect(Number(after)).toBeLessThan(Number(before) / 2);
}

/** The processes in which guests share memory. */
function withThreads(): number[] {
  const all = workerProcesses(host.process.pid ?? 0);
  return all.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("--allow-worker"));
}

async function security(): Promise<{ processes: number; processesWithThreads: number }> {
  return (await (await fetch(`${host.url}/v1/security`)).json()) as { processes: number; processesWithThreads: number };
}

describe("memory regions of a started host", () => {
  let product: string;

  it("are shared by functions of one tenant in threads, which get what they get by copies", async () => {
    const [region, copy] = [await matrix("lab", "40 4 region"), await matrix("lab", "40 4 copy")];
    expect(region).toMatchObject({ status: 200, body: copy.body });
    expect(Number(region.body)).toBeGreaterThan(0);
    product = region.body;
    await learns("lab");
    const metrics = await (await fetch(`${host.url}/metrics`)).text();
    expect(metrics).toContain("neap_region_tenants 1");
    expect(await security()).toMatchObject({ processes: 0, processesWithThreads: 0 });
  });

  it("H24: with a second tenant each has them in a process of its own, which alone may start threads, with the same results", async () => {
    await uploadSamples("other");
    for (const tenant of ["other", "lab"]) {
      expect(await matrix(tenant, "40 4 region")).toMatchObject({ status: 200, body: product });
      await learns(tenant);
    }
    expect((await security()).processesWithThreads).toBe(2);
  });

  it("begin empty in another process when theirs was killed", async () => {
    for (const pid of withThreads()) {
      process.kill(pid, "SIGKILL");
    }
    expect(await matrix("other", "40 4 region")).toMatchObject({ status: 200, body: product });
    await learns("lab");
  });

  it("H8: a guest that loops in such a process costs its own call: others of its tenant, and other tenants, get their results", async () => {
    await upload(host.url, "other", "computes", COMPUTES);
    const options = `${host.url}/v1/tenants/other/functions/computes/options`;
    expect((await fetch(options, { method: "PUT", body: JSON.stringify({ limits: { wallTimeMs: 1_500 } }) })).status).toBe(200);
    const before = withThreads();
    const [loops, own, others] = await Promise.all([
      call(host.url, { user: "other", function: "computes" }),
      matrix("other", "40 4 region"),
      matrix("lab", "40 4 region"),
    ]);
    expect([loops.status, loops.headers.get("neap-error")]).toEqual([504, "TIME_LIMIT"]);
    expect([own.body, others.body]).toEqual([product, product]);
    expect(withThreads()).toEqual(before);
  });

  it("a process that is killed costs no call that had made no step: it is run again", async () => {
    const running = Array.from({ length: 3 }, () => call(host.url, { user: "other", function: "computes" }));
    await eventually("they compute", async () => {
      const metrics = await (await fetch(`${host.url}/v1/status`)).json();
      return (metrics as { load: { active: number } }).load.active > 0;
    });
    for (const pid of withThreads()) {
      process.kill(pid, "SIGKILL");
    }
    for (const { status, headers } of await Promise.all(running)) {
      // Each was ended at its limit, which counts from its new beginning: by nothing else.
      expect([status, headers.get("neap-error")]).toEqual([504, "TIME_LIMIT"]);
    }
    expect(await matrix("other", "40 4 region")).toMatchObject({ status: 200, body: product });
  });
});
