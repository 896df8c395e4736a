import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildFunctions, compileFunction } from "../../functions/build.ts";
import type { Frame } from "../../state/journal/segment.ts";
import { eventually } from "../support/eventually.ts";
import { HostHome } from "../support/host-home.ts";
import { call, type RunningHost, runHost, sampleModule, upload } from "../support/host-process.ts";
import { poll, readObject, writeObject } from "../support/host-requests.ts";
import { flip, framesOf, overwrite, segmentFiles } from "../support/segment-file.ts";

const T = "demo";

let home: HostHome;

beforeAll(async () => {
  await buildFunctions({ force: false });
});

beforeEach(() => {
  home = new HostHome();
});

afterEach(() => home.close());

describe("a journal that was changed while no host ran", () => {
  const counted = 20;

  /** A folder with `counted` acknowledged increments. */
  async function prepare(): Promise<RunningHost> {
    const running = await home.start();
    await upload(running.url, T, "counter", sampleModule("counter"));
    for (let i = 1; i <= counted; i += 1) {
      const answer = await call(
        running.url,
        { user: T, function: "counter", input_data: "count" },
        { "idempotency-key": `k${i}` },
      );
      expect(answer.body).toBe(`${i}`);
    }
    return running;
  }

  async function everythingIsThere(): Promise<void> {
    const running = await home.start();
    expect(await readObject(running.url, T, "count")).toBe(`${counted}`);
    const again = await call(running.url, { user: T, function: "counter", input_data: "count" }, { "idempotency-key": "k7" });
    expect([again.status, again.body]).toEqual([200, "7"]);
  }

  const hashes = () =>
    globSync("{journal/*.seg,blobs/**/*}", { cwd: home.folder, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path, createHash("sha256").update(readFileSync(path)).digest("hex")]);

  const firstSegment = (): string => segmentFiles(home.folder)[0] ?? "";

  function lastFrame(path: string): Frame {
    const last = framesOf(path).at(-1);
    if (last === undefined) {
      throw new Error(`${path} has no frame`);
    }
    return last;
  }

  it("by a flipped byte in its middle is refused with JOURNAL_DAMAGED, file and offset, and nothing is changed", async () => {
    const running = await prepare();
    expect(await running.stop()).toBe(0);
    const path = firstSegment();
    const frames = framesOf(path);
    const { offset = 0 } = frames[Math.floor(frames.length / 2)] ?? {};
    expect(offset).toBeGreaterThan(0);
    flip(path, offset + 20, 1);
    const before = hashes();
    const { code, output } = await runHost({ dataDirectory: home.folder });
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
    const running = await prepare();
    const path = firstSegment();
    // An idle host says so by an empty frame, so that no frame with records is the last one.
    await eventually("the journal is idle", () => framesOf(path).at(-1)?.payload.byteLength === 0);
    await running.kill();
    const { offset, sizeBytes } = lastFrame(path);
    overwrite(path, offset, tear(readFileSync(path).subarray(offset, offset + sizeBytes)));
    await everythingIsThere();
  });

  it("F33: by the beginning of another frame after the last one opens, and everything acknowledged is there", async () => {
    await (await prepare()).kill();
    const path = firstSegment();
    const last = lastFrame(path);
    const largest = framesOf(path).reduce((one, other) => (other.sizeBytes > one.sizeBytes ? other : one));
    overwrite(
      path,
      last.offset + last.sizeBytes,
      readFileSync(path).subarray(largest.offset, largest.offset + largest.sizeBytes / 2),
    );
    await everythingIsThere();
  });
});

describe("a host whose disk is full", () => {
  const SEGMENT_BYTES = 64 * 1024 * 1024;
  /** No file may become as large as a segment: what a full disk is to a host that needs one. */
  const noRoom = ["prlimit", `--fsize=${SEGMENT_BYTES - 1}:`];

  it("F34: refuses what writes with 507 DISK_FULL, goes on with reads, and takes writes again when there is room", async () => {
    let running = await home.start();
    for (const [name, module] of [
      ["counter", sampleModule("counter")],
      ["get", sampleModule("ndp/get")],
      ["gated", await compileFunction(join(import.meta.dirname, "assembly", "gated.ts"))],
    ] as const) {
      await upload(running.url, T, name, module);
    }
    const count = (headers = {}, fields = {}) =>
      call(running.url, { user: T, function: "counter", input_data: "count", ...fields }, headers);
    expect((await count()).body).toBe("1");
    const { body: id } = await call(running.url, { user: T, function: "gated", input_data: "here waiting", async: true });
    await eventually("the gated call has begun", () => readObject(running.url, T, "waiting/begun"));
    await running.kill();
    for (const spare of segmentFiles(home.folder).slice(1)) {
      rmSync(spare);
    }

    running = await home.start({ under: noRoom });
    const put = async (path: string, body: string | Uint8Array<ArrayBuffer>) => {
      const response = await fetch(`${running.url}${path}`, { method: "PUT", body });
      await response.arrayBuffer();
      return response;
    };
    for (const { status, headers } of [
      await count(),
      await count({ "idempotency-key": "full" }),
      await count({}, { async: true }),
      await put(`/v1/tenants/${T}/objects/small`, "small"),
      await put(`/v1/tenants/${T}/objects/large`, new Uint8Array(SEGMENT_BYTES + 1)),
      await put(`/f/${T}/another`, Uint8Array.from(sampleModule("hello"))),
    ]) {
      expect([status, headers.get("neap-error")]).toEqual([507, "DISK_FULL"]);
    }
    expect(readdirSync(join(home.folder, "blobs", "incoming"))).toEqual([]);
    expect(await readObject(running.url, T, "count")).toBe("1");
    expect((await call(running.url, { user: T, function: "get", input_data: "count" })).body).toBe("1");
    expect((await poll(running.url, T, id)).body).toBe("RUNNING");

    execFileSync("prlimit", ["--pid", `${running.process.pid}`, "--fsize=unlimited:"]);
    const counted = await eventually("it counts again", async () => {
      const answer = await count();
      return answer.status === 200 && answer.body;
    });
    expect(counted).toBe("2");
    expect((await count({ "idempotency-key": "full" })).body).toBe("3");
    await writeObject(running.url, T, "waiting/gate", "open");
    expect(await eventually("the call from before has ended", () => readObject(running.url, T, "waiting/ended"))).toBe("1");
    expect(await readObject(running.url, T, "waiting/begun")).toBe("1");
  });
});
