/** A started host that one tenant attacks with threads while another one calls its functions without pause. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bystander, SECRET } from "../support/bystander.ts";
import { wat } from "../support/guest-modules.ts";
import { call, type RunningHost, upload } from "../support/host-process.ts";
import { AttackedHost } from "./attacked-host.ts";
import { SCAVENGES } from "./attacks.ts";

const ATTACKER = "attacker";

const FOREVER = "(loop $forever (br $forever))";
const WAITS = "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))";
const SPAWNS_ALL = "(loop $more (br_if $more (i32.gt_s (call $spawn (i32.const 1)) (i32.const 0))))";

/** A parallel region of two threads, whose numbers are at $number. */
const region = (body: string) =>
  wat(`(module
    (import "env" "__kmpc_fork_call" (func $fork_call (param i32 i32 i32 i32)))
    (import "env" "__kmpc_push_num_threads" (func $threads (param i32 i32 i32)))
    (import "env" "__kmpc_barrier" (func $barrier (param i32 i32)))
    (import "env" "__kmpc_end_serialized_parallel" (func $leave (param i32 i32)))
    (import "env" "__kmpc_reduce_nowait" (func $reduce (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "env" "memory" (memory 2 1024 shared))
    (global $stack (mut i32) (i32.const 65536))
    (table 4 funcref) (elem (i32.const 1) $share)
    (func $share (param $number i32) (param $bound i32) (local $is_main i32)
      (local.set $is_main (i32.eqz (i32.load (local.get $number)))) ${body})
    (func (export "main")
      (loop $again
        (call $threads (i32.const 0) (i32.const 0) (i32.const 2))
        (call $fork_call (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
        (br $again))))`);

const module = (main: string, thread: string) =>
  wat(`(module
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "neap" "output_write" (func $output (param i32 i32)))
    (import "neap" "object_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "env" "memory" (memory 2 1024 shared))
    (data (i32.const 64) "key")
    (func (export "wasi_thread_start") (param $thread i32) (param $argument i32) ${thread})
    (func (export "main") ${main}))`);

interface Attack {
  readonly module: Uint8Array;
  readonly limits?: { readonly wallTimeMs?: number; readonly cpuTimeMs?: number; readonly outputMaxBytes?: number };
  readonly status: number;
  readonly code: string | null;
  readonly body: RegExp;
}

