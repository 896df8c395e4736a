import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, createReadStream, openSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../functions/build.ts";
import { HostCluster } from "../support/host-cluster.ts";
import { type RunningHost, removeFolder, startHost, temporaryFolder, upload } from "../support/host-process.ts";
import { peakResidentBytes, residentBytes } from "../support/process-status.ts";

const MIB = 1024 * 1024;
const OBJECT_BYTES = 256 * MIB;
/** By which a host's memory may grow: far less than the object. */
const GROWTH_MAX_BYTES = 200 * MIB;
const SLICE_BYTES = 1000;
/** Crosses a border between chunks, and is not at a round place. */
const SLICE_AT = 200 * MIB - 300;

const run = promisify(execFile);
const folder = temporaryFolder("large-objects");
const sent = join(folder, "sent");
let slice: Uint8Array;

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

function sliceOf(path: string): Buffer {
  const file = openSync(path, "r");
  const bytes = Buffer.alloc(SLICE_BYTES);
  readSync(file, bytes, 0, SLICE_BYTES, SLICE_AT);
  closeSync(file);
  return bytes;
}

beforeAll(async () => {
  const file = openSync(sent, "w");
  for (let written = 0; written < OBJECT_BYTES; written += 16 * MIB) {
    writeSync(file, randomBytes(16 * MIB));
  }
  closeSync(file);
  slice = await compileFunction(join(import.meta.dirname, "assembly", "slice.ts"));
});

afterAll(() => removeFolder(folder));

/** Puts the object by curl, gets it back by curl, and lets a function look into it, all through the same node. */
async function roundTrip({ url }: RunningHost): Promise<void> {
  await upload(url, "demo", "slice", slice);
  const object = `${url}/v1/tenants/demo/objects/large`;
  const { stdout } = await run("curl", ["--no-progress-meter", "--fail", "-T", sent, object]);
  expect(JSON.parse(stdout)).toMatchObject({ key: "large", sizeBytes: OBJECT_BYTES });

  const received = join(folder, "received");
  await run("curl", ["--no-progress-meter", "--fail", "-o", received, object]);
  expect(statSync(received).size).toBe(OBJECT_BYTES);
  expect(await sha256(received)).toBe(await sha256(sent));

  const response = await fetch(`${url}/v1/tenants/demo/functions/slice/calls`, {
    method: "POST",
    body: `large ${SLICE_AT} ${SLICE_BYTES}`,
  });
  const output = Buffer.from(await response.arrayBuffer());
  expect(response.status, output.toString()).toBe(200);
  const line = Buffer.from(`${OBJECT_BYTES}\n`);
  expect(output.equals(Buffer.concat([line, sliceOf(sent)]))).toBe(true);
}

/** Watches the memory of hosts that have just been started. @returns checks that none has grown by too much at any time */
function watchMemory(...hosts: RunningHost[]): () => void {
  const before = hosts.map(({ process: { pid = 0 } }) => ({ pid, residentBytes: residentBytes(pid) }));
  return () => {
    for (const host of before) {
      expect(peakResidentBytes(host.pid) - host.residentBytes).toBeLessThan(GROWTH_MAX_BYTES);
    }
  };
}

describe("an object of 256 MiB", () => {
  it("goes into one process and comes back as it was, never held whole", async () => {
    const host = await startHost({
      dataDirectory: join(folder, "data"),
      // A heap that could not hold the object.
      env: { NODE_OPTIONS: "--max-old-space-size=96" },
    });
    try {
      const checkMemory = watchMemory(host);
      await roundTrip(host);
      checkMemory();
      expect(await host.stop()).toBe(0);
    } finally {
      await host.kill();
    }
  });

  it("goes through a compute node to its storage node and comes back as it was, never held whole by either", async () => {
    const cluster = await HostCluster.start("large-objects", { compute: 1 });
    try {
      const checkMemory = watchMemory(cluster.node(0), cluster.storage);
      await roundTrip(cluster.node(0));
      checkMemory();
    } finally {
      await cluster.close();
    }
  });
});
