import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions, compileFunction } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
import {
  call,
  type HostOptions,
  type RunningHost,
  removeFolder,
  runHost,
  sampleModule,
  startHost,
  temporaryFolder,
  upload,
} from "../support/host-process.ts";
import { flip, framesOf, overwrite, segmentFiles } from "../support/segment-file.ts";

const LOOP = wat(`(module (memory 1) (func (export "main") (loop (br 0))))`);
const T = "demo";

let gated: Uint8Array;
let folder: string;
let host: RunningHost | undefined;

beforeAll(async () => {
  await buildFunctions({ force: false });
  gated = await compileFunction(join(import.meta.dirname, "assembly", "gated.ts"));
});

afterEach(async () => {
  await host?.kill();
  host = undefined;
});

const folders: string[] = [];
afterAll(() => folders.forEach(removeFolder));

function newFolder(): string {
  folder = temporaryFolder("lifecycle");
  folders.push(folder);
  return folder;
}

async function start(options: Partial<HostOptions> = {}): Promise<RunningHost> {
  host = await startHost({ dataDirectory: folder, ...options });
  return host;
}

const objectUrl = ({ url }: RunningHost, key: string) => `${url}/v1/tenants/${T}/objects/${key}`;

async function read(at: RunningHost, key: string): Promise<string | undefined> {
  const response = await fetch(objectUrl(at, key));
  const text = await response.text();
  return response.ok ? text : undefined;
}

const write = (at: RunningHost, key: string, text: string) => fetch(objectUrl(at, key), { method: "PUT", body: text });

const poll = ({ url }: RunningHost, id: string) => call(url, { user: T, function: "", id: Number(id), status: true });

describe("a host that is stopped by SIGTERM", () => {
  it("ends with 0 within 10 s while calls sleep and loop, and what was acknowledged runs at its next start", async () => {
    newFolder();
    let running = await start();
    const { url } = running;
    await upload(url, T, "gated", gated);
    await upload(url, T, "loop", LOOP);
    await upload(url, T, "counter", sampleModule("counter"));
    await write(running, "kept", "some text");
    const finished = (await call(url, { user: T, function: "counter", input_data: "count", async: true })).body;
    const result = await eventually("the counter's call is done", async () => {
      const { body } = await poll(running, finished);
      return body !== "RUNNING" && body;
    });
    const acknowledged = (await call(url, { user: T, function: "gated", input_data: "here acknowledged", async: true })).body;
    const sleeping = call(url, { user: T, function: "gated", input_data: "here asleep" });
    const looping = call(url, { user: T, function: "loop" });
    await eventually(
      "both gated calls run",
      async () => (await read(running, "acknowledged/begun")) && read(running, "asleep/begun"),
    );
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

    running = await start();
    expect(await read(running, "kept")).toBe("some text");
    expect((await poll(running, finished)).body).toBe(result);
    expect((await call(running.url, { user: T, function: "counter", input_data: "count" })).body).toBe("2");
    for (const name of ["acknowledged", "asleep"]) {
      await write(running, `${name}/gate`, "open");
      await eventually(`${name} ends`, () => read(running, `${name}/ended`));
      expect([await read(running, `${name}/begun`), await read(running, `${name}/ended`)]).toEqual(["1", "1"]);
    }
    const done = await eventually("its result is there", async () => {
      const answer = await poll(running, acknowledged);
      return answer.body !== "RUNNING" && answer;
    });
    expect(JSON.parse(done.body)).toMatchObject({ id: Number(acknowledged), return_value: 0, output_data: "1" });
  });

  it("ends at once when nothing runs, and takes no call meanwhile", async () => {
    newFolder();
    const running = await start();
    const beforeMs = performance.now();
    expect(await running.stop()).toBe(0);
    expect(performance.now() - beforeMs).toBeLessThan(5_000);
    await expect(fetch(`${running.url}/ping`)).rejects.toThrow(TypeError);
  });
});

