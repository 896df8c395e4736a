import { describe, expect, test } from "vitest";
import type { AbiTable } from "../../../../host/modules/abi-table.ts";
import { type Artefact, usesThreads } from "../../../../host/modules/artefact.ts";
import { checkModule, checkRewriting, prepareModule } from "../../../../host/modules/preparation.ts";
import { NO_REWRITING } from "../../../../host/modules/rewriting/index.ts";
import { wat } from "../../../support/guest-modules.ts";
import { ABI, LIMITS, refusal } from "./fixtures.ts";

const WITH_THREADS: AbiTable = new Map([
  ...ABI,
  ["wasi.thread-spawn", { params: ["i32"], results: ["i32"], suspends: false, threads: true }],
  ["region.open", { params: [], results: [], suspends: true }],
]);
const prepare = (fields: string) => prepareModule(wat(`(module ${fields})`), WITH_THREADS, LIMITS);
const MAIN = `(func (export "main"))`;
const SPAWN = `(import "wasi" "thread-spawn" (func (param i32) (result i32)))`;
const START = `(func (export "wasi_thread_start") (param i32 i32))`;

function instance({ wasm, snapshot, memoryMaxPages: maximum }: Artefact) {
  const memory = new WebAssembly.Memory({ initial: snapshot.pages, maximum, shared: true });
  const module = new WebAssembly.Module(wasm);
  const imports: WebAssembly.Imports = { $host: { memory }, neap: { tick: () => {} }, env: { abort: () => {} } };
  return { memory, exports: new WebAssembly.Instance(module, imports).exports };
}

describe("a module with a shared memory", () => {
  test.each([
    ["of its own", `(memory 2 40 shared)`],
    ["that it imports", `(import "env" "memory" (memory 2 40 shared))`],
    [
      "that it imports between functions",
      `(import "neap" "tick" (func $tick)) (import "x" "y" (memory 2 40 shared)) (import "env" "abort" (func (param i32 i32 i32 i32)))`,
    ],
  ])("%s becomes one that imports it from the host, with its snapshot and its maximum", (_where, memory) => {
    const artefact = prepare(`${memory}
      (global $g (mut i32) (i32.const 3))
      (data (i32.const 8) "neap")
      (func $start (i32.store (i32.const 16) (i32.const 5)) (global.set $g (i32.const 4)) (drop (memory.grow (i32.const 1))))
      (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (memory.size)))
      (func (export "read") (result i32) (i32.load (i32.const 8))) ${MAIN} (start $start)`);
    expect(usesThreads(artefact)).toBe(true);
    expect(artefact).toMatchObject({ memoryMaxPages: 40, snapshot: { pages: 3, globals: [4] } });
    expect(artefact.snapshot.runs.map(({ offset, bytes }) => [offset, bytes.byteLength])).toEqual([[8, 9]]);
    const first = instance(artefact);
    expect(first.memory.buffer.byteLength).toBe(3 * 65_536);
    expect(new Uint8Array(first.memory.buffer).every((byte) => byte === 0)).toBe(true);
    const { read, fill, $memory } = first.exports;
    expect($memory).toBe(first.memory);
    new Uint8Array(first.memory.buffer).set([1, 2, 3, 4], 8);
    expect(typeof read === "function" && read()).toBe(0x04030201);
    expect(typeof fill === "function" && fill()).toBe(undefined);
    expect(new Uint8Array(first.memory.buffer).subarray(0, 4)).toEqual(new Uint8Array([1, 1, 1, 0]));
  });

  test("has at most as many pages as the limit says", () => {
    expect(prepare(`(memory 1 65536 shared) ${MAIN}`).memoryMaxPages).toBe(64);
    expect(refusal(() => prepare(`(memory 65 70 shared) ${MAIN}`))).toMatch(/^MODULE_LIMIT: .*begins with 65 pages/);
    expect(refusal(() => prepare(`(import "a" "b" (memory 65 70 shared)) ${MAIN}`))).toMatch(
      /^MODULE_LIMIT: import section at offset \d+: the memory begins with 65 pages/,
    );
  });

  test("keeps its segments, whatever it drops: those of all its threads are equal", () => {
    const artefact = prepare(`(memory 1 2 shared) (data $passive "neap")
      (func $start (memory.init $passive (i32.const 8) (i32.const 0) (i32.const 4)) (data.drop $passive))
      (func (export "again") (memory.init $passive (i32.const 64) (i32.const 0) (i32.const 4)) (data.drop $passive))
      ${MAIN} (start $start)`);
    expect(artefact.snapshot.runs[0]?.offset).toBe(8);
    const { memory, exports } = instance(artefact);
    for (let time = 0; time < 2; time++) {
      expect(typeof exports.again === "function" && exports.again()).toBe(undefined);
    }
    expect(Buffer.from(new Uint8Array(memory.buffer).slice(64, 68)).toString()).toBe("neap");
    expect(refusal(() => prepare(`(memory 1 2) (data $p "x") (func (data.drop $p)) ${MAIN}`))).toContain(
      "data.drop is not allowed",
    );
  });

  test("may import thread-spawn, and must then export what threads run", () => {
    expect(prepare(`${SPAWN} (memory 1 2 shared) ${START} ${MAIN}`).imports).toEqual(["wasi.thread-spawn", "$host.memory"]);
    expect(refusal(() => prepare(`${SPAWN} (memory 1 2 shared) ${MAIN}`))).toBe(
      'MODULE_NO_ENTRY: a module that imports "wasi.thread-spawn" must export wasi_thread_start (i32, i32) -> (); it exports none',
    );
    expect(refusal(() => prepare(`${SPAWN} (memory 1 2 shared) (func (export "wasi_thread_start")) ${MAIN}`))).toContain(
      '"wasi_thread_start" has type () -> ()',
    );
  });

  test.each([
    ["another memory", `(import "a" "b" (memory 1 2 shared)) (memory 1 2 shared)`, "there is another one"],
    ["two imported ones", `(import "a" "b" (memory 1 2 shared)) (import "a" "c" (memory 1 2 shared))`, "there is another one"],
    ["memory regions", `(import "region" "open" (func)) (memory 1 2 shared)`, "cannot use memory regions"],
  ])("with %s is refused", (_what, fields, text) => {
    expect(refusal(() => prepare(`${fields} ${MAIN}`))).toMatch(new RegExp(`^MODULE_LIMIT: .*${text}`));
  });

  test.each(["preemptible", "migratable", "aliasState"] as const)("cannot be %s", (option) => {
    const checked = checkModule(wat(`(module (memory 1 2 shared) ${MAIN})`), WITH_THREADS, LIMITS);
    const rewriting = { ...NO_REWRITING, [option]: true };
    expect(refusal(() => checkRewriting(checked, rewriting))).toBe(
      `MODULE_LIMIT: the memory is shared by threads: the function cannot be ${option}`,
    );
  });
});

test("H23: a module that starts threads without a shared memory is refused with the flags to use", () => {
  const refused = refusal(() => prepare(`${SPAWN} (memory 1) ${START} ${MAIN}`));
  expect(refused).toMatch(
    /^MODULE_LIMIT: import section at offset \d+: "wasi.thread-spawn": threads need a memory that they share/,
  );
  expect(refused).toContain("-pthread -Wl,--import-memory,--shared-memory,--max-memory=");
  expect(refused).toContain("--no-check-features");
  expect(refused).toContain("--enable threads --sharedMemory --maximumMemory");
});
