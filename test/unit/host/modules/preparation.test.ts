import { beforeAll, describe, expect, test } from "vitest";
import type { Artefact } from "../../../../host/modules/index.ts";
import { moduleHash, prepareModule } from "../../../../host/modules/preparation.ts";
import { assemblyScript, moduleOf, section, wat } from "../../../support/guest-modules.ts";
import { ABI, LIMITS, refusal } from "./fixtures.ts";

const prepare = (bytes: Uint8Array<ArrayBuffer>) => prepareModule(bytes, ABI, LIMITS);
const prepareText = (fields: string) => prepare(wat(`(module ${fields})`));
const IMPORTS = { env: { abort() {} }, neap: { read: () => 0, tick() {} } };

/** A new instance of the artefact with its snapshot written, as a sandbox begins. */
function restore({ wasm, snapshot, globals }: Artefact): WebAssembly.Exports {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), IMPORTS);
  const memory = new Uint8Array((exports.$memory as WebAssembly.Memory).buffer);
  expect(memory.byteLength).toBe(snapshot.pages * 65_536);
  for (const { offset, bytes } of snapshot.runs) {
    memory.set(bytes, offset);
  }
  for (const [at, { name }] of globals.entries()) {
    (exports[name] as WebAssembly.Global).value = snapshot.globals[at] ?? 0;
  }
  return exports;
}

const memoryOf = (exports: WebAssembly.Exports, name: string) => Buffer.from((exports[name] as WebAssembly.Memory).buffer);

describe("the artefact", () => {
  test("a restored instance is in the state of the original after its start function", () => {
    const original = wat(`(module (memory (export "memory") 1) (table (export "table") 3 funcref) (elem (i32.const 1) $s)
      (global (export "a") (mut i32) (i32.const -1)) (global (mut i64) (i64.const 0)) (export "b" (global 1))
      (global (export "c") (mut f32) (f32.const 0)) (global (export "d") (mut f64) (f64.const 0)) (global i32 (i32.const 9))
      (data (i32.const 10) "hello") (data (i32.const 4094) "over a page")
      (func $s
        (drop (memory.grow (i32.const 1)))
        (i32.store (i32.const 10) (i32.const 0))
        (i64.store (i32.const 131064) (i64.const -1))
        (global.set 0 (i32.const -2147483648)) (global.set 1 (i64.const -9223372036854775808))
        (global.set 2 (f32.const 0.1)) (global.set 3 (f64.const -inf)))
      (start $s) (func (export "main")))`);
    const started = new WebAssembly.Instance(new WebAssembly.Module(original)).exports;
    const artefact = prepare(original);
    const restored = restore(artefact);
    expect(memoryOf(restored, "$memory").equals(memoryOf(started, "memory"))).toBe(true);
    const names = ["a", "b", "c", "d"];
    expect(artefact.globals.map(({ type }) => type)).toEqual(["i32", "i64", "f32", "f64"]);
    expect(artefact.snapshot.globals).toEqual(names.map((name) => (started[name] as WebAssembly.Global).value));
    for (const [at, { name }] of artefact.globals.entries()) {
      expect((restored[name] as WebAssembly.Global).value).toBe((started[names[at] ?? ""] as WebAssembly.Global).value);
    }
    expect((restored.$table as WebAssembly.Table).get(1)).toBeInstanceOf(Function);
    expect(artefact).toMatchObject({ entry: "main", entryReturns: false, hasTable: true, memoryMaxPages: 64 });
  });

  test("the snapshot holds the parts of memory that are not zero, ascending and not touching", () => {
    const { snapshot } = prepareText(`(memory 2) (data (i32.const 131071) "z") (data (i32.const 4090) "across a block")
      (data (i32.const 0) "a\\00\\00b") (data (i32.const 2000) "c") (func (export "main"))`);
    expect(snapshot.runs.map(({ offset, bytes }) => [offset, Buffer.from(bytes).toString("latin1")])).toEqual([
      [0, "a\0\0b"],
      [2000, "c"],
      [4090, "across a block"],
      [131_071, "z"],
    ]);
  });

  test("equal uploads give equal artefacts, and another state gives another snapshot hash", () => {
    const text = (value: number) =>
      `(memory 1) (global (mut i32) (i32.const 0)) (func $s (global.set 0 (i32.const ${value}))) (start $s) (func (export "main"))`;
    expect(prepareText(text(1))).toEqual(prepareText(text(1)));
    expect(prepareText(text(1)).snapshot.hash).not.toBe(prepareText(text(2)).snapshot.hash);
  });

  test("F24: the hash covers the limits that are built in, so that an instance keeps them", () => {
    const bytes = wat(`(module (memory 1) (func (export "main")))`);
    expect(moduleHash(bytes, LIMITS)).toMatch(/^[0-9a-f]{64}$/);
    expect(moduleHash(bytes, { ...LIMITS, uploadTimeoutMs: 1 })).toBe(moduleHash(bytes, LIMITS));
    expect(moduleHash(bytes, { ...LIMITS, memoryMaxPages: 65 })).not.toBe(moduleHash(bytes, LIMITS));
    expect(moduleHash(bytes, { ...LIMITS, tableMaxElements: 1 })).not.toBe(moduleHash(bytes, LIMITS));
    const both = [false, true];
    const asked = both.flatMap((preemptible) =>
      both.flatMap((migratable) => both.map((aliasState) => ({ preemptible, migratable, aliasState }))),
    );
    expect(new Set(asked.map((rewriting) => moduleHash(bytes, LIMITS, rewriting))).size).toBe(8);
  });

  test("all NaNs are one NaN in a snapshot", () => {
    const text = (nan: string) => `(memory 1) (global (mut f64) (f64.const ${nan})) (func (export "main"))`;
    expect(prepareText(text("nan:0x8000000000001")).snapshot).toEqual(prepareText(text("-nan")).snapshot);
  });
});