describe("a host that cannot start", () => {
  it("because its port is in use ends with PORT_IN_USE and the port, and its data can be used", async () => {
    newFolder();
    const first = await start();
    const port = Number(new URL(first.url).port);
    const other = newFolder();
    const { code, output } = await runHost({ dataDirectory: other, port });
    expect(code).toBe(1);
    expect(output).toMatch(new RegExp(`^neap: PORT_IN_USE: port ${port} .+$`, "m"));
    await first.stop();
    expect(await read(await start(), "nothing")).toBeUndefined();
  });

  it("because its data folder is in use ends with JOURNAL_LOCKED, the folder and the holder", async () => {
    newFolder();
    const first = await start();
    const { code, output } = await runHost({ dataDirectory: folder });
    expect(code).toBe(1);
    expect(output).toContain(
      `neap: JOURNAL_LOCKED: data folder ${join(folder, "journal")} is in use by process ${first.process.pid}`,
    );
    expect((await write(first, "key", "still served")).status).toBe(200);
  });

  it.each([
    ["an unknown flag", { flags: ["--prot", "1"] }, "--prot"],
    ["an unknown NEAP_ variable", { env: { NEAP_PROT: "1" } }, "NEAP_PROT"],
    ["a value out of range", { flags: ["--wall-time-ms", "0"] }, "--wall-time-ms"],
    ["a missing cluster key", { flags: ["--role", "storage"] }, "NEAP_CLUSTER_KEY"],
  ])("because of %s ends with BAD_OPTION and its name", async (_what, options, name) => {
    const { code, output } = await runHost({ dataDirectory: newFolder(), ...options });
    expect(code).toBe(1);
    expect(output).toMatch(/^neap: BAD_OPTION: /m);
    expect(output).toContain(name);
  });
});

describe("a journal that was changed while no host ran", () => {
  const counted = 20;

  /** A folder with `counted` acknowledged increments. */
  async function prepare(): Promise<void> {
    newFolder();
    const running = await start();
    await upload(running.url, T, "counter", sampleModule("counter"));
    for (let i = 1; i <= counted; i += 1) {
      const answer = await call(
        running.url,
        { user: T, function: "counter", input_data: "count" },
        { "idempotency-key": `k${i}` },
      );
      expect(answer.body).toBe(`${i}`);
    }
  }

  async function everythingIsThere(): Promise<void> {
    const running = await start();
    expect(await read(running, "count")).toBe(`${counted}`);
    const again = await call(running.url, { user: T, function: "counter", input_data: "count" }, { "idempotency-key": "k7" });
    expect([again.status, again.body]).toEqual([200, "7"]);
  }

  const hashes = () =>
    globSync("{journal/*.seg,blobs/**/*}", { cwd: folder, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path, createHash("sha256").update(readFileSync(path)).digest("hex")]);

  const firstSegment = (): string => segmentFiles(folder)[0] ?? "";

  it("by a flipped byte in its middle is refused with JOURNAL_DAMAGED, file and offset, and nothing is changed", async () => {
    await prepare();
    expect(await host?.stop()).toBe(0);
    const path = firstSegment();
    const frames = framesOf(path);
    const victim = frames[Math.floor(frames.length / 2)];
    expect(victim).toBeDefined();
    const offset = victim?.offset ?? 0;
    flip(path, offset + 20, 1);
    const before = hashes();
    const { code, output } = await runHost({ dataDirectory: folder });
    expect(code).toBe(1);
    expect(output).toMatch(/^neap: JOURNAL_DAMAGED: /m);
    expect(output).toContain(`${path} at offset ${offset}: `);
    expect(hashes()).toEqual(before);
    flip(path, offset + 20, 1);
    await everythingIsThere();
  });

  it.each([
    ["garbled", (frame: Uint8Array) => frame.map((byte) => byte ^ 0x55)],
    ["cut off", (frame: Uint8Array) => frame.map((byte, at) => (at < frame.length / 2 ? byte : 0))],
  ])("F33: by a last frame that is %s after a kill opens, and everything acknowledged is there", async (_how, tear) => {
    await prepare();
    const path = firstSegment();
    // An idle host says so by an empty frame, so that no frame with records is the last one.
    await eventually("the journal is idle", () => framesOf(path).at(-1)?.payload.byteLength === 0);
    await host?.kill();
    const last = framesOf(path).at(-1);
    const content = readFileSync(path).subarray(last?.offset, (last?.offset ?? 0) + (last?.sizeBytes ?? 0));
    overwrite(path, last?.offset ?? 0, tear(content));
    await everythingIsThere();
  });

  it("F33: by the beginning of another frame after the last one opens, and everything acknowledged is there", async () => {
    await prepare();
    await host?.kill();
    const path = firstSegment();
    const frames = framesOf(path);
    const largest = frames.reduce((one, other) => (other.sizeBytes > one.sizeBytes ? other : one));
    const last = frames.at(-1);
    const end = (last?.offset ?? 0) + (last?.sizeBytes ?? 0);
    overwrite(path, end, readFileSync(path).subarray(largest.offset, largest.offset + largest.sizeBytes / 2));
    await everythingIsThere();
  });
});

