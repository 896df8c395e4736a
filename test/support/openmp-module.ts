/** Modules that call the runtime of OpenMP, by the real upload. */
import { expect } from "vitest";
import { abiTable } from "../../host/abi/index.ts";
import { prepareModule } from "../../host/modules/preparation.ts";
import type { SandboxPool } from "../../host/sandbox/index.ts";
import { wat } from "./guest-modules.ts";
import { run } from "./sandbox-calls.ts";

export const LIMITS = { moduleMaxBytes: 1 << 20, memoryMaxPages: 400, tableMaxElements: 100, uploadTimeoutMs: 10_000 };
/** All of its imports. */
export const OPENMP = [...abiTable].filter(([name]) => /^env\.(__kmpc|omp)_/.test(name));
export const THREADS = [1, 2, 4];
const EIGHT = { threads: { callMax: 8, tenantMax: 16 } };

export type OpenmpModule = ReturnType<typeof openmp>;

/**
 * Calls are written by their names, without __kmpc_: (call $barrier …), (call $omp_get_level). Below 1024 nothing of the module's own
 * lies. `regions` are functions of the table, from 1 on, ($number, $bound) → ().
 * @param main  body of main () → i32
 */
export function openmp(main: string, regions: readonly string[] = [], { more = "" } = {}) {
  const imports = OPENMP.map(([name, { params, results }]) => {
    const field = name.slice("env.".length);
    const types = `(param ${params.join(" ")}) (result ${results.join(" ")})`;
    return `(import "env" "${field}" (func $${field.replace("__kmpc_", "")} ${types}))`;
  });
  return prepareModule(
    wat(`(module ${imports.join("\n")}
      (import "env" "__faasm_write_output" (func $output (param i32 i32)))
      (import "env" "memory" (memory 2 400 shared))
      (global $stack (mut i32) (i32.const 65536))
      (table 8 funcref) (elem (i32.const 1) ${regions.map((_, at) => `$f${at + 1}`).join(" ")} $takes_three)
      (func $takes_three (param i32 i32 i32))
      (func $add (param $at i32) (param $value i32) (drop (i32.atomic.rmw.add (local.get $at) (local.get $value))))
      (func $fork (param $threads i32) (param $f i32)
        (call $push_num_threads (i32.const 0) (i32.const 0) (local.get $threads))
        (call $fork_call (i32.const 0) (i32.const 0) (local.get $f) (i32.const 0)))
      ${more}
      ${regions.map((body, at) => `(func $f${at + 1} (param $number i32) (param $bound i32) (local $n i32) (local $i i32) ${body})`).join("\n")}
      (func (export "main") (result i32) (local $n i32) (local $i i32) ${main}))`),
    abiTable,
    LIMITS,
  );
}

/** The end of a call that may have eight threads. */
export const endOf = (pool: SandboxPool, module: OpenmpModule, options = {}) => run(pool, module, { ...EIGHT, ...options });

/** What it returns, or how else it ends. */
export async function returnedBy(pool: SandboxPool, module: OpenmpModule, options = {}) {
  const end = await endOf(pool, module, options);
  return end.kind === "returned" ? end.value : end;
}

/** In a loop of so many rounds. */
export const times = (count: number, body: string) =>
  `(local.set $n (i32.const ${count})) (loop $again ${body} (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))`;
/** In a region: the number of its thread. */
export const rank = "(i32.load (local.get $number))";
/** A location, and a thread that is not asked for. */
export const here = "(i32.const 0) (i32.const 0)";

/** That an import ends the call that gives it addresses where nothing is. @param argument  in place of the address at so many */
export async function expectPointersRefused(
  pool: SandboxPool,
  name: string,
  argument = (pointer: string, _at: number): string => pointer,
): Promise<void> {
  const { params, results } = abiTable.get(name) ?? { params: [], results: [] };
  for (const pointer of ["-4", "0x7ffffffc", "131070"]) {
    const args = params.map((type, at) => `(${type}.const ${argument(pointer, at)})`);
    const call = `(call $${name.slice("env.".length).replace("__kmpc_", "")} ${args.join(" ")})`;
    expect([name, pointer, await returnedBy(pool, openmp(results.length > 0 ? call : `${call} (i32.const 0)`))]).toEqual([
      name,
      pointer,
      expect.objectContaining({ kind: "trapped", message: expect.stringMatching(/^(__kmpc|omp)_\w+: \w+ at \d+ (\+|is not)/) }),
    ]);
  }
}