describe("before the first call", () => {
  test("the start section runs before the exported constructors, each once", () => {
    const { snapshot } = prepareText(`(memory 1) (global (mut i32) (i32.const 1))
      (func $add (param i32) (global.set 0 (i32.add (i32.mul (global.get 0) (i32.const 10)) (local.get 0))))
      (func $s (call $add (i32.const 2))) (start $s) (func (export "__wasm_call_ctors") (call $add (i32.const 3)))
      (func (export "_start") (call $add (i32.const 4)))`);
    expect(snapshot.globals).toEqual([123]);
  });

  test("Faasm's zygote runs once, behind the constructors, and the snapshot has what it leaves", () => {
    const { snapshot } = prepareText(`(memory 1) (global (mut i32) (i32.const 1))
      (func $add (param i32) (global.set 0 (i32.add (i32.mul (global.get 0) (i32.const 10)) (local.get 0))))
      (func (export "_faasm_zygote") (result i32) (call $add (i32.const 3)) (i32.const 0))
      (func (export "__wasm_call_ctors") (call $add (i32.const 2))) (func (export "_start") (call $add (i32.const 4)))`);
    expect(snapshot.globals).toEqual([123]);
  });

  test.each([
    [
      "a zygote that fails",
      `(func (export "_faasm_zygote") (result i32) (i32.const 7))`,
      "_faasm_zygote: it returned 7, must be 0",
    ],
    ["a trap", `(func $s unreachable) (start $s)`, "start function: unreachable"],
    ["a trap in a constructor", `(func (export "__wasm_call_ctors") unreachable)`, "__wasm_call_ctors: unreachable"],
    ["endless recursion", `(func $s (call $s)) (start $s)`, "start function: Maximum call stack size exceeded"],
    ["data that does not fit the memory", `(data (i32.const 65535) "xy")`, "instantiation: "],
    ["an exception", `(tag $t) (func $s (throw $t)) (start $s)`, "start function: "],
  ])("%s refuses the upload", (_what, text, message) => {
    const refused = refusal(() => prepareText(`(memory 1) ${text} (func (export "main"))`));
    expect(refused).toMatch(/^MODULE_START_FAILED: /);
    expect(refused).toContain(message);
  });

  test("a host call refuses the upload, also when the guest catches the failure", () => {
    const called = "MODULE_START_FAILED: start function: it called neap.tick; host calls are not available before the first call";
    const text = (body: string) =>
      `(import "neap" "tick" (func $tick)) (memory 1) (func $s ${body}) (start $s) (func (export "main"))`;
    expect(refusal(() => prepareText(text("(call $tick)")))).toContain(called);
    expect(refusal(() => prepareText(text("(try (do (call $tick)) (catch_all))")))).toContain(called);
    expect(
      refusal(() => prepareText(`(import "neap" "tick" (func $tick)) (memory 1) (start $tick) (func (export "main"))`)),
    ).toContain(called);
  });

  test("a start function that fills more memory than an artefact holds is refused", () => {
    const bytes = wat(
      `(module (memory 1100) (func $s (memory.fill (i32.const 0) (i32.const 1) (i32.const 72089600))) (start $s) (func (export "main")))`,
    );
    expect(refusal(() => prepareModule(bytes, ABI, { ...LIMITS, memoryMaxPages: 2000 }))).toMatch(
      /^MODULE_LIMIT: the start function leaves 72089600 bytes of memory that are not zero, at most 67108864/,
    );
  });
});

