import { describe, expect, test } from "vitest";
import { readSections } from "../../../../host/modules/sections.ts";
import { validateModule } from "../../../../host/modules/validation.ts";
import { leb, moduleOf, section, wat } from "../../../support/guest-modules.ts";
import { ABI, LIMITS, refusal } from "./fixtures.ts";

const validate = (bytes: Uint8Array) => validateModule(bytes, readSections(bytes), ABI, LIMITS);
const validateText = (fields: string) => validate(wat(`(module ${fields})`));
const MAIN = `(memory 1) (func (export "main"))`;

describe("imports", () => {
  test("an import that the host offers with this type is allowed, and listed once", () => {
    const tick = `(import "neap" "tick" (func))`;
    const { imports } = validateText(`${tick} ${tick} (import "neap" "read" (func (param i32 i64) (result i32))) ${MAIN}`);
    expect(imports).toEqual(["neap.tick", "neap.read"]);
  });

  test.each([
    [`(import "env" "getpid" (func (result i32)))`, `"env.getpid" () -> (i32) is not offered by this host`],
    [
      `(import "env" "MPI_File_open" (func))`,
      `"env.MPI_File_open" () -> () is not offered by this host: this call of MPI is not offered`,
    ],
    [
      `(import "env" "ffi_prep_closure_loc" (func))`,
      `"env.ffi_prep_closure_loc" () -> () is not offered by this host: no function is made while`,
    ],
    [`(import "" "" (func))`, `"." () -> () is not offered by this host`],
    [`(import "env.x" "abort" (func))`, `"env.x.abort" () -> () is not offered`],
    [`(import "constructor" "name" (func))`, `"constructor.name" () -> () is not offered`],
    [
      `(import "neap" "read" (func (param i32 i32) (result i32)))`,
      `"neap.read" has type (i32, i32) -> (i32), this host offers (i32, i64) -> (i32)`,
    ],
    [`(import "neap" "tick" (func (result i32)))`, `"neap.tick" has type () -> (i32), this host offers () -> ()`],
    [`(import "env" "memory" (memory 1))`, `"env.memory" is a memory: only functions can be imported`],
    [`(import "env" "t" (table 1 funcref))`, `"env.t" is a table`],
    [`(import "env" "g" (global i32))`, `"env.g" is a global`],
    [`(import "env" "e" (tag (param i32)))`, `"env.e" is a tag`],
  ])("%s is refused by name", (text, message) => {
    const refused = refusal(() => validateText(`${text} ${text.includes("(memory") ? "" : "(memory 1)"} (func (export "main"))`));
    expect(refused).toMatch(/^MODULE_IMPORT_UNKNOWN: /);
    expect(refused).toContain(message);
  });

  test("all that are refused are named at once, of very many the first", () => {
    const [fork, sky] = [`(import "env" "fork" (func))`, `(import "sky" "fly" (func (param i32)))`];
    expect(refusal(() => validateText(`${fork} (import "neap" "tick" (func)) ${sky} ${MAIN}`))).toMatch(
      /^MODULE_IMPORT_UNKNOWN: import section at offset \d+: "env.fork" .*; at offset \d+: "sky.fly" \(i32\) -> \(\) is not offered by this host$/,
    );
    const many = refusal(() => validateText(`${fork.repeat(18)} ${MAIN}`));
    expect(many.split("env.fork")).toHaveLength(1 + 16);
    expect(many).toMatch(/; and 2 more$/);
  });

  test("an import of a type that does not exist is refused", () => {
    const bytes = moduleOf(section(2, 1, 1, 0x61, 1, 0x62, 0, 7), section(5, 1, 0, 1));
    expect(refusal(() => validate(bytes))).toBe(
      'MODULE_IMPORT_UNKNOWN: import section at offset 11: "a.b" has type 7, the module has 0 types',
    );
  });
});

describe("memory, table, globals, locals", () => {
  test.each([
    ["no memory", `(func (export "main"))`, "the module has no memory, it must have one of its own"],
    ["a 64-bit memory", `(memory i64 1) (func (export "main"))`, "the memory is 64-bit, which is not allowed"],
    ["too much memory", `(memory 65) (func (export "main"))`, "begins with 65 pages of 64 KiB, at most 64 are allowed"],
    ["too large a table", `(table 101 funcref) ${MAIN}`, "the table begins with 101 elements, at most 100 are allowed"],
    [
      "a mutable reference",
      `(global (mut funcref) (ref.null func)) ${MAIN}`,
      "global section at offset 26: global 0 is a mutable funcref",
    ],
    ["a mutable vector", `(global (mut v128) (v128.const i32x4 0 0 0 0)) ${MAIN}`, "is a mutable v128; mutable globals must be"],
    ["too many locals in a function", `(func ${"(local i32)".repeat(10_001)}) ${MAIN}`, "has 10001 locals, at most 10000"],
    [
      "too many locals in groups of a function",
      `(func ${"(local i32 i32 i64 i64)".repeat(2_501)}) ${MAIN}`,
      "has 10004 locals, at most 10000",
    ],
    [
      "too many locals in all",
      `${`(func ${"(local i32)".repeat(10_000)})`.repeat(201)} ${MAIN}`,
      "2010000 locals, at most 2000000",
    ],
  ])("%s is refused with the limit", (_what, text, message) => {
    const refused = refusal(() => validateText(text));
    expect(refused).toMatch(/^MODULE_LIMIT: /);
    expect(refused).toContain(message);
  });

  test("a compilation bomb of 50,000 locals per function in a few bytes is refused", () => {
    const body = [1, ...leb(50_000), 0x7f, 0x0b];
    const bodies = new Array(20).fill([body.length, ...body]).flat();
    const bytes = moduleOf(
      section(1, 1, 0x60, 0, 0),
      section(3, 20, ...new Array<number>(20).fill(0)),
      section(5, 1, 0, 1),
      section(7, 1, 4, ...Buffer.from("main"), 0, 0),
      section(10, 20, ...bodies),
    );
    expect(bytes.byteLength).toBeLessThan(250);
    expect(refusal(() => validate(bytes))).toContain("a function has 50000 locals");
  });

  test.each([
    ["a memory with pages of one byte", section(5, 1, 0x08, 1, 0), "with a page size of its own"],
    ["a 64-bit table", [...section(4, 1, 0x70, 0x04, 1), ...section(5, 1, 0, 1)], "a 64-bit or shared table is not allowed"],
  ])("%s is refused", (_what, bytes, text) => {
    expect(refusal(() => validate(moduleOf(bytes)))).toContain(text);
  });
});

