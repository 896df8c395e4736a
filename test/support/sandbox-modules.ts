/** Modules for tests of sandboxes, as text: each shows one thing a guest can do. */
import { artefactOf } from "./wasm.ts";

const head = `
  (import "t" "input" (func $input (param i32) (result i32)))
  (import "t" "output" (func $output (param i32 i32)))
  (import "t" "log" (func $log (param i32 i32)))`;
const suspending = `
  (import "t" "ask" (func $ask (param i32) (result i32)))
  (import "t" "post" (func $post (param i32 i32)))
  (import "t" "at_once" (func $at_once (result i32)))
  (import "t" "at_once_async" (func $at_once_async (result i32)))`;
const state = `
  (memory (export "$memory") 2 64)
  (global $counter (export "$global0") (mut i32) (i32.const 7))
  (data (i32.const 64) "neap")`;

const module = (imports: string, rest: string) => artefactOf(`(module ${imports} ${state} ${rest})`);
/** A module with an entry () → i32 of the given body, once without and once with a suspending import. */
export const plain = (body: string, more = "", imports = "") =>
  module(head + imports, `${more} (func (export "run") (result i32) ${body})`);
export const resident = (body: string, more = "", imports = "") =>
  module(head + suspending + imports, `${more} (func (export "run") (result i32) ${body})`);

export const echo = (make: typeof plain) =>
  make(
    "(local $n i32) (local.set $n (call $input (i32.const 1024))) (call $output (i32.const 1024) (local.get $n)) (local.get $n)",
  );

/** Returns what it finds in its global and memory, and leaves something else there. */
export const stains = (make: typeof plain) =>
  make(`(local $found i32)
    (local.set $found (i32.add (global.get $counter) (i32.add (i32.load8_u (i32.const 64)) (i32.load (i32.const 100000)))))
    (global.set $counter (i32.const 99))
    (i32.store8 (i32.const 64) (i32.const 0))
    (i32.store (i32.const 100000) (i32.const 12345))
    (local.get $found)`);
/** 7, the "n" of "neap", 0. */
export const STAINS_FRESH = 7 + 110;

export const loops = (make: typeof plain) => make("(loop $forever (br $forever)) (i32.const 0)");
export const traps = (make: typeof plain) => make("unreachable");
export const recurses = (make: typeof plain) =>
  make(
    "(call $deeper (i32.const 1))",
    "(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (call $deeper (i32.const 2))))",
  );
export const asksOnce = resident("(call $ask (i32.const 41))");
export const asks = (times: number) =>
  resident(`(local $left i32) (local $sum i32) (local.set $left (i32.const ${times}))
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $ask (local.get $left))))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.get $sum)`);
