import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
import { call, type RunningHost, removeFolder, startHost, temporaryFolder, upload } from "../support/host-process.ts";

/**
 * Copies the file that its first argument names to that of its second, 100,000 bytes at a time, and exits without closing it. Memory: iovec
 * at 0, results from 16 on, arguments from 100 and 1000 on, a poll subscription at 40, its event at 600, the file's bytes from 65,536 on.
 *
 * @param pause  what it does between the first read and the first write
 */
const copyProgram = (pause: string) => `(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4)
  (func $check (param $errno i32) (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  (func $sleep (param $seconds i64)
    (i64.store (i32.const 64) (i64.mul (local.get $seconds) (i64.const 1000000000)))
    (call $check (call $poll_oneoff (i32.const 40) (i32.const 600) (i32.const 1) (i32.const 16))))
  (func $open (param $arg i32) (param $how i32) (result i32) (local $at i32)
    (local.set $at (i32.load (i32.add (i32.const 100) (i32.mul (local.get $arg) (i32.const 4)))))
    (call $check (call $path_open (i32.const 3) (i32.const 0) (local.get $at)
      (i32.sub (i32.sub (i32.load (i32.add (i32.const 104) (i32.mul (local.get $arg) (i32.const 4)))) (local.get $at)) (i32.const 1))
      (local.get $how) (i64.const 0x46) (i64.const 0) (i32.const 0) (i32.const 16)))
    (i32.load (i32.const 16)))
  (func (export "_start") (local $from i32) (local $to i32) (local $size i32)
    (call $check (call $args_sizes_get (i32.const 20) (i32.const 24)))
    (call $check (call $args_get (i32.const 100) (i32.const 1000)))
    (i32.store (i32.add (i32.const 100) (i32.mul (i32.load (i32.const 20)) (i32.const 4)))
      (i32.add (i32.const 1000) (i32.load (i32.const 24))))
    (local.set $from (call $open (i32.const 1) (i32.const 0)))
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 100000))
    (call $check (call $fd_read (local.get $from) (i32.const 0) (i32.const 1) (i32.const 16)))
    (local.set $size (i32.load (i32.const 16)))
    ${pause}
    (local.set $to (call $open (i32.const 2) (i32.const 9)))
    (loop $more
      (i32.store (i32.const 4) (local.get $size))
      (call $check (call $fd_write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 16)))
      (i32.store (i32.const 4) (i32.const 100000))
      (call $check (call $fd_read (local.get $from) (i32.const 0) (i32.const 1) (i32.const 16)))
      (local.set $size (i32.load (i32.const 16)))
      (br_if $more (local.get $size)))))`;

const folder = temporaryFolder("files");
let host: RunningHost;

beforeAll(async () => {
  host = await startHost({ dataDirectory: folder, flags: [] });
  for (const tenant of ["demo", "other"]) {
    await upload(host.url, tenant, "copy", wat(copyProgram("")));
  }
  await upload(
    host.url,
    "demo",
    "slow",
    wat(copyProgram("(drop (call $open (i32.const 3) (i32.const 1))) (call $sleep (i64.const 3))")),
  );
});

afterAll(async () => {
  await host.kill();
  removeFolder(folder);
});

const fileRequest = (method: string, path: string, user = "demo", body?: Uint8Array | string) =>
  fetch(`${host.url}/file?user=${user}`, {
    method,
    headers: { FilePath: path },
    body: typeof body === "object" ? body.slice() : (body ?? null),
  });

const put = async (path: string, body: Uint8Array | string) =>
  expect((await fileRequest("PUT", path, "demo", body)).status).toBe(200);
const text = async (path: string) => (await fileRequest("GET", path)).text();

const run = (name: string, cmdline: string, user = "demo", more: object = {}) =>
  call(host.url, { user, function: name, input_data: "", cmdline, ...more });

it("a program reads what PUT /file has stored, and what it writes below faasm:// is GET /file's, after a crash too", async () => {
  await put("in/first", "shared");
  expect((await run("copy", "in/first faasm://out")).status).toBe(200);
  expect(await text("out")).toBe("shared");
  await host.kill();
  host = await startHost({ dataDirectory: folder, flags: [] });
  expect(await text("out")).toBe("shared");
});

it("what it writes elsewhere is its own, and gone with the call", async () => {
  await put("mine", "x");
  expect((await run("copy", "mine private")).status).toBe(200);
  expect((await run("copy", "mine mine")).status).toBe(200);
  expect((await fileRequest("GET", "private")).status).toBe(404);
  expect((await run("copy", "private faasm://out")).body).toContain("return value=44");
});

it("a file of many pieces is copied whole, and stored as a blob", async () => {
  const large = Uint8Array.from({ length: 5_000_000 }, (_, at) => (at * 31 + (at >> 11)) & 0xff);
  await put("large", large);
  expect((await run("copy", "large faasm://copied")).status).toBe(200);
  expect(Buffer.from(await (await fileRequest("GET", "copied")).arrayBuffer()).equals(large)).toBe(true);
});

it("another tenant's files are nowhere to be found", async () => {
  await put("secret", "s");
  for (const path of ["secret", "faasm://secret", "faasm://../demo/secret", "../demo/files/secret"]) {
    expect((await run("copy", `${path} faasm://stolen`, "other")).status).toBe(500);
  }
  expect((await fileRequest("GET", "secret", "other")).status).toBe(404);
});

it("a call that is run again after a crash reads the same file again, whatever has replaced it, and writes once", async () => {
  await put("pinned", "before");
  const begun = await run("slow", "pinned faasm://result faasm://begun", "demo", { async: true, id: 4711 });
  expect(begun).toMatchObject({ status: 200, body: "4711" });
  const status = async () => (await call(host.url, { user: "demo", function: "slow", id: 4711, status: true })).body;
  await eventually("the call has read its file", async () => (await fileRequest("GET", "begun")).status === 200);
  await put("pinned", "after");
  await host.kill();
  host = await startHost({ dataDirectory: folder, flags: [] });
  await eventually("the call has ended", async () => (await status()) !== "RUNNING");
  expect(await text("result")).toBe("before");
});