const ATTACKS: Readonly<Record<string, Attack>> = {
  "threads that start threads for ever": {
    module: module(`${SPAWNS_ALL} ${FOREVER}`, `${SPAWNS_ALL} ${FOREVER}`),
    limits: { cpuTimeMs: 300 },
    ...{ status: 500, code: "CPU_LIMIT", body: /more than 300 ms of CPU time/ },
  },
  "threads that start one and end, for ever": {
    module: module(`(loop $more (drop (call $spawn (i32.const 1))) (br $more))`, "(drop (call $spawn (i32.const 1)))"),
    limits: { wallTimeMs: 700 },
    ...{ status: 504, code: "TIME_LIMIT", body: /longer than 700 ms/ },
  },
  "a deadlock": {
    module: module(`${SPAWNS_ALL} ${WAITS}`, WAITS),
    limits: { wallTimeMs: 400 },
    ...{ status: 504, code: "TIME_LIMIT", body: /longer than 400 ms/ },
  },
  "a trap while others loop": {
    module: module(
      `(drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 1))) ${FOREVER}`,
      `(if (local.get $argument) (then unreachable)) ${FOREVER}`,
    ),
    ...{ status: 500, code: "CALL_FAILED", body: /in a thread: unreachable/ },
  },
  "an exit while others loop": {
    module: module(
      `(drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 1))) ${FOREVER}`,
      `(if (local.get $argument) (then (call $exit (i32.const 7)))) ${FOREVER}`,
    ),
    ...{ status: 500, code: "CALL_FAILED", body: /return value=7/ },
  },
  "a step in a thread, caught": {
    module: module(
      `(drop (call $spawn (i32.const 0))) ${WAITS}`,
      `(try (do (drop (call $write (i32.const 64) (i32.const 3) (i32.const 64) (i32.const 3)))) (catch_all))`,
    ),
    ...{ status: 500, code: "CALL_FAILED", body: /object_write: only the main thread of a call may use it/ },
  },
  "memory, as much as it gets": {
    module: module(
      `${SPAWNS_ALL} ${FOREVER}`,
      `(local $at i32)
      (loop $more
        (if (i32.ge_u (local.get $at) (i32.shl (memory.size) (i32.const 16))) (then (drop (memory.grow (i32.const 16)))))
        (if (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))
          (then (i32.store8 (local.get $at) (i32.const 1)) (local.set $at (i32.add (local.get $at) (i32.const 4096)))))
        (br $more))`,
    ),
    limits: { cpuTimeMs: 500 },
    ...{ status: 500, code: "CPU_LIMIT", body: /more than 500 ms of CPU time/ },
  },
  "a flood of output": {
    module: module(`${SPAWNS_ALL} ${WAITS}`, "(loop $more (call $output (i32.const 0) (i32.const 65536)) (br $more))"),
    limits: { outputMaxBytes: 1_000_000 },
    ...{ status: 500, code: "OUTPUT_TOO_LARGE", body: /at most 1000000 are allowed/ },
  },
  "parallel regions for ever": {
    module: region(""),
    limits: { wallTimeMs: 700 },
    ...{ status: 504, code: "TIME_LIMIT", body: /longer than 700 ms/ },
  },
  "a barrier that one thread never comes to": {
    module: region("(if (local.get $is_main) (then (call $barrier (i32.const 0) (i32.const 0))))"),
    limits: { wallTimeMs: 400 },
    ...{ status: 504, code: "TIME_LIMIT", body: /longer than 400 ms/ },
  },
  "a reduction that the first thread never ends": {
    module: region(
      "(drop (call $reduce (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
    ),
    limits: { wallTimeMs: 400 },
    ...{ status: 504, code: "TIME_LIMIT", body: /longer than 400 ms/ },
  },
  "an exit in the middle of a region": {
    module: region("(if (local.get $is_main) (then (call $exit (i32.const 7)))) (call $barrier (i32.const 0) (i32.const 0))"),
    ...{ status: 500, code: "CALL_FAILED", body: /return value=7/ },
  },
  "a thread that loops while the main one leaves the region": {
    module: region(`(if (local.get $is_main) (then return)) ${FOREVER}`),
    limits: { cpuTimeMs: 300 },
    ...{ status: 500, code: "CPU_LIMIT", body: /more than 300 ms of CPU time/ },
  },
  "the end of a region that has not begun": {
    module: region("(call $leave (i32.const 0) (i32.const 0))"),
    ...{ status: 500, code: "CALL_FAILED", body: /no region has begun in which the thread is alone/ },
  },
};

describe.each(["threads", "process"])("H8: with isolation %s, a guest that attacks the host with threads", (isolation) => {
  let attacked: AttackedHost;
  let host: RunningHost;
  let bystander: Bystander;

  beforeAll(async () => {
    const flags = ["--isolation", isolation, "--call-max-threads", "6", "--wall-time-ms", "120000"];
    attacked = await AttackedHost.start(`hostile-threads-${isolation}`, flags);
    ({ host, bystander } = attacked);
    await upload(host.url, ATTACKER, "scavenger", module(SCAVENGES, ""));
  }, 120_000);

  afterAll(() => attacked.close());

  test.each(Object.entries(ATTACKS))(
    "fails its own call; another tenant is served during and after it, and nothing of it is readable: %s",
    async (name, { module, limits = null, status, code, body }) => {
      await upload(host.url, ATTACKER, "self", module);
      const url = `${host.url}/v1/tenants/${ATTACKER}/functions/self/options`;
      expect((await fetch(url, { method: "PUT", body: JSON.stringify({ limits }) })).status).toBe(200);
      const attack = () => call(host.url, { user: ATTACKER, function: "self" });
      const { result } = await bystander.during(() => Promise.all([attack(), attack(), attack()]));
      for (const answer of result) {
        expect([name, answer.status, answer.headers.get("neap-error")]).toEqual([name, status, code]);
        expect(answer.body).toMatch(body);
        expect(answer.body).not.toContain(SECRET);
      }
      expect((await call(host.url, { user: ATTACKER, function: "scavenger" })).status).toBe(200);
    },
  );
});
