import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../functions/build.ts";
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
import { pollUntilDone, readObject, writeObject } from "../support/host-requests.ts";
import { threadCount } from "../support/process-status.ts";

const folders: string[] = [];
const hosts: RunningHost[] = [];

async function start(flags: readonly string[]): Promise<RunningHost> {
  const dataDirectory = temporaryFolder("guests");
  folders.push(dataDirectory);
  const host = await startHost({ dataDirectory, flags });
  hosts.push(host);
  return host;
}

afterAll(async () => {
  await Promise.all(hosts.map((host) => host.kill()));
  folders.forEach(removeFolder);
});

const guest = (name: string) => compileFunction(join(import.meta.dirname, "assembly", `${name}.ts`));

describe("functions that wait", () => {
  let host: RunningHost;

  beforeAll(async () => {
    // First, as it blocks this process for longer than an idle connection lives.
    const guests = { gated: await guest("gated"), sleeper: await guest("sleeper") };
    host = await start(["--log-level", "error", "--tenant-max-sandboxes", "4000"]);
    await upload(host.url, "demo", "gated", guests.gated);
    await upload(host.url, "demo", "sleeper", guests.sleeper);
  });

  it("go on with the module they began with when another one is uploaded under their name", async () => {
    const old = call(host.url, { user: "demo", function: "gated", input_data: "here old" });
    await eventually("the call has begun", () => readObject(host.url, "demo", "old/begun"));
    await upload(host.url, "demo", "gated", sampleModule("hello"));
    expect((await call(host.url, { user: "demo", function: "gated", input_data: "new" })).body).toBe("Hello, new!");
    await writeObject(host.url, "demo", "old/gate", "open");
    expect(await old).toMatchObject({ status: 200, body: "1" });
    expect(await readObject(host.url, "demo", "old/begun")).toBe("1");
  });

  it("H1: 2,000 calls suspended at once take a handful of threads, and all of them end", async () => {
    const calls = 2000;
    /** The others wait for a sandbox: workers share them evenly, and what is over is nobody's. */
    const atOnce = 1900;
    const pid = host.process.pid ?? 0;
    const idleThreads = threadCount(pid);
    const ids = await Promise.all(
      Array.from({ length: calls }, async () => {
        const { status, body } = await call(host.url, { user: "demo", function: "sleeper", input_data: "10000", async: true });
        return status === 200 ? Number(body) : Number.NaN;
      }),
    );
    expect(new Set(ids).size).toBe(calls);
    await eventually("all of them are suspended", async () => {
      const { load } = (await (await fetch(`${host.url}/v1/status`)).json()) as { load: { active: number } };
      return load.active >= atOnce;
    });
    expect(threadCount(pid)).toBeLessThanOrEqual(idleThreads + 4);
    for (const id of ids) {
      const done = await pollUntilDone(host.url, "demo", id);
      expect(JSON.parse(done.body)).toMatchObject({ id, output_data: "awake", return_value: 0 });
    }
  });
});
