/** Modules in the shape that Faasm's toolchain gives them: no table and no stack pointer exported, 16 MiB, constructors, a zygote. */
import { wat } from "./guest-modules.ts";

const IMPORTS = {
  read_input: "(func $read_input (param i32 i32) (result i32))",
  write_output: "(func $write_output (param i32 i32))",
  chain_name: "(func $chain_name (param i32 i32 i32) (result i32))",
  chain_ptr: "(func $chain_ptr (param i32 i32 i32) (result i32))",
  await_call: "(func $await_call (param i32) (result i32))",
  await_call_output: "(func $await_call_output (param i32 i32 i32) (result i32))",
};

export interface FaasmModule {
  /** Further imports and functions; in place of those left out there is nothing. */
  readonly functions?: string;
  /** Further elements of the table, from index 1 on. */
  readonly table?: string;
  /** Of `__wasm_call_ctors` and `_faasm_zygote`, which ends with an i32. */
  readonly constructors?: string;
  readonly zygote?: string;
  /** Of `_start`. */
  readonly start: string;
}

/**
 * Has `$sp`, the stack pointer, `$exit` of WASI, and the imports of input, output and calls by their names without "__faasm_".
 * Memory below 4 MiB is its stack; what a program keeps begins at 5 MiB.
 */
export function faasmModule({ functions = "", table = "", constructors = "", zygote = "(i32.const 0)", start }: FaasmModule) {
  const [imports, rest] = split(functions);
  return wat(`(module
    ${Object.entries(IMPORTS)
      .map(([name, type]) => `(import "env" "__faasm_${name}" ${type})`)
      .join("\n")}
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    ${imports}
    (memory (export "memory") 256 65535)
    (table 20 funcref)
    (elem (i32.const 1) ${table})
    (global $sp (mut i32) (i32.const 4194304))
    (global (export "__heap_base") i32 (i32.const 5242880))
    (global (export "__data_end") i32 (i32.const 5242880))
    ${rest}
    (func (export "__wasm_call_ctors") ${constructors})
    (func (export "_faasm_zygote") (result i32) ${zygote})
    (func (export "_start") ${start}))`);
}

/** Imports come first in a module. */
function split(functions: string): [imports: string, rest: string] {
  const lines = functions.split("\n");
  const isImport = (line: string) => line.trim().startsWith("(import");
  return [lines.filter(isImport).join("\n"), lines.filter((line) => !isImport(line)).join("\n")];
}

/**
 * Counts the bytes "a" of the object that its input names, in a part, with a local on the shadow stack of caller and part; writes the
 * count of it, that of its zygote, and what it finds at the mapped object afterwards. No such object: writes "FAILED" and exits with 3.
 */
export const COUNTS_A = faasmModule({
  functions: `
    (import "env" "__faasmndp_getMmap" (func $map (param i32 i32 i64 i64 i32) (result i32)))
    (import "env" "__faasmndp_storageCallAndAwait" (func $part (param i32 i32 i32) (result i32)))
    (data (i32.const 5242880) "FAILED")
    (global $count (mut i32) (i32.const 0))
    (global $object (mut i32) (i32.const 0))
    (func $work (result i32) (local $frame i32) (local $at i32) (local $end i32)
      (local.set $frame (i32.sub (global.get $sp) (i32.const 16)))
      (global.set $sp (local.get $frame))
      (global.set $object (call $map (i32.const 5243000) (i32.load (i32.const 5243100)) (i64.const 0) (i64.const 1000000)
        (local.get $frame)))
      (if (i32.eqz (global.get $object)) (then
        (global.set $sp (i32.add (local.get $frame) (i32.const 16)))
        (return (i32.const 1))))
      (local.set $at (global.get $object))
      (local.set $end (i32.add (local.get $at) (i32.load (local.get $frame))))
      (loop $next
        (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 97))
          (then (global.set $count (i32.add (global.get $count) (i32.const 1)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
      (i32.store (i32.add (local.get $frame) (i32.const 8)) (i32.const -1))
      (global.set $sp (i32.add (local.get $frame) (i32.const 16)))
      (i32.const 0))`,
  table: "$work",
  constructors: "(i32.store (i32.const 5243200) (i32.const 20))",
  zygote: "(i32.store (i32.const 5243200) (i32.add (i32.load (i32.const 5243200)) (i32.const 3))) (i32.const 0)",
  start: `(local $frame i32)
    (local.set $frame (i32.sub (global.get $sp) (i32.const 16)))
    (global.set $sp (local.get $frame))
    (i32.store (local.get $frame) (i32.const 77))
    (i32.store (i32.const 5243100) (call $read_input (i32.const 5243000) (i32.const 100)))
    (if (call $part (i32.const 5243000) (i32.load (i32.const 5243100)) (i32.const 1)) (then
      (call $write_output (i32.const 5242880) (i32.const 6))
      (call $exit (i32.const 3))))
    (if (i32.ne (i32.load (local.get $frame)) (i32.const 77)) (then (call $exit (i32.const 9))))
    (if (i32.ne (local.get $frame) (global.get $sp)) (then (call $exit (i32.const 8))))
    (i32.store8 (i32.const 5243300) (global.get $count))
    (i32.store8 (i32.const 5243301) (i32.load (i32.const 5243200)))
    (i32.store8 (i32.const 5243302) (i32.load8_u (global.get $object)))
    (call $write_output (i32.const 5243300) (i32.const 3))`,
});

