import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildFunctions, compileFunction } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
import { HostHome } from "../support/host-home.ts";
import { call, type RunningHost, runHost, sampleModule, upload } from "../support/host-process.ts";
import { poll, pollUntilDone, readObject, writeObject } from "../support/host-requests.ts";

const LOOP = wat(`(module (memory 1) (func (export "main") (loop (br 0))))`);
const T = "demo";

let gated: Uint8Array;
let home: HostHome;

beforeAll(async () => {
  await buildFunctions({ force: false });
  gated = await compileFunction(join(import.meta.dirname, "assembly", "gated.ts"));
});

beforeEach(() => {
  home = new HostHome();
});

afterEach(() => home.close());

/** How often a gated call has begun and ended. */
async function countsOf({ url }: RunningHost, name: string): Promise<(string | undefined)[]> {
  return [await readObject(url, T, `${name}/begun`), await readObject(url, T, `${name}/ended`)];
}

describe("a host that is stopped by SIGTERM", () => {
  it("ends with 0 within 10 s while calls sleep and loop, and what was acknowledged runs at its next start", async () => {
    let running = await home.start();
    const { url } = running;
    await upload(url, T, "gated", gated);
    await upload(url, T, "loop", LOOP);
    await upload(url, T, "counter", sampleModule("counter"));
    await writeObject(url, T, "kept", "some text");
    const finished = (await call(url, { user: T, function: "counter", input_data: "count", async: true })).body;
    const { body: result } = await pollUntilDone(url, T, finished);
    const acknowledged = (await call(url, { user: T, function: "gated", input_data: "here acknowledged", async: true })).body;
    const sleeping = call(url, { user: T, function: "gated", input_data: "here asleep" });
    const looping = call(url, { user: T, function: "loop" });
    await eventually("one gated call runs", () => readObject(url, T, "acknowledged/begun"));
    await eventually("the other one runs", () => readObject(url, T, "asleep/begun"));
    await eventually("all three are in a sandbox", async () => {
      const status = (await (await fetch(`${url}/v1/status`)).json()) as { load: { active: number } };
      return status.load.active >= 3;
    });

    const beforeMs = performance.now();
    const code = await running.stop();
    expect(code).toBe(0);
    expect(performance.now() - beforeMs).toBeLessThan(10_000);
    const [asleep, loop] = [await sleeping, await looping];
    expect([asleep.status, asleep.headers.get("neap-error")]).toEqual([504, "OUTCOME_PENDING"]);
    expect([loop.status, loop.headers.get("neap-error")]).toEqual([503, "SHUTTING_DOWN"]);

    running = await home.start();
    expect(await readObject(running.url, T, "kept")).toBe("some text");
    expect((await poll(running.url, T, finished)).body).toBe(result);
    expect((await call(running.url, { user: T, function: "counter", input_data: "count" })).body).toBe("2");
    for (const name of ["acknowledged", "asleep"]) {
      await writeObject(running.url, T, `${name}/gate`, "open");
      await eventually(`${name} ends`, () => readObject(running.url, T, `${name}/ended`));
      expect(await countsOf(running, name)).toEqual(["1", "1"]);
    }
    const done = await pollUntilDone(running.url, T, acknowledged);
    expect(JSON.parse(done.body)).toMatchObject({ id: Number(acknowledged), return_value: 0, output_data: "1" });
  });

  it("ends at once when nothing runs, and takes no call meanwhile", async () => {
    const running = await home.start();
    const beforeMs = performance.now();
    expect(await running.stop()).toBe(0);
    expect(performance.now() - beforeMs).toBeLessThan(8_000);
    await expect(fetch(`${running.url}/ping`)).rejects.toThrow(TypeError);
  });
});

