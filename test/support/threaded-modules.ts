/** Modules whose calls have threads, as text; made by the upload pipeline, with the imports of `test-imports.ts`. */
import type { AbiTable, Artefact } from "../../host/modules/index.ts";
import { prepareModule } from "../../host/modules/preparation.ts";
import { wat } from "./guest-modules.ts";

const ABI: AbiTable = new Map(
  [
    ["t.input", ["i32"], ["i32"], false],
    ["t.output", ["i32", "i32"], [], false],
    ["t.log", ["i32", "i32"], [], false],
    ["t.exit", ["i32"], [], false],
    ["t.ask", ["i32"], ["i32"], true],
    ["t.post", ["i32", "i32"], [], true],
    ["wasi.thread-spawn", ["i32"], ["i32"], false],
  ].map(([name, params, results, suspends]) => [
    name as string,
    { params: params as string[], results: results as string[], suspends: suspends as boolean },
  ]),
);
const LIMITS = { moduleMaxBytes: 1 << 20, memoryMaxPages: 64, tableMaxElements: 100, uploadTimeoutMs: 10_000 };

/**
 * @param main  body of main () → i32
 * @param thread  body of the thread's function (param $thread i32) (param $argument i32)
 * @param more  further functions
 */
export function threaded(main: string, thread: string, more = ""): Artefact {
  return prepareModule(
    wat(`(module
      (import "t" "input" (func $input (param i32) (result i32)))
      (import "t" "output" (func $output (param i32 i32)))
      (import "t" "log" (func $log (param i32 i32)))
      (import "t" "exit" (func $exit (param i32)))
      (import "t" "ask" (func $ask (param i32) (result i32)))
      (import "t" "post" (func $post (param i32 i32)))
      (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "env" "memory" (memory 2 16 shared))
      (global $counter (mut i32) (i32.const 7))
      (data (i32.const 64) "neap")
      (func $wait (param $at i32) (param $is i32) (drop (memory.atomic.wait32 (local.get $at) (local.get $is) (i64.const -1))))
      (func $signal (param $at i32) (param $by i32)
        (drop (i32.atomic.rmw.add (local.get $at) (local.get $by)))
        (drop (memory.atomic.notify (local.get $at) (i32.const -1))))
      (func $wait_until (param $at i32) (param $is i32) (local $now i32)
        (block $done (loop $again
          (local.set $now (i32.atomic.load (local.get $at)))
          (br_if $done (i32.eq (local.get $now) (local.get $is)))
          (call $wait (local.get $at) (local.get $now))
          (br $again))))
      ${more}
      (func (export "wasi_thread_start") (param $thread i32) (param $argument i32) ${thread})
      (func (export "main") (result i32) ${main}))`),
    ABI,
    LIMITS,
  );
}