/** The function of its table at index 1 writes its number, the second its input; `_start` calls what its input says: "1", "2" or "x". */
export const CHAINS = faasmModule({
  functions: `
    (data (i32.const 5242880) "42 and more")
    (global $runs (mut i32) (i32.const 0))
    (func $number (param $n i32) (result i32)
      (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
      (i32.store8 (i32.const 5243000) (local.get $n))
      (i32.store8 (i32.const 5243001) (global.get $runs))
      (call $write_output (i32.const 5243000) (i32.const 2))
      (i32.const 0))
    (func $echo (result i32)
      (call $write_output (i32.const 5243000) (call $read_input (i32.const 5243000) (i32.const 100)))
      (call $exit (i32.const 5))
      (i32.const 0))
    (func $other (param i64))`,
  table: "$number $echo $other",
  start: `(local $rc i32)
    (global.set $runs (i32.const 7))
    (drop (call $read_input (i32.const 5243000) (i32.const 1)))
    (local.set $rc (call $await_call_output
      (call $chain_ptr (i32.sub (i32.load8_u (i32.const 5243000)) (i32.const 48)) (i32.const 5242880) (i32.const 11))
      (i32.const 5243100) (i32.const 100)))
    (i32.store8 (i32.const 5243099) (local.get $rc))
    (call $write_output (i32.const 5243099) (i32.const 12))`,
});

/**
 * Adds 1 to the byte of the state value "count" through a pointer, and pushes nothing: as its `_start`, which exits with 0, for the input
 * "s"; in a call of its table's function, which exits, too, for "t"; in a storage part for "p"; under the write lock for "l".
 */
export const COUNTS_CALLS = faasmModule({
  functions: `
    (import "env" "__faasm_read_state_ptr" (func $state (param i32 i32) (result i32)))
    (import "env" "__faasm_lock_state_write" (func $lock (param i32)))
    (import "env" "__faasm_unlock_state_write" (func $unlock (param i32)))
    (import "env" "__faasmndp_storageCallAndAwait" (func $part (param i32 i32 i32) (result i32)))
    (data (i32.const 5242880) "count\\00")
    (func $add (result i32) (local $at i32)
      (local.set $at (call $state (i32.const 5242880) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
      (i32.const 0))
    (func $add_and_exit (result i32)
      (drop (call $add))
      (call $exit (i32.const 0))
      (i32.const 1))`,
  table: "$add $add_and_exit",
  start: `(local $what i32)
    (drop (call $read_input (i32.const 5243000) (i32.const 1)))
    (local.set $what (i32.load8_u (i32.const 5243000)))
    (if (i32.eq (local.get $what) (i32.const 115)) (then (drop (call $add))))
    (if (i32.eq (local.get $what) (i32.const 116)) (then
      (call $exit (call $await_call (call $chain_ptr (i32.const 2) (i32.const 0) (i32.const 0))))))
    (if (i32.eq (local.get $what) (i32.const 112)) (then
      (call $exit (call $part (i32.const 5242880) (i32.const 5) (i32.const 1)))))
    (if (i32.eq (local.get $what) (i32.const 108)) (then
      (call $lock (i32.const 5242880))
      (drop (call $add))
      (call $unlock (i32.const 5242880))))
    (call $exit (i32.const 0))`,
});