describe("a start function that scatters bytes over memory", () => {
  test("is refused when the artefact would be too many parts", () => {
    const scatter = `(local $at i32) (loop $again (i32.store8 (local.get $at) (i32.const 1))
      (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1025))) (i32.const 104857600))))`;
    const bytes = wat(`(module (memory 1601) (func $s ${scatter}) (start $s) (func (export "main")))`);
    expect(refusal(() => prepareModule(bytes, ABI, { ...LIMITS, memoryMaxPages: 2000 }))).toMatch(
      /^MODULE_LIMIT: the start function leaves memory in more than 100000 parts/,
    );
  });
});

describe("the engine has the last word", () => {
  test("a type error inside a function is refused with the function and the offset in the upload", () => {
    expect(refusal(() => prepareText(`(memory 1) (func (export "main") (drop (i32.add (i32.const 1) (i64.const 1))))`))).toMatch(
      /^MODULE_INVALID: code section at offset \d+: Compiling function #0.* failed: /,
    );
  });

  test.each([
    ["a maximum below the minimum", `(memory 5 2) (func (export "main"))`],
    ["an export twice", `(memory 1) (func (export "main")) (func (export "main"))`],
    ["a start function with a parameter", `(memory 1) (func $s (param i32)) (start $s) (func (export "main"))`],
    ["an unknown function called", `(memory 1) (func (export "main") (call 77))`],
  ])("%s is refused", (_what, text) => {
    expect(refusal(() => prepareText(text))).toMatch(/^MODULE_INVALID: [a-z]+ section at offset \d+: /);
  });

  test("a data count that is wrong is refused", () => {
    const bytes = moduleOf(
      section(1, 1, 0x60, 0, 0),
      section(3, 1, 0),
      section(5, 1, 0, 1),
      section(7, 1, 4, ...Buffer.from("main"), 0, 0),
      section(12, 3),
      section(10, 1, 2, 0, 0x0b),
      section(11, 1, 1, 1, 65),
    );
    expect(refusal(() => prepare(bytes))).toMatch(/^MODULE_INVALID: /);
  });

  test("a module above the size limit is refused before it is read", () => {
    const bytes = new Uint8Array(LIMITS.moduleMaxBytes + 1);
    expect(refusal(() => prepare(bytes))).toBe("MODULE_TOO_LARGE: the module has 1000001 bytes, at most 1000000 are allowed");
  });
});

describe("AssemblyScript", () => {
  const source = `
    let table: i32[] = [];
    for (let i = 0; i < 1000; i++) table.push(i * i);
    let text = "squares: " + table[31].toString();
    class Counter { constructor(public value: i64) {} next(): i64 { return ++this.value; } }
    const counter = new Counter(41);
    counter.next();
    export function main(): i32 { return text == "squares: 961" && counter.next() == 43 ? table[999] : -1; }`;
  let compiled: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    compiled = await assemblyScript(source, ["--optimize"]);
  });

  test("what top-level code computed is there at the first call", () => {
    const artefact = prepare(compiled);
    expect(artefact).toMatchObject({ entry: "main", entryReturns: true });
    expect(artefact.imports).toEqual(["env.abort"]);
    expect((restore(artefact).main as () => number)()).toBe(998_001);
  });

  test("unoptimised, with exported runtime and table, it does the same", async () => {
    const artefact = prepare(await assemblyScript(source, ["--debug", "--exportRuntime", "--exportTable"]));
    expect((restore(artefact).main as () => number)()).toBe(998_001);
  });
});
