import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
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

const MIB = 1024 * 1024;
const INPUT_BYTES = 64 * MIB;
const JSON_INPUT_BYTES = 32 * MIB;
const LIMITS = ["--input-max-bytes", `${INPUT_BYTES}`, "--output-max-bytes", `${INPUT_BYTES}`];
/** Seconds until a curl whose connection hangs gives up: the test then fails by its answer. */
const CURL = ["--no-progress-meter", "--max-time", "60"];

const folder = temporaryFolder("large-inputs");
const raw = join(folder, "raw");
const other = join(folder, "other");
const tooLarge = join(folder, "too-large");
const json = join(folder, "json");
let host: RunningHost;
let rawAnswer: string;

/** Adler-32, as functions compute it. */
function adler(bytes: Uint8Array): string {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return `${bytes.length} ${((b << 16) | a) >>> 0}`;
}

async function uploadAll({ url }: RunningHost): Promise<void> {
  for (const name of ["adler", "echo"]) {
    await upload(url, "demo", name, await compileFunction(join(import.meta.dirname, "assembly", `${name}.ts`)));
  }
  await upload(url, "demo", "hello", sampleModule("hello"));
}

beforeAll(async () => {
  const bytes = Buffer.alloc(INPUT_BYTES);
  for (let at = 0; at < INPUT_BYTES; at += 4) {
    bytes.writeUInt32LE(Math.imul(at, 2654435761) >>> 0, at);
  }
  writeFileSync(raw, bytes);
  rawAnswer = adler(bytes);
  bytes[INPUT_BYTES - 1] = 1 + (bytes[INPUT_BYTES - 1] ?? 0);
  writeFileSync(other, bytes);
  writeFileSync(tooLarge, Buffer.alloc(INPUT_BYTES + 1));
  writeFileSync(json, JSON.stringify({ user: "demo", function: "adler", input_data: "x".repeat(JSON_INPUT_BYTES) }));
  host = await startHost({ dataDirectory: join(folder, "data"), flags: LIMITS });
  await uploadAll(host);
});

afterAll(async () => {
  await host?.kill();
  removeFolder(folder);
});

const received = join(folder, "received");

/** Status of a native call; its body is in `received`. */
async function send({ url }: RunningHost, name: string, file: string, ...options: string[]): Promise<string> {
  const target = `${url}/v1/tenants/demo/functions/${name}/calls`;
  const args = [...CURL, "-X", "POST", "-T", file, "-o", received, "-w", "%{http_code}", ...options, target];
  return (await promisify(execFile)("curl", args)).stdout;
}

/** "<status> <body>" */
async function post(...call: Parameters<typeof send>): Promise<string> {
  return `${await send(...call)} ${readFileSync(received)}`;
}

/** A curl that sends what is written to its stdin. */
function upTo(path: string, ...options: string[]): ChildProcess & { readonly answered: Promise<string> } {
  const args = [...CURL, "-X", "POST", "-T", "-", "-H", "Expect:", "-w", "\n%{http_code}", ...options, `${host.url}${path}`];
  const child = spawn("curl", args, { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (text) => {
    output += text;
  });
  const answered = once(child, "close").then(() => output);
  return Object.assign(child, { answered });
}

async function write(child: ChildProcess, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => child.stdin?.write(bytes, (error) => (error ? reject(error) : resolve())));
}

const hello = async () => (await call(host.url, { user: "demo", function: "hello", input_data: "you" })).body;

