import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
import { HostHome } from "../support/host-home.ts";
import { call, type RunningHost, sampleModule, upload } from "../support/host-process.ts";
import { isAlive, workerProcesses } from "../support/worker-processes.ts";

const LOOP = wat(`(module (memory 1) (func (export "main") (loop (br 0))))`);
const START_LOOPS = wat(`(module (memory 1) (func $s (loop (br 0))) (start $s) (func (export "main")))`);
/** Takes some seconds to be made migratable. */
const LONG_TO_REWRITE = wat(`(module (import "neap" "sleep" (func $sleep (param i64))) (memory 1)
  (func (export "main") (local i32) ${"(if (local.get 0) (then (call $sleep (i64.const 1)) (local.set 0 (i32.load (local.get 0)))))".repeat(4_000)}))`);
const PROCESSES = ["--isolation", "process"];
const KILLS = 3;
const CLIENTS = 8;

let home: HostHome;
beforeAll(() => buildFunctions({ force: false }));
beforeEach(() => {
  home = new HostHome();
});
afterEach(() => home.close());

interface Security {
  readonly isolation: string;
  readonly tenants: number;
  readonly processes: number;
  readonly processDefences: Record<string, unknown> | null;
}

async function security({ url }: RunningHost): Promise<Security> {
  return (await (await fetch(`${url}/v1/security`)).json()) as Security;
}

async function count({ url }: RunningHost, tenant: string, key = "tides"): Promise<string> {
  const { status, body } = await call(url, { user: tenant, function: "counter", input_data: key });
  expect([status, body]).toEqual([200, expect.any(String)]);
  return body;
}

const workers = ({ process: { pid } }: RunningHost): number[] => workerProcesses(pid ?? 0);

async function tenantWorkers(host: RunningHost, tenants: number): Promise<number[]> {
  return eventually("each tenant has a process, and one lies ready", () => {
    const found = workers(host);
    return found.length === tenants + 1 && found;
  });
}

describe("which tenants have processes", () => {
  test("H24: one tenant alone runs in threads, from the second one on both run in processes, also after a new start", async () => {
    let host = await home.start();
    expect(host.output()).toContain("processes from the second on");
    await upload(host.url, "acme", "counter", sampleModule("counter"));
    expect([await count(host, "acme"), workers(host)]).toEqual(["1", []]);
    await upload(host.url, "umbra", "counter", sampleModule("counter"));
    expect([await count(host, "umbra"), await count(host, "acme")]).toEqual(["1", "2"]);
    await tenantWorkers(host, 2);
    expect(await security(host)).toMatchObject({ isolation: "auto", tenants: 2, processes: 3 });
    await host.stop();
    host = await home.start();
    expect([await count(host, "acme"), workers(host).length > 0]).toEqual(["3", true]);
  });

  test("the tenants file says it of each tenant, before the option", async () => {
    const file = join(home.folder, "tenants.json");
    writeFileSync(file, JSON.stringify({ acme: { isolation: "threads" }, "*": { isolation: "process" } }));
    const host = await home.start({ flags: ["--isolation", "threads", "--tenants-file", file, "--process-reserve", "0"] });
    for (const [tenant, processes] of [
      ["acme", 0],
      ["umbra", 1],
    ] as const) {
      await upload(host.url, tenant, "counter", sampleModule("counter"));
      expect([await count(host, tenant), workers(host).length]).toEqual(["1", processes]);
    }
  });

  test("with threads for all there are no processes, and the start-up line says so", async () => {
    const host = await home.start({ flags: ["--isolation", "threads"] });
    for (const tenant of ["acme", "umbra"]) {
      await upload(host.url, tenant, "counter", sampleModule("counter"));
      await count(host, tenant);
    }
    expect([workers(host), (await security(host)).processDefences]).toEqual([[], null]);
    expect(host.output()).toContain("tenants share the threads of this process");
  });

  test("a tenant without calls has no process after the idle time, and gets one with the next call", async () => {
    const host = await home.start({ flags: [...PROCESSES, "--process-reserve", "0", "--tenant-process-idle-ms", "300"] });
    await upload(host.url, "acme", "counter", sampleModule("counter"));
    await count(host, "acme");
    await eventually("its process ends", () => workers(host).length === 0);
    expect(await count(host, "acme")).toBe("2");
  });

  test("storage parts of an isolated tenant run in a process of its own beside the data", async () => {
    const idle = ["--offload-cpu-threshold", "1", "--offload-memory-threshold", "1"];
    const host = await home.start({ flags: [...PROCESSES, ...idle, "--process-reserve", "0"] });
    for (const name of ["put", "wordcount"]) {
      await upload(host.url, "acme", name, sampleModule(`ndp/${name}`));
    }
    await call(host.url, { user: "acme", function: "put", input_data: "key spring tide spring" });
    const { body, headers } = await call(host.url, { user: "acme", function: "wordcount", input_data: "key" });
    expect([body.includes("spring"), headers.get("neap-executed-at")]).toEqual([true, expect.stringContaining("storage@")]);
    expect(workers(host).length).toBe(2);
  });
});

