import { afterAll, beforeAll, expect, it } from "vitest";
import { wat } from "../support/guest-modules.ts";
import { call, type RunningHost, removeFolder, startHost, temporaryFolder, upload } from "../support/host-process.ts";

/**
 * Writes its arguments (with the NUL behind each) and then, by way of a scratch file, its input. Exits with the number of arguments behind
 * its name. Memory: iovec at 0, results from 16 on, arguments from 1000, input from 4000, the file's bytes from 8000.
 */
const PROGRAM = `(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "file")
  (func $check (param $errno i32) (if (local.get $errno) (then unreachable)))
  (func $buffer (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $size)))
  (func (export "_start") (local $size i32) (local $file i32)
    (call $check (call $args_sizes_get (i32.const 20) (i32.const 24)))
    (call $check (call $args_get (i32.const 500) (i32.const 1000)))
    (call $buffer (i32.const 1000) (i32.load (i32.const 24)))
    (call $check (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    (call $buffer (i32.const 4000) (i32.const 4000))
    (call $check (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
    (local.set $size (i32.load (i32.const 16)))
    (call $check (call $path_open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 5)
      (i64.const 0x46) (i64.const 0) (i32.const 0) (i32.const 16)))
    (local.set $file (i32.load (i32.const 16)))
    (call $buffer (i32.const 4000) (local.get $size))
    (call $check (call $fd_write (local.get $file) (i32.const 0) (i32.const 1) (i32.const 16)))
    (call $check (call $fd_seek (local.get $file) (i64.const 0) (i32.const 0) (i32.const 40)))
    (call $buffer (i32.const 8000) (i32.const 4000))
    (call $check (call $fd_read (local.get $file) (i32.const 0) (i32.const 1) (i32.const 16)))
    (call $buffer (i32.const 8000) (i32.load (i32.const 16)))
    (call $check (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    (call $proc_exit (i32.sub (i32.load (i32.const 20)) (i32.const 1)))))`;

/** Writes its environment, each variable with a NUL behind it. */
const ENVIRONMENT = `(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $sizes (i32.const 8) (i32.const 4)))
    (drop (call $get (i32.const 100) (i32.const 1000)))
    (i32.store (i32.const 0) (i32.const 1000))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;

const folder = temporaryFolder("wasi");
let host: RunningHost;

beforeAll(async () => {
  host = await startHost({ dataDirectory: folder, flags: [] });
  await upload(host.url, "demo", "program", wat(PROGRAM));
});

afterAll(async () => {
  await host.kill();
  removeFolder(folder);
});

const program = (input: string, more: object = {}) =>
  call(host.url, { user: "demo", function: "program", input_data: input, ...more });

it("runs a program: input and output are its streams, each call has files of its own", async () => {
  for (const input of ["first", "second"]) {
    expect(await program(input)).toMatchObject({ status: 200, body: `program\0${input}` });
  }
});

it("gives it the words of cmdline, and takes its exit code for the return value", async () => {
  const answer = await program("x", { cmdline: " --loud  größer\n" });
  expect(answer).toMatchObject({ status: 500, body: expect.stringContaining("Call failed (return value=2)") });
});

it("F24: pins the command line: the same id with another one is another call", async () => {
  const first = await program("x", { id: 77, cmdline: "a" });
  expect(await program("x", { id: 77, cmdline: "a" })).toMatchObject({ status: first.status, body: first.body });
  expect(await program("x", { id: 77, cmdline: "b" })).toMatchObject({ status: 409 });
});

it("gives it the function's environment, and tells nobody else the values", async () => {
  await upload(host.url, "demo", "environment", wat(ENVIRONMENT));
  const options = { method: "PUT", body: JSON.stringify({ environment: { LEVEL: "debug", TOKEN: "s3cret-value" } }) };
  const set = await fetch(`${host.url}/v1/tenants/demo/functions/environment/options`, options);
  expect(await set.json()).toMatchObject({ environment: ["LEVEL", "TOKEN"] });
  const answer = await call(host.url, { user: "demo", function: "environment", id: 78 });
  expect(answer).toMatchObject({ status: 200, body: "LEVEL=debug\0TOKEN=s3cret-value\0" });
  expect(host.output()).not.toContain("s3cret-value");
});
