/** What JavaScript that has got out of the engine can do in a process whose guests share memory, and to the host by way of its pipe. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StarterOptions } from "../../host/processes/index.ts";
import { FrameType } from "../../host/sandbox/frames/protocol.ts";
import type { SandboxEnd } from "../../host/sandbox/index.ts";
import type { ReserveOptions, ThreadedPool } from "../../host/sandbox/process/index.ts";
import { eventually } from "../support/eventually.ts";
import { prng } from "../support/prng.ts";
import { begin, ignore, type OpenReserve, openReserve, openThreadedPoolOf, persist, run } from "../support/sandbox-calls.ts";
import { asksOnce, echo, loops, plain, resident } from "../support/sandbox-modules.ts";
import { workerProcesses } from "../support/worker-processes.ts";

const importsUrl = new URL("../support/hostile-imports.ts", import.meta.url);
const MIB = 1024 * 1024;

let reserve: OpenReserve;
let pool: ThreadedPool;
const open = async (options: Partial<ReserveOptions> & StarterOptions = {}) => {
  reserve = await openReserve({ importsUrl, size: 0, ...options });
  pool = await openThreadedPoolOf(reserve, { workers: 2 });
};
beforeEach(() => open());
afterEach(() => pool.close());

const calls = (name: string, make = plain) => make(`(call $${name}) (i32.const 0)`, "", `(import "t" "${name}" (func $${name}))`);
const output = (end: SandboxEnd) => JSON.parse(end.kind === "returned" ? Buffer.from(end.output).toString() : `"${end.kind}"`);

const isAlive = () => persist(pool, echo(plain), { input: Buffer.from("tide") });

describe("H24: JavaScript in a process whose guests share memory", () => {
  test("gets no more than it does in other processes, and no thread of its own, which would have all permissions", async () => {
    const { got, env } = output(await run(pool, calls("escape", resident)));
    for (const [what, how] of Object.entries(got)) {
      expect([what, how]).toEqual([
        what,
        expect.stringMatching(/^refused (ERR_ACCESS_DENIED|TypeError|EvalError|ERR_DLOPEN_DISABLED)$/),
      ]);
    }
    expect([Object.keys(got).length, env]).toEqual([14, {}]);
  });
});

/** A header as `frames.ts` has it. */
const header = (bodyBytes: number, type: number, { call = 0, attempt = 1, worker = 1 } = {}) => {
  const bytes = Buffer.alloc(60);
  bytes.writeUInt32LE(bodyBytes, 0);
  bytes.writeUInt8(type, 4);
  bytes.writeInt32LE(call, 8);
  bytes.writeInt32LE(attempt, 12);
  bytes.writeUInt32LE(worker, 56);
  return bytes;
};

describe("a process with threads that says what no executor would", () => {
  test.each([
    ["a frame of no known type", Buffer.alloc(60, 255)],
    ["a body of more than may be", header(2 ** 31, FrameType.operation)],
    ["a frame that is for executors", header(0, FrameType.start)],
    ["a frame from no thread", header(0, FrameType.operation, { worker: 0 })],
    ["an answer that nobody waits for", header(0, FrameType.arenaAnswer, { worker: 0, call: 7 })],
    ["more log than the call may have", Buffer.concat([header(100_000, FrameType.log), Buffer.alloc(100_000)])],
    ["more output than the call may have", Buffer.concat([header(2 * MIB, FrameType.end), Buffer.alloc(2 * MIB)])],
  ])("is ended, with its memories, and the host goes on: %s", async (_, bytes) => {
    const arena = pool.createArena("acme", 4);
    expect(await arena.load(0)).toBe(0);
    const pids = workerProcesses(process.pid);
    const end = await persist(pool, calls("say"), { input: bytes });
    expect(end).toMatchObject({ kind: "killed", reason: "workerLost" });
    expect(await isAlive()).toMatchObject({ kind: "returned", value: 4 });
    expect(pool.reaches("acme", arena)).toBe(false);
    await expect(arena.load(0)).rejects.toMatchObject({ code: "OVERLOADED" });
    const now = workerProcesses(process.pid);
    expect(now.filter((pid) => pids.includes(pid))).toEqual([]);
  });

  test("that speaks of threads that are not there is not heard", async () => {
    const bytes = Buffer.concat([
      header(0, FrameType.ready, { worker: 99 }),
      header(0, FrameType.workerEnded, { worker: 1_000 }),
    ]);
    expect(await persist(pool, calls("say"), { input: bytes })).toMatchObject({ kind: "returned" });
    expect(await isAlive()).toMatchObject({ kind: "returned", value: 4 });
  });

  test("that says that its threads have ended costs its tenant's calls, and nobody else", async () => {
    const bytes = Buffer.concat([1, 2, 3].map((worker) => header(0, FrameType.workerEnded, { worker })));
    const call = begin(pool, calls("say"), { input: bytes });
    await call.end;
    expect(call.ends()).toBe(1);
    expect(await isAlive()).toMatchObject({ kind: "returned", value: 4 });
  });

  test("at random never ends the host, nor a call twice", async () => {
    const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
    process.stdout.write(`seed of random bytes ${seed}; again: FUZZ_SEED=${seed}\n`);
    const random = prng(seed);
    for (let round = 0; round < 4; round++) {
      const bytes = Buffer.from(Array.from({ length: 200 + random.below(2000) }, () => random.below(256)));
      const call = begin(pool, calls("say"), { input: bytes, limits: { wallTimeMs: 1_000 } });
      await call.end;
      expect(call.ends(), `seed ${seed}`).toBe(1);
    }
    expect(await isAlive()).toMatchObject({ kind: "returned", value: 4 });
  });
});