const blobs = () =>
  readdirSync(join(folder, "data", "blobs"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();

/** Files that were not there before. Of earlier calls some may be on their way out. */
const added = (before: readonly string[]) => blobs().filter((name) => !before.includes(name));

describe("an input of 64 MiB", () => {
  it("H27: reaches the function byte for byte, while other calls are answered in the middle of its body", async () => {
    const bytes = readFileSync(raw);
    const sending = upTo("/v1/tenants/demo/functions/adler/calls");
    for (let at = 0; at < INPUT_BYTES; at += 8 * MIB) {
      await write(sending, bytes.subarray(at, at + 8 * MIB));
      expect(await hello()).toBe("Hello, you!");
    }
    sending.stdin?.end();
    expect(await sending.answered).toBe(`${rawAnswer}\n200`);
  });

  it("comes back as it was", async () => {
    // From the log the second time.
    for (let time = 1; time <= 2; time += 1) {
      expect(await send(host, "echo", raw, "-H", "Idempotency-Key: echo")).toBe("200");
      expect(readFileSync(received).equals(readFileSync(raw))).toBe(true);
    }
  });

  it("F30: is the same call again under its key, and another input answers 422", async () => {
    const key = ["-H", "Idempotency-Key: large"];
    expect(await post(host, "adler", raw, ...key)).toBe(`200 ${rawAnswer}`);
    expect(await post(host, "adler", raw, ...key)).toBe(`200 ${rawAnswer}`);
    expect(await post(host, "adler", other, ...key)).toMatch(/^422 .*IDEMPOTENCY_MISMATCH/);
  });

  it("leaves nothing behind when it breaks off", async () => {
    const before = blobs();
    const sending = upTo("/v1/tenants/demo/functions/adler/calls");
    await write(sending, readFileSync(raw).subarray(0, 8 * MIB));
    // It has begun to be written.
    await eventually("the upload's file", () => added(before).length === 1);
    sending.kill("SIGKILL");
    await eventually("no new file", () => added(before).length === 0);
  });

  it.each(["Expect:", "Expect: 100-continue", "Transfer-Encoding: chunked"])(
    "answers 413 with one byte more and leaves nothing behind, with %s",
    async (header) => {
      const before = blobs();
      expect(await post(host, "adler", tooLarge, "-H", header)).toMatch(/^413 .*BODY_TOO_LARGE/);
      await eventually("no new file", () => added(before).length === 0);
    },
  );

  it("F6: is gone with a call that logged nothing, and with every duplicate of a keyed one", async () => {
    const adlerOf = async (body: Buffer<ArrayBuffer>, headers: Record<string, string> = {}) => {
      const response = await fetch(`${host.url}/v1/tenants/demo/functions/adler/calls`, { method: "POST", body, headers });
      return `${response.status} ${await response.text()}`;
    };
    const bytes = Buffer.alloc(200_000, "b");
    const keyed = { "Idempotency-Key": "duplicates" };
    expect(await adlerOf(bytes, keyed)).toBe(`200 ${adler(bytes)}`);
    const before = blobs();
    const twenty = Array.from({ length: 20 });
    const answers = await Promise.all([...twenty.map(() => adlerOf(bytes)), ...twenty.map(() => adlerOf(bytes, keyed))]);
    expect(new Set(answers)).toEqual(new Set([`200 ${adler(bytes)}`]));
    await eventually("no new file", () => added(before).length === 0);
  });

  it("passes through a compute node to its storage node", async () => {
    const cluster = await HostCluster.start("large-inputs", { compute: 1, flags: LIMITS });
    try {
      await uploadAll(cluster.node(0));
      const key = ["-H", "Idempotency-Key: large"];
      expect(await post(cluster.node(0), "adler", raw, ...key)).toBe(`200 ${rawAnswer}`);
      expect(await post(cluster.node(0), "adler", raw, ...key)).toBe(`200 ${rawAnswer}`);
      expect(await post(cluster.node(0), "adler", other, ...key)).toMatch(/^422 .*IDEMPOTENCY_MISMATCH/);
    } finally {
      await cluster.close();
    }
  });
});

describe("a JSON body with an input of 32 MiB", () => {
  const wanted = () => adler(Buffer.alloc(JSON_INPUT_BYTES, "x"));

  it("H27: is the call it says, while other calls are answered in the middle of its body", async () => {
    const bytes = readFileSync(json);
    const sending = upTo("/f/", "--request-target", "/f/");
    for (let at = 0; at < bytes.length; at += 8 * MIB) {
      await write(sending, bytes.subarray(at, at + 8 * MIB));
      expect(await hello()).toBe("Hello, you!");
    }
    sending.stdin?.end();
    const answers = await Promise.all([sending.answered, hello(), hello(), hello()]);
    expect(answers).toEqual([`${wanted()}\n200`, "Hello, you!", "Hello, you!", "Hello, you!"]);
  });

  it("is told by a poll, whole", async () => {
    const input_data = `"\u00e9\n${"x".repeat(JSON_INPUT_BYTES)}`;
    const started = await call(host.url, { user: "demo", function: "echo", input_data, id: 4711 });
    expect([started.status, started.body === input_data]).toEqual([200, true]);
    const poll = await call(host.url, { user: "demo", function: "echo", id: 4711, status: true });
    expect(poll.status).toBe(200);
    const told = JSON.parse(poll.body);
    expect([told.id, told.input_data === input_data, told.output_data === input_data]).toEqual([4711, true, true]);
  });

  it("answers 400 with the position when its end is missing", async () => {
    const text = readFileSync(json, "utf8").slice(0, -2);
    const response = await fetch(`${host.url}/f/`, { method: "POST", body: text });
    expect([response.status, await response.text()]).toEqual([
      400,
      `the body is not JSON: it ends too early, at position ${text.length}`,
    ]);
  });
});