describe("a tenant's process that is killed", () => {
  test(`costs no call: ${CLIENTS} clients count on over ${KILLS} SIGKILLs, each call exactly once, and another tenant sees nothing`, async () => {
    const host = await home.start({ flags: [...PROCESSES, "--process-reserve", "0"] });
    await upload(host.url, "umbra", "counter", sampleModule("counter"));
    await count(host, "umbra");
    const umbras = workers(host);
    await upload(host.url, "acme", "counter", sampleModule("counter"));
    let isOver = false;
    let asked = 0;
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (!isOver) {
        asked += 1;
        await count(host, "acme");
      }
    });
    const umbrasCounts: string[] = [];
    const umbrasClient = (async () => {
      while (!isOver) {
        umbrasCounts.push(await count(host, "umbra"));
      }
    })();
    let killed = 0;
    while (killed < KILLS) {
      const before = asked;
      await eventually("calls of acme are answered", () => asked > before + 2 * CLIENTS);
      const [pid] = workers(host).filter((one) => !umbras.includes(one));
      if (pid !== undefined) {
        process.kill(pid, "SIGKILL");
        killed += 1;
      }
    }
    await eventually("a new process has taken over", () => workers(host).length >= 2);
    isOver = true;
    await Promise.all([...clients, umbrasClient]);
    expect(await count(host, "acme")).toBe(`${asked + 1}`);
    expect(umbrasCounts).toEqual(umbrasCounts.map((_, at) => `${at + 2}`));
    expect(umbras.every(isAlive)).toBe(true);
  });
});

describe("F38: no worker process outlives the host", () => {
  test.each([
    ["stopped by SIGTERM", (host: RunningHost) => host.stop()],
    ["killed", (host: RunningHost) => host.kill()],
  ])("that is %s while a guest loops", async (_, end) => {
    const host = await home.start({ flags: [...PROCESSES, "--grace-ms", "0"] });
    await upload(host.url, "acme", "loop", LOOP);
    const looping = call(host.url, { user: "acme", function: "loop" }).catch(() => undefined);
    const found = await tenantWorkers(host, 1);
    await pause(100);
    await end(host);
    await looping;
    await eventually("all processes have ended", () => !found.some(isAlive));
  });

  test.each([
    ["of an isolated tenant's module, which loops in its start function", START_LOOPS, PROCESSES, ""],
    ["that rewrites a module", LONG_TO_REWRITE, ["--isolation", "threads"], "migratable=true"],
  ])("that is killed during an upload, nor the process %s", async (_, module, isolation, query) => {
    const host = await home.start({ flags: [...isolation, "--process-reserve", "0"] });
    const uploading = upload(host.url, "acme", "long", module, query).catch(() => undefined);
    const found = await eventually("a process has the module", () => {
      const processes = workers(host);
      return processes.length > 0 && processes;
    });
    await pause(500);
    expect(found.every(isAlive)).toBe(true);
    await host.kill();
    await uploading;
    await eventually("all processes have ended", () => !found.some(isAlive));
  });
});