describe("a process with threads that answers nobody", () => {
  test("is ended when it does not let go of a call, and so is what waits for its memories", async () => {
    const arena = pool.createArena("acme", 4);
    const waiting = begin(pool, asksOnce, { onOperation: ignore });
    await waiting.heard(1);
    for (const pid of workerProcesses(process.pid)) {
      process.kill(pid, "SIGSTOP");
    }
    waiting.call.cancel();
    expect(await waiting.end).toMatchObject({ kind: "killed", reason: "cancelled" });
    await expect(arena.read(0, 8)).rejects.toMatchObject({ code: "OVERLOADED" });
    expect(await isAlive()).toMatchObject({ kind: "returned", value: 4 });
  });
});

describe("H8: in a process with threads", () => {
  test("a guest that loops loses its thread, not the process: memories and other calls are as before", async () => {
    const arena = pool.createArena("acme", 4);
    await arena.write(100, Buffer.from("tide"));
    const pids = workerProcesses(process.pid);
    const waiting = begin(pool, asksOnce, { onOperation: ignore });
    await waiting.heard(1);
    for (let loop = 0; loop < 3; loop++) {
      expect(await persist(pool, loops(plain), { limits: { wallTimeMs: 150 } })).toMatchObject({
        kind: "killed",
        reason: "wallTime",
      });
    }
    expect(Buffer.from(await arena.read(100, 4)).toString()).toBe("tide");
    expect([workerProcesses(process.pid), pool.reaches("acme", arena)]).toEqual([pids, true]);
    waiting.call.cancel();
    await waiting.end;
  });

  test("somebody who kills it costs no call, three times in a minute: each is displaced once", async () => {
    for (let kills = 1; kills <= 3; kills++) {
      const running = Array.from({ length: 10 }, () => begin(pool, asksOnce, { onOperation: ignore }));
      await running[0]?.heard(1);
      const begun = running.filter(({ operations }) => operations.length > 0);
      for (const pid of workerProcesses(process.pid)) {
        process.kill(pid, "SIGKILL");
      }
      await eventually("all are out of that process", async () => begun.every((call) => call.ends() === 1));
      for (const { call, end, ends } of running) {
        if (ends() === 1) {
          expect(await end).toMatchObject({ kind: "displaced" });
        }
        call.cancel();
        await end;
      }
    }
    expect(await persist(pool, asksOnce)).toMatchObject({ kind: "returned", value: 42 });
  });

  test("a call that waits for a memory that is gone begins anew, also one that was in no worker yet", async () => {
    const arena = pool.createArena("acme", 4);
    for (const pid of workerProcesses(process.pid)) {
      process.kill(pid, "SIGKILL");
    }
    await eventually("it is gone", async () => !pool.reaches("acme", arena));
    expect(await run(pool, asksOnce, { arena })).toMatchObject({ kind: "displaced" });
  });
});
