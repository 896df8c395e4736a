import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFunctions, compileFunction } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
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

const WRITE = `(import "neap" "output_write" (func $write (param i32 i32)))`;
/** Each misbehaves in its own way; how a call of it is answered. */
const HOSTILE = {
  loop: { text: `(func (export "main") (loop (br 0)))`, status: 504, code: "TIME_LIMIT", body: /longer than 3000 ms/ },
  recursion: {
    text: `(func $f (export "main") (call $f) (call $f))`,
    status: 500,
    code: "STACK_OVERFLOW",
    body: /stack/,
  },
  memory: {
    text: `(func (export "main") (local $at i32)
      (loop $more
        (local.set $at (i32.mul (memory.grow (i32.const 16)) (i32.const 65536)))
        (if (i32.lt_s (local.get $at) (i32.const 0)) (then unreachable))
        (memory.fill (local.get $at) (i32.const 1) (i32.const 1048576))
        (br $more)))`,
    status: 500,
    code: "CALL_FAILED",
    body: /^Call failed \(return value=1\)\nunreachable/,
  },
  trap: {
    text: `(func (export "main") (drop (i32.load (i32.const -4))))`,
    status: 500,
    code: "CALL_FAILED",
    body: /^Call failed \(return value=1\)\nmemory access out of bounds/,
  },
  flood: {
    text: `(func (export "main") (loop (call $write (i32.const 0) (i32.const 65536)) (br 0)))`,
    status: 500,
    code: "OUTPUT_TOO_LARGE",
    body: /16777216/,
  },
  pointers: {
    text: `(func (export "main") (call $write (i32.const 65530) (i32.const 100)))`,
    status: 500,
    code: "CALL_FAILED",
    body: /^Call failed \(return value=1\)\noutput_write: text/,
  },
} as const;

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

describe("functions that misbehave", () => {
  let host: RunningHost;

  beforeAll(async () => {
    await buildFunctions({ force: false });
    host = await start(["--wall-time-ms", "3000", "--memory-max-pages", "256", "--log-level", "error"]);
    await upload(host.url, "good", "hello", sampleModule("hello"));
    for (const [name, { text }] of Object.entries(HOSTILE)) {
      await upload(host.url, "hostile", name, wat(`(module ${WRITE} (memory (export "memory") 1) ${text})`));
    }
  });

  it("H8: each fails its own calls, with its code, while all calls of another tenant succeed", async () => {
    let running = true;
    const greetings = (async () => {
      const statuses: number[] = [];
      while (running) {
        const answer = await call(host.url, { user: "good", function: "hello", input_data: `${statuses.length}` });
        expect(answer.body).toBe(`Hello, ${statuses.length}!`);
        statuses.push(answer.status);
      }
      return statuses;
    })();
    try {
      for (const [name, { status, code, body }] of Object.entries(HOSTILE)) {
        const once = () => call(host.url, { user: "hostile", function: name });
        for (const answer of await Promise.all([once(), once()])) {
          expect([name, answer.status, answer.headers.get("neap-error")]).toEqual([name, status, code]);
          expect(answer.body).toMatch(body);
        }
      }
    } finally {
      running = false;
    }
    const statuses = await greetings;
    expect(statuses.length).toBeGreaterThan(20);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it("leave a host that serves as before", async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => call(host.url, { user: "good", function: "hello", input_data: `${i}` })),
    );
    expect(answers.map(({ body }) => body)).toEqual(answers.map((_, i) => `Hello, ${i}!`));
    expect(host.process.exitCode).toBeNull();
  });
});

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
