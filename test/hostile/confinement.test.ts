/** What JavaScript that has got out of the engine can do in a tenant's process, and to the host by way of its pipe. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StarterOptions } from "../../host/processes/index.ts";
import type { SandboxEnd, SandboxPool } from "../../host/sandbox/index.ts";
import type { ReserveOptions } from "../../host/sandbox/process/index.ts";
import { eventually } from "../support/eventually.ts";
import { prng } from "../support/prng.ts";
import { begin, ignore, type OpenReserve, openPoolOf, openReserve, persist, run } from "../support/sandbox-calls.ts";
import { asksOnce, echo, plain, resident } from "../support/sandbox-modules.ts";
import { workerProcesses } from "../support/worker-processes.ts";

const importsUrl = new URL("../support/hostile-imports.ts", import.meta.url);
const MIB = 1024 * 1024;
const lost = (message: string) => ({ kind: "killed", reason: "workerLost", message: expect.stringContaining(message) });

let reserve: OpenReserve;
let pool: SandboxPool;
const open = async (options: Partial<ReserveOptions> & StarterOptions = {}) => {
  reserve = await openReserve({ importsUrl, ...options });
  pool = await openPoolOf(reserve);
};
beforeEach(() => open());
afterEach(() => pool.close());

const calls = (name: string) => plain(`(call $${name}) (i32.const 0)`, "", `(import "t" "${name}" (func $${name}))`);
const escapes = resident("(call $escape) (i32.const 0)", "", '(import "t" "escape" (func $escape))');
const output = (end: SandboxEnd) => JSON.parse(end.kind === "returned" ? Buffer.from(end.output).toString() : `"${end.kind}"`);

describe("H24: JavaScript in a tenant's process", () => {
  test("gets no file, database, network, name, process, thread, add-on, inspector or new code", async () => {
    const files = ["/tmp/neap-escape", "/tmp/neap-escape.db"];
    for (const file of files) {
      rmSync(file, { force: true });
    }
    const { got, env } = output(await run(pool, escapes));
    for (const [what, how] of Object.entries(got)) {
      expect([what, how]).toEqual([
        what,
        expect.stringMatching(/^refused (ERR_ACCESS_DENIED|TypeError|EvalError|ERR_DLOPEN_DISABLED)$/),
      ]);
    }
    expect(Object.keys(got).length).toBe(14);
    expect([env, ...files.map((file) => existsSync(file))]).toEqual([{}, false, false]);
  });

  test("has of the system what the host says it has, and can signal the host only where it says so, by every way that works here", async () => {
    await pool.close();
    const known = new Set<string>();
    for (let left = true, confinementsLeftOut = 0; left; confinementsLeftOut++) {
      await open({ confinementsLeftOut });
      await seesWhatIsSaid();
      await pool.close();
      const { ownUser, ownProcessIds, ownNetwork, noPrivileges, diesWithHost } = reserve.defences;
      left = ownUser || ownProcessIds || ownNetwork || noPrivileges || diesWithHost;
      known.add(JSON.stringify(reserve.defences));
    }
    expect(known.size).toBeGreaterThan(1);
    await open();
  });

  async function seesWhatIsSaid(): Promise<void> {
    const { ownUser, ownProcessIds, ownNetwork } = reserve.defences;
    const seen = output(await run(pool, escapes));
    expect(seen.user === process.getuid?.() && process.getuid?.() === 0).toBe(!ownUser && process.getuid?.() === 0);
    expect([seen.pid === 1, seen.parent === 0]).toEqual([ownProcessIds, ownProcessIds]);
    expect(seen.interfaces).toEqual(ownNetwork ? [] : expect.any(Array));
    let isSignalled = false;
    const hear = () => {
      isSignalled = true;
    };
    process.once("SIGTERM", hear);
    const how = output(await run(pool, calls("signal"), { input: Buffer.from(`${process.pid}`) }));
    process.off("SIGTERM", hear);
    const mayNot = ownUser || ownProcessIds;
    expect([how === "sent", isSignalled]).toEqual(mayNot ? [false, false] : [true, expect.any(Boolean)]);
  }
});

test("H24: where the host says that the kernel limits memory and tasks of a process, it is in a group of its own that does", async () => {
  await pool.close();
  await open({ size: 0 });
  const { memoryLimit, taskLimit } = reserve.defences;
  await run(pool, echo(plain));
  for (const pid of workerProcesses(process.pid)) {
    const groups = readFileSync(`/proc/${pid}/cgroup`, "utf8");
    const own = (controller: string) => new RegExp(`${controller}[^:]*:.*/neap-\\d+-\\d+$|^0::.*/neap-\\d+-\\d+$`, "m");
    expect([own("memory").test(groups), own("pids").test(groups)]).toEqual([memoryLimit, taskLimit]);
  }
});

describe("a process that says what no executor would", () => {
  /** A header as `frames.ts` has it. */
  const header = (bodyBytes: number, type: number, call: number, attempt: number) => {
    const bytes = Buffer.alloc(60);
    bytes.writeUInt32LE(bodyBytes, 0);
    bytes.writeUInt8(type, 4);
    bytes.writeInt32LE(call, 8);
    bytes.writeInt32LE(attempt, 12);
    return bytes;
  };
  const OPERATION = 16;
  const LOG = 17;
  const END = 18;

  test.each([
    ["a frame of no known type", Buffer.alloc(60, 255)],
    ["a body of more than may be", header(2 ** 31, OPERATION, 0, 1)],
    ["a frame that is for executors", header(0, 3, 0, 1)],
    ["an object", Buffer.concat([header(8, OPERATION, 0, 1).fill(8, 28, 29), Buffer.alloc(8)])],
    ["more log than the call may have", Buffer.concat([header(100_000, LOG, 0, 1), Buffer.alloc(100_000)])],
    ["more output than the call may have", Buffer.concat([header(2 * MIB, END, 0, 1), Buffer.alloc(2 * MIB)])],
  ])("is ended, and the host goes on: %s", async (_, bytes) => {
    const end = await persist(pool, calls("say"), { input: bytes });
    expect(end).toMatchObject({ kind: "killed", reason: "workerLost" });
    expect(await persist(pool, echo(plain), { input: Buffer.from("tide") })).toMatchObject({ kind: "returned", value: 4 });
  });

  test("about a call that is not its own is not heard", async () => {
    await pool.close();
    reserve = await openReserve({ importsUrl });
    pool = await openPoolOf(reserve, { workers: 2 });
    const other = begin(pool, asksOnce, { onOperation: ignore });
    await other.heard(1);
    const frames = Array.from({ length: 4 }, (_, slot) => [1, 2, 3].map((use) => header(0, END, slot, use))).flat();
    await run(pool, calls("say"), { input: Buffer.concat(frames) });
    expect(other.ends()).toBe(0);
    other.call.reply({ code: 5, timeMs: 0, bytes: new Uint8Array(0) });
    expect(await other.end).toMatchObject({ kind: "returned", value: 5 });
  });

  test("that stops in the middle of a frame holds up no call for long", async () => {
    const half = begin(pool, calls("say"), { input: header(1_000, END, 0, 1), limits: { wallTimeMs: 200 } });
    const beside = begin(pool, asksOnce, { onOperation: ignore });
    expect(await half.end).toMatchObject({ kind: "killed", reason: "wallTime" });
    expect(await beside.end).toMatchObject({ kind: "displaced" });
    expect(await persist(pool, echo(plain), { input: Buffer.from("tide") })).toMatchObject({ kind: "returned", value: 4 });
  });

  test("at random never ends the host, nor a call twice", async () => {
    const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
    process.stdout.write(`seed of random bytes ${seed}; again: FUZZ_SEED=${seed}\n`);
    const random = prng(seed);
    for (let round = 0; round < 8; round++) {
      const bytes = Buffer.from(Array.from({ length: 200 + random.below(2000) }, () => random.below(256)));
      const call = begin(pool, calls("say"), { input: bytes, limits: { wallTimeMs: 1_000 } });
      await call.end;
      expect(call.ends(), `seed ${seed}`).toBe(1);
    }
    expect(await persist(pool, echo(plain), { input: Buffer.from("neap") })).toMatchObject({ kind: "returned", value: 4 });
  });
});

test("a process that somebody kills costs no call: each of many of one function is displaced, three times in a minute", async () => {
  await pool.close();
  await open({ size: 0 });
  for (let kills = 1; kills <= 3; kills++) {
    const calls = Array.from({ length: 20 }, () => begin(pool, asksOnce, { onOperation: ignore }));
    await calls[0]?.heard(1);
    for (const pid of workerProcesses(process.pid)) {
      process.kill(pid, "SIGKILL");
    }
    await eventually("all are out of that process", async () =>
      calls.every((call) => call.ends() === 1 || call.operations.length === 0),
    );
    for (const call of calls.filter(({ ends }) => ends() === 1)) {
      expect(await call.end).toMatchObject({ kind: "displaced" });
    }
    for (const { call } of calls) {
      call.cancel();
    }
    await Promise.all(calls.map(({ end }) => end));
  }
  expect(await persist(pool, asksOnce)).toMatchObject({ kind: "returned", value: 42 });
});

describe("a process that takes too much", () => {
  test("memory: its calls are displaced, and the one that does it each time is ended", async () => {
    await pool.close();
    await open({ rssMaxBytes: 128 * MIB });
    const touches = plain(
      "(drop (memory.grow (i32.const 60))) (memory.fill (i32.const 0) (i32.const 1) (i32.const 4063232)) (i32.const 0)",
    );
    expect(await persist(pool, touches)).toMatchObject({ kind: "returned" });
    let displaced = 0;
    const end = await persist(pool, calls("hoard_bytes"), {}, () => {
      displaced += 1;
    });
    expect(end).toMatchObject(lost("bytes of memory, at most"));
    expect(displaced).toBeGreaterThan(0);
    expect(await persist(pool, echo(plain), { input: Buffer.from("tide") })).toMatchObject({ kind: "returned" });
  });

  test("JavaScript heap: it ends, and so does the call", async () => {
    expect(await persist(pool, calls("hoard"))).toMatchObject(lost("ended with"));
    expect(await persist(pool, echo(plain), { input: Buffer.from("tide") })).toMatchObject({ kind: "returned" });
  });

  test("of the file of its slice marks: it is ended", async () => {
    expect(await persist(pool, calls("swell"))).toMatchObject(lost("slice marks"));
  });
});