describe("exports", () => {
  test("names the host uses itself are refused", () => {
    const refused = refusal(() => validateText(`${MAIN} (func (export "$memory"))`));
    expect(refused).toMatch(
      /^MODULE_INVALID: export section at offset \d+: "\$memory": names that begin with "\$" are reserved$/,
    );
  });

  test.each([
    [`(func (export "main"))`, { entry: "main", entryReturns: false }],
    [`(func (export "main") (result i32) i32.const 1)`, { entry: "main", entryReturns: true }],
    [`(func (export "_start"))`, { entry: "_start", entryReturns: false }],
    [`(func (export "_start")) (func (export "main"))`, { entry: "main", entryReturns: false }],
    [
      `(func (export "_start")) (func (export "main") (param i32 i32) (result i32) i32.const 1)`,
      { entry: "_start", entryReturns: false },
    ],
    [`(func (export "_start")) (export "main" (memory 0))`, { entry: "_start", entryReturns: false }],
  ])("%s: the entry is found", (text, entry) => {
    expect(validateText(`(memory 1) ${text}`)).toMatchObject(entry);
  });

  test.each([
    ["", "it exports neither"],
    [`(func (export "run"))`, "it exports neither"],
    [`(func (export "main") (param i32))`, 'export section at offset 27: "main" has type (i32) -> ()'],
    [`(func (export "main") (result i64) i64.const 1)`, '"main" has type () -> (i64)'],
    [`(func (export "_start") (result i32) i32.const 1)`, '"_start" has type () -> (i32)'],
  ])("%s: refused without an entry", (text, message) => {
    const refused = refusal(() => validateText(`(memory 1) ${text}`));
    expect(refused).toMatch(/^MODULE_NO_ENTRY: the module must export main/);
    expect(refused).toContain(message);
  });

  test("an exported function that does not exist is refused", () => {
    const bytes = moduleOf(section(5, 1, 0, 1), section(7, 1, 4, ...Buffer.from("main"), 0, 7));
    expect(refusal(() => validate(bytes))).toBe(
      'MODULE_INVALID: export section at offset 16: "main": function 7 or its type is missing, there are 0',
    );
  });

  test.each([
    [
      "constructors that are exported are run first",
      `(func (export "_start")) (func (export "__wasm_call_ctors"))`,
      ["__wasm_call_ctors"],
    ],
    ["a reactor is initialised", `(func (export "main")) (func (export "_initialize"))`, ["_initialize"]],
    [
      "a reactor runs its constructors itself",
      `(func (export "main")) (func (export "_initialize") (call $c)) (func $c (export "__wasm_call_ctors"))`,
      ["_initialize"],
    ],
    [
      "constructors that the entry calls are not run twice",
      `(func (export "_start") (call $c)) (func $c (export "__wasm_call_ctors"))`,
      [],
    ],
    [
      "Faasm's zygote runs behind the constructors",
      `(func (export "_start")) (func (export "__wasm_call_ctors")) (func (export "_faasm_zygote") (result i32) (i32.const 0))`,
      ["__wasm_call_ctors", "_faasm_zygote"],
    ],
    [
      "and has them before it, although the entry calls them, too",
      `(func (export "_start") (call $c)) (func $c (export "__wasm_call_ctors"))
       (func (export "_faasm_zygote") (result i32) (i32.const 0))`,
      ["__wasm_call_ctors", "_faasm_zygote"],
    ],
    [
      "a zygote of a module without constructors runs",
      `(func $a) (func $b) (func (export "_start") (call $a)) (func (export "_faasm_zygote") (result i32) (call $b) (i32.const 0))`,
      ["_faasm_zygote"],
    ],
    ["a function of another type is no constructor", `(func (export "main")) (func (export "_initialize") (param i32))`, []],
  ])("%s", (_what, text, initialisers) => {
    expect(validateText(`(memory 1) ${text}`).initialisers).toEqual(initialisers);
  });

  test("a zygote into which the linker has put the constructors is refused, and told how to link", () => {
    const text = `(func $constructors) (func (export "_start") (call $constructors))
      (func (export "_faasm_zygote") (result i32) (call $constructors) (i32.const 0))`;
    expect(refusal(() => validateText(`(memory 1) ${text}`))).toBe(
      "MODULE_INVALID: _faasm_zygote and _start both begin with a call of function 0: link with --export=__wasm_call_ctors",
    );
  });

  test("a zygote of another type is refused", () => {
    const text = `(memory 1) (func (export "_start")) (func (export "_faasm_zygote"))`;
    expect(refusal(() => validateText(text))).toBe(
      'MODULE_INVALID: export section at offset 36: "_faasm_zygote" has type () -> (), it must be () -> (i32)',
    );
  });
});