describe("a host whose disk is full", () => {
  const SEGMENT_BYTES = 64 * 1024 * 1024;
  /** No file may become as large as a segment: what a full disk is to a host that needs one. */
  const noRoom = ["prlimit", `--fsize=${SEGMENT_BYTES - 1}:`];

  it("F34: refuses what writes with 507 DISK_FULL, goes on with reads, and takes writes again when there is room", async () => {
    newFolder();
    let running = await start();
    for (const [name, module] of [
      ["counter", sampleModule("counter")],
      ["get", sampleModule("ndp/get")],
      ["gated", gated],
    ] as const) {
      await upload(running.url, T, name, module);
    }
    const count = (headers = {}, fields = {}) =>
      call(running.url, { user: T, function: "counter", input_data: "count", ...fields }, headers);
    expect((await count()).body).toBe("1");
    const { body: id } = await call(running.url, { user: T, function: "gated", input_data: "here waiting", async: true });
    await eventually("the gated call has begun", () => read(running, "waiting/begun"));
    await running.kill();
    for (const spare of segmentFiles(folder).slice(1)) {
      rmSync(spare);
    }

    running = await start({ under: noRoom });
    const large = Buffer.alloc(SEGMENT_BYTES + 1);
    const refused = [
      await count(),
      await count({ "idempotency-key": "full" }),
      await count({}, { async: true }),
      ...(await Promise.all(
        [`/v1/tenants/${T}/objects/small`, `/v1/tenants/${T}/objects/large`, `/f/${T}/another`].map(async (path) => {
          const body = path.endsWith("large") ? large : path.endsWith("small") ? "small" : sampleModule("hello").slice();
          const response = await fetch(`${running.url}${path}`, { method: "PUT", body });
          return { status: response.status, headers: response.headers, body: await response.text() };
        }),
      )),
    ];
    expect(refused.map(({ status, headers }) => [status, headers.get("neap-error")])).toEqual(
      refused.map(() => [507, "DISK_FULL"]),
    );
    expect(readdirSync(join(folder, "blobs", "incoming"))).toEqual([]);
    expect(await read(running, "count")).toBe("1");
    expect((await call(running.url, { user: T, function: "get", input_data: "count" })).body).toBe("1");
    expect((await poll(running, id)).body).toBe("RUNNING");

    execFileSync("prlimit", ["--pid", `${running.process.pid}`, "--fsize=unlimited:"]);
    const counted = await eventually("it counts again", async () => {
      const answer = await count();
      return answer.status === 200 && answer.body;
    });
    expect(counted).toBe("2");
    expect((await count({ "idempotency-key": "full" })).body).toBe("3");
    expect((await write(running, "waiting/gate", "open")).status).toBe(200);
    expect(await eventually("the call from before has ended", () => read(running, "waiting/ended"))).toBe("1");
    expect(await read(running, "waiting/begun")).toBe("1");
  });
});