describe("a call that was running whenever the host died", () => {
  it("F27: is parked after the allowed number of runs, tells so, and can be resumed", async () => {
    const flags = ["--recovery-attempts-max", "2", "--recovery-scan-interval-ms", "50"];
    let running = await home.start({ flags });
    await upload(running.url, T, "gated", gated);
    const request = { user: T, function: "gated", input_data: "here poison" };
    const key = { "idempotency-key": "poison" };
    const instances = async () =>
      ((await (await fetch(`${running.url}/v1/tenants/${T}/instances`)).json()) as { instances: { attempts: number }[] })
        .instances;
    const lost = call(running.url, request, key).catch((error: unknown) => error);
    await eventually("the call has begun", () => readObject(running.url, T, "poison/begun"));
    await running.kill();
    expect(await lost).toBeInstanceOf(TypeError);
    for (const attempts of [1, 2]) {
      running = await home.start({ flags });
      await eventually(`it runs for the ${attempts}. time again`, async () => (await instances())[0]?.attempts === attempts);
      await running.kill();
    }

    running = await home.start({ flags });
    const parked = await eventually("it is parked", async () => {
      const answer = await call(running.url, request, key);
      return answer.body.includes("parked") && answer;
    });
    expect([parked.status, parked.headers.get("neap-error")]).toEqual([504, "OUTCOME_PENDING"]);
    expect(parked.body).toContain("is parked: was running in 2 hosts that died");
    const [poison] = await instances();
    expect(poison).toEqual({ instance: parked.headers.get("neap-instance"), attempts: 2, parked: true });
    await writeObject(running.url, T, "poison/gate", "open");
    const path = `/v1/tenants/${T}/instances/${parked.headers.get("neap-instance")}/resume`;
    expect((await fetch(`${running.url}${path}`, { method: "POST" })).status).toBe(202);
    expect(await call(running.url, request, key)).toMatchObject({ status: 200, body: "1" });
    expect(await countsOf(running, "poison")).toEqual(["1", "1"]);
  });
});

describe("a host that cannot start", () => {
  it.each(["--port", "--cluster-listen-port"])(
    "because the port of %s is in use ends with PORT_IN_USE and the port, and has changed nothing",
    async (option) => {
      const first = await home.start();
      const { port } = new URL(first.url);
      const dataDirectory = join(home.folder, "other");
      const env = { NEAP_CLUSTER_KEY: "a key of a cluster" };
      const { code, output } = await runHost({ dataDirectory, flags: [option, port], env });
      expect(code).toBe(1);
      expect(output).toMatch(new RegExp(`^neap: PORT_IN_USE: port ${port} .+; ${option} .+$`, "m"));
      expect((await fetch(`${first.url}/ping`)).status).toBe(200);
      expect(existsSync(dataDirectory)).toBe(false);
    },
  );

  it("because its data folder cannot be made ends with FOLDER_UNUSABLE, the folder and the system's error", async () => {
    const { code, output } = await runHost({ dataDirectory: "/proc/none/data" });
    expect(code).toBe(1);
    expect(output).toBe(
      "neap: FOLDER_UNUSABLE: data folder /proc/none/data/journal cannot be used: ENOENT: no such file or directory, mkdir '/proc/none'\n",
    );
  });

  it("because its data folder is in use ends with JOURNAL_LOCKED, the folder and the holder", async () => {
    const first = await home.start();
    const { code, output } = await runHost({ dataDirectory: home.folder });
    expect(code).toBe(1);
    expect(output).toContain(
      `neap: JOURNAL_LOCKED: data folder ${join(home.folder, "journal")} is in use by process ${first.process.pid}`,
    );
    await writeObject(first.url, T, "key", "still served");
  });

  it.each([
    ["an unknown flag", { flags: ["--prot", "1"] }, "--prot"],
    ["an unknown NEAP_ variable", { env: { NEAP_PROT: "1" } }, "NEAP_PROT"],
    ["a value out of range", { flags: ["--wall-time-ms", "0"] }, "--wall-time-ms"],
    ["a missing cluster key", { flags: ["--role", "storage"] }, "NEAP_CLUSTER_KEY"],
  ])("because of %s ends with BAD_OPTION and its name", async (_what, options, name) => {
    const { code, output } = await runHost({ dataDirectory: home.folder, ...options });
    expect(code).toBe(1);
    expect(output).toMatch(/^neap: BAD_OPTION: /m);
    expect(output).toContain(name);
  });
});
