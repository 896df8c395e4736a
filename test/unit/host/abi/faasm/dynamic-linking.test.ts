/** What a call does with side modules, on the real sandboxes: as their linkers make them, and as nobody should. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ProcessStarter } from "../../../../../host/processes/index.ts";
import type { SandboxPool } from "../../../../../host/sandbox/index.ts";
import { wat } from "../../../../support/guest-modules.ts";
import { dylinkSection, MAIN, mainModule, SideModuleWorld, sideModule, told } from "../../../../support/side-modules.ts";
import { noRemains, type Remains, testPool } from "../../../../support/world.ts";

let pool: SandboxPool;
let starter: ProcessStarter;
let host: SideModuleWorld;
beforeAll(async () => {
  [pool, starter] = await Promise.all([testPool(), ProcessStarter.open()]);
  host = await SideModuleWorld.open(pool, "linking", starter);
});
afterAll(async () => {
  await host.world.close();
  await pool.close();
  await starter.close();
});

const DLOPEN = `(import "env" "dlopen" (func $dlopen (param i32 i32) (result i32)))`;
const DLSYM = `(import "env" "dlsym" (func $dlsym (param i32 i32) (result i32)))`;
const DLCLOSE = `(import "env" "dlclose" (func $dlclose (param i32) (result i32)))`;
const DLERROR = `(import "env" "dlerror" (func $dlerror (result i32)))`;
/** @param body  of (i32) → i32 */
const run = (body: string) => `(func (export "run") (param i32) (result i32) ${body})`;
/** Texts that a side module has in its memory, each at a multiple of 32 behind the base. */
const texts = (...values: readonly string[]) =>
  `(data (global.get $memory) "${values.map((value) => value + "\\00".repeat(32 - value.length)).join("")}")`;
const textAt = (at: number) => `(i32.add (global.get $memory) (i32.const ${32 * at}))`;
const PLAIN = sideModule(run("(i32.add (local.get 0) (i32.const 100))"));

describe("dlopen", () => {
  it("loads a side module, whose function runs by a pointer in the main module's table", async () => {
    expect(await host.run(PLAIN)).toBe(105);
  });

  it("takes a shared file by each of its names", async () => {
    await host.file("lib/side.wasm", PLAIN);
    for (const path of ["faasm://lib/side.wasm", "/lib/side.wasm", "lib/side.wasm", "./lib/../lib//side.wasm"]) {
      expect(await host.open(path)).toBe(105);
    }
  });

  it("gives the side module its own memory and its own places in the table", async () => {
    const side = sideModule(
      `(type $unary (func (param i32) (result i32)))
      (data (global.get $memory) "\\07\\00\\00\\00") (elem (global.get $table) $own)
      (func $own (param i32) (result i32) (i32.add (local.get 0) (i32.load (global.get $memory))))
      ${run(`
        (i32.store (i32.add (global.get $memory) (i32.const 70000)) (i32.const 1000))
        (i32.add (i32.load (i32.add (global.get $memory) (i32.const 70000)))
          (call_indirect (type $unary) (local.get 0) (global.get $table)))`)}`,
      { memoryBytes: 70_004, memoryAlignmentLog2: 4, tableElements: 1, tableAlignmentLog2: 3 },
    );
    expect(await host.run(side)).toBe(1012);
  });

  it("links the main module's functions and variables, and the side module's own", async () => {
    const side = sideModule(
      `(import "env" "thrice" (func $thrice (param i32) (result i32)))
      (import "GOT.mem" "main_variable" (global $theirs (mut i32)))
      (import "GOT.func" "thrice" (global $pointer (mut i32)))
      (import "GOT.mem" "own_variable" (global $ours (mut i32)))
      (import "GOT.func" "own" (global $own (mut i32)))
      (type $unary (func (param i32) (result i32)))
      (data (global.get $memory) "\\00\\00\\00\\00\\03\\00\\00\\00")
      (global (export "own_variable") i32 (i32.const 4))
      (func (export "own") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 10)))
      ${run(`
        (i32.store (global.get $theirs) (i32.add (i32.load (global.get $theirs)) (i32.const 1)))
        (i32.add (i32.add (i32.load (global.get $theirs)) (i32.mul (global.get $pointer) (i32.const 1000)))
          (i32.add (call $thrice (local.get 0))
            (i32.mul (call_indirect (type $unary) (i32.load (global.get $ours)) (global.get $own)) (i32.const 100))))`)}`,
      { memoryBytes: 8 },
    );
    // 43 of the main module's variable, 1000 as its function lies at 1, 15 of its function, 3000 of the side module's own.
    expect(await host.run(side)).toBe(43 + 1000 + 15 + 3000);
  });

  it("runs the start function, the relocations and the constructors once, before it returns", async () => {
    const note = (digit: number) =>
      `(i32.store (global.get $memory) (i32.add (i32.mul (i32.load (global.get $memory)) (i32.const 10)) (i32.const ${digit})))`;
    const side = sideModule(
      `${DLOPEN} ${texts("", "lib/side.wasm")}
      (func $start ${note(1)}) (start $start)
      (func (export "__wasm_apply_data_relocs") ${note(2)})
      (func (export "__wasm_call_ctors") ${note(3)})
      ${run(`(drop (call $dlopen ${textAt(1)} (i32.const 0))) (i32.load (global.get $memory))`)}`,
      { memoryBytes: 64 },
    );
    expect(await host.run(side)).toBe(123);
  });

  it("lets functions and constructors of a side module wait for the host", async () => {
    const put = (at: number) => `(drop (call $put ${textAt(0)} (i32.const 4) ${textAt(at)} (i32.const 3)))`;
    const side = sideModule(
      `(import "env" "__faasmndp_put" (func $put (param i32 i32 i32 i32) (result i32)))
      (import "neap" "sleep" (func $sleep (param i64)))
      (import "neap" "object_read" (func $read (param i32 i32 i64 i32 i32 i32) (result i64)))
      ${texts("made", "one", "two")}
      (func (export "__wasm_call_ctors") (call $sleep (i64.const 1)) ${put(1)})
      ${run(`(call $sleep (i64.const 1)) ${put(2)} 
        (i32.wrap_i64 (call $read ${textAt(0)} (i32.const 4) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))`)}`,
      { memoryBytes: 96 },
    );
    expect(await host.run(side)).toBe(3);
    expect(await host.world.versions(host.tenant, "made")).toEqual(["one", "two"]);
  });

  it("gives what is open already the same handle, and counts until it is closed as often", async () => {
    const side = sideModule(
      `${DLOPEN} ${DLSYM} ${DLCLOSE} ${texts("lib/side.wasm", "run", "lib/other.wasm")}
      ${run(`(local $first i32) (local $again i32)
        (local.set $first (call $dlopen ${textAt(2)} (i32.const 0)))
        (local.set $again (call $dlopen ${textAt(2)} (i32.const 0)))
        (if (i32.ne (local.get $first) (local.get $again)) (then (return (i32.const -1))))
        (if (call $dlclose (local.get $first)) (then (return (i32.const -2))))
        (if (i32.eqz (call $dlsym (local.get $first) ${textAt(1)})) (then (return (i32.const -3))))
        (if (call $dlclose (local.get $first)) (then (return (i32.const -4))))
        (if (call $dlsym (local.get $first) ${textAt(1)}) (then (return (i32.const -5))))
        (if (i32.ne (call $dlclose (local.get $first)) (i32.const -1)) (then (return (i32.const -6))))
        (i32.eq (call $dlopen ${textAt(2)} (i32.const 0)) (local.get $first))`)}`,
      { memoryBytes: 96 },
    );
    await host.file("lib/other.wasm", PLAIN);
    expect(await host.run(side)).toBe(1);
  });

  it("finds names in the main module first, in what was opened earlier then", async () => {
    const shadowing = sideModule(
      `(func (export "thrice") (param i32) (result i32) (i32.const 1))
      (func (export "__faasmndp_put") (param i32 i32 i32 i32) (result i32) (i32.const 77))
      (func (export "__proto__") (param i32) (result i32) (i32.const 5))
      (func (export "more") (param i32) (result i32) (i32.const 9000))`,
    );
    const side = sideModule(
      `(import "env" "thrice" (func $thrice (param i32) (result i32)))
      (import "env" "more" (func $more (param i32) (result i32)))
      (import "env" "__proto__" (func $proto (param i32) (result i32)))
      (import "env" "__faasmndp_put" (func $put (param i32 i32 i32 i32) (result i32)))
      (import "GOT.func" "more" (global $pointer (mut i32)))
      (type $unary (func (param i32) (result i32)))
      ${run(`(i32.add (i32.add (call $thrice (local.get 0)) (call $more (local.get 0)))
        (i32.add (call $proto (i32.const 0))
          (i32.add (call_indirect (type $unary) (i32.const 0) (global.get $pointer))
            (call $put (global.get $memory) (i32.const 0) (global.get $memory) (i32.const 0)))))`)}`,
      { needed: ["shadowing.wasm"] },
    );
    await host.file("lib/shadowing.wasm", shadowing);
    // An empty key is none: −1, of the host.
    expect(await host.run(side, "run", { before: "lib/shadowing.wasm" })).toBe(15 + 9000 + 5 + 9000 - 1);
    expect(await host.run(side)).toBe(
      "dlopen faasm://lib/side.wasm: it needs shadowing.wasm, which the call must open before it",
    );
  });

  it("calls its own function for an import that it exports itself, unless somebody else has one", async () => {
    const side = sideModule(
      `(import "env" "inline" (func $inline (param i32 i64 f64) (result i32)))
      (import "env" "thrice" (func $thrice (param i32) (result i32)))
      (import "neap" "sleep" (func $sleep (param i64)))
      (func (export "inline") (param i32 i64 f64) (result i32)
        (call $sleep (i64.const 1))
        (i32.add (local.get 0) (i32.add (i32.wrap_i64 (local.get 1)) (i32.trunc_f64_s (local.get 2)))))
      (func (export "thrice") (param i32) (result i32) (i32.const -1))
      ${run("(i32.add (call $thrice (local.get 0)) (call $inline (local.get 0) (i64.const 100) (f64.const 1000)))")}`,
    );
    expect(await host.run(side)).toBe(15 + 5 + 100 + 1000);
    const missing = sideModule(`(import "env" "inline" (func $inline (param i32))) (global (export "inline") i32 (i32.const 0))
      ${run("(local.get 0)")}`);
    expect(await host.run(missing)).toMatch(/"env.inline" \(i32\) -> \(\) is not offered/);
    const otherType = sideModule(`(import "env" "inline" (func $inline (param i32))) (func (export "inline"))
      ${run("(call $inline (local.get 0)) (i32.const 0)")}`);
    expect(await host.run(otherType)).toMatch(/^trap: .*(signature|mismatch)/);
  });

  it("leaves what is weak and nobody has at 0, and ends the call that calls it", async () => {
    const weak = [
      ["GOT.mem", "none"],
      ["GOT.func", "none"],
      ["env", "none"],
    ] as const;
    const imports = `(import "GOT.mem" "none" (global $data (mut i32))) (import "GOT.func" "none" (global $pointer (mut i32)))
      (import "env" "none" (func $none))`;
    expect(await host.run(sideModule(`${imports} ${run("(i32.add (global.get $data) (global.get $pointer))")}`, { weak }))).toBe(
      0,
    );
    expect(await host.run(sideModule(`${imports} ${run("(call $none) (i32.const 0)")}`, { weak }))).toBe(
      "trap: a side module called env.none, which it imports weakly and nobody has",
    );
  });

  it("gives the main module for no path", async () => {
    const side = sideModule(
      `${DLOPEN} ${DLSYM} ${DLCLOSE} ${texts("thrice", "run", "main_variable")}
      ${run(`(local $main i32)
        (local.set $main (call $dlopen (i32.const 0) (i32.const 0)))
        (if (i32.ne (call $dlsym (local.get $main) ${textAt(0)}) (i32.const 1)) (then (return (i32.const -1))))
        (if (i32.ne (call $dlsym (i32.const 0) ${textAt(0)}) (i32.const 1)) (then (return (i32.const -2))))
        (if (call $dlsym (local.get $main) ${textAt(1)}) (then (return (i32.const -3))))
        (if (call $dlclose (local.get $main)) (then (return (i32.const -4))))
        (i32.load (call $dlsym (local.get $main) ${textAt(2)}))`)}`,
      { memoryBytes: 96 },
    );
    expect(await host.run(side)).toBe(42);
  });

  it("takes a side module of several MiB whole", async () => {
    const text = `${"x".repeat(2_499_999)}y`;
    const side = sideModule(
      `(data (global.get $memory) "${text}")
      ${run("(i32.load8_u (i32.add (global.get $memory) (i32.const 2499999)))")}`,
      { memoryBytes: 2_500_000 },
    );
    await host.upload("large", mainModule({ pages: "2 100" }));
    expect(await host.run(side, "run", { main: "large" })).toBe("y".charCodeAt(0));
  });
});

describe("dlerror", () => {
  it("says what has failed once, and nothing when nothing has", async () => {
    const side = sideModule(
      `${DLSYM} ${DLERROR} ${texts("nothing")}
      ${run(`
        (if (call $dlerror) (then (return (i32.const -1))))
        (if (call $dlsym (i32.const 0) ${textAt(0)}) (then (return (i32.const -2))))
        (if (i32.ne (i32.load8_u (call $dlerror)) (i32.const 100)) (then (return (i32.const -3))))
        (if (call $dlerror) (then (return (i32.const -4))))
        (i32.const 1)`)}`,
      { memoryBytes: 32 },
    );
    expect(await host.run(side)).toBe(1);
  });

  it.each([
    ["a file that is not there", "faasm://lib/none", "dlopen faasm://lib/none: there is no shared file of this name"],
    ["a folder", "/lib", "dlopen /lib: there is no shared file of this name"],
    ["no name", "/", "dlopen /: there is no shared file of this name"],
    ["a name that is too long", "x".repeat(1100), `dlopen ${"x".repeat(1100)}: it is no name of a shared file`],
  ])("names %s", async (_, path, text) => {
    expect(await host.open(path)).toBe(text);
  });

  it("names a function that is not there", async () => {
    expect(await host.run(PLAIN, "walk")).toBe("dlsym walk: there is no function or variable walk");
    expect(await host.run(PLAIN, "$memory")).toBe("dlsym $memory: there is no function or variable $memory");
  });
});

describe("H20: a call that has used side modules", () => {
  const part = `(import "env" "__faasmndp_storageCallAndAwait" (func $part (param i32 i32 i32) (result i32)))
    (import "GOT.func" "part" (global $pointer (mut i32)))`;

  it("keeps its storage parts where it is, and its trace says why", async () => {
    const side = sideModule(
      `${part} ${texts("key")}
      (func (export "part") (result i32) (i32.const 8))
      ${run(`(call $part ${textAt(0)} (i32.const 3) (global.get $pointer))`)}`,
      { memoryBytes: 32 },
    );
    await host.file("lib/side.wasm", side);
    const answer = await host.call("main", "lib/side.wasm");
    expect(told(answer)).toBe(8);
    expect(answer).toMatchObject({ trace: { parts: [{ executedAt: "compute", reason: "holds side modules" }] } });
  });

  it("cannot begin to use them inside of a storage part, wherever that runs", async () => {
    const module = wat(`(module
      (import "env" "dlopen" (func $dlopen (param i32 i32) (result i32)))
      (import "env" "__faasmndp_storageCallAndAwait" (func $part (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 1) $in_part) (data (i32.const 0) "key")
      (func $in_part (result i32) (call $dlopen (i32.const 0) (i32.const 0)))
      (func (export "main") (result i32) (call $part (i32.const 0) (i32.const 3) (i32.const 1))))`);
    await host.upload("begins", module);
    for (const forbid of [true, false]) {
      const answer = await host.world.call({ tenant: host.tenant, functionName: "begins", input: "", forbid });
      expect(told(answer)).toBe("trap: dlopen: a call cannot begin to use side modules inside of a storage part");
    }
  });
});

it("F13: a call that is run again after a crash opens the version that it has opened before", async () => {
  const version = (value: number) =>
    sideModule(
      `(import "env" "__faasmndp_put" (func $put (param i32 i32 i32 i32) (result i32)))
      (import "neap" "sleep" (func $sleep (param i64))) ${texts("made")}
      ${run(`(drop (call $put ${textAt(0)} (i32.const 4) ${textAt(0)} (i32.const 4)))
        (call $sleep (i64.const 1000)) (i32.const ${value})`)}`,
      { memoryBytes: 32 },
    );
  let isOver = false;
  const before = await SideModuleWorld.over(pool, "replayed", noRemains(), () => (isOver ? "kill" : null), starter);
  await before.upload("main", MAIN);
  await before.file("lib/side.wasm", version(1));
  void before.call("main", "lib/side.wasm", "run", "", "k").catch(() => {});
  while ((await before.world.object(before.tenant, "made")) === null) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await before.file("lib/side.wasm", version(2));
  isOver = true;
  void before.file("other", PLAIN).catch(() => {});
  const remains: Remains = await before.world.crashed;
  const after = await SideModuleWorld.over(pool, "replayed", remains, () => null, starter);
  expect(told(await after.call("main", "lib/side.wasm", "run", "", "k"))).toBe(1);
  expect(told(await after.call("main", "lib/side.wasm", "run", "", "new"))).toBe(2);
  await after.world.close();
});

it("H9: a sandbox in which side modules were used is not used again: the next call finds the module's own table", async () => {
  // Memory of its own would end the sandbox, too; names that two have would be the first one's.
  const side = (name: string) =>
    sideModule(`(import "GOT.func" "${name}" (global $own (mut i32))) (func (export "${name}")) ${run("(global.get $own)")}`);
  await host.file("lib/other.wasm", side("other"));
  const places = [await host.run(side("own")), await host.open("lib/other.wasm"), await host.open("lib/side.wasm")];
  expect(places).toEqual([4, 4, 4]);
});

describe("refuses, and says why", () => {
  const refused = (text: string) => `dlopen faasm://lib/side.wasm: ${text}`;
  const plain = (text: string) => wat(`(module ${text})`);
  const withDylink = (bytes: Uint8Array, ...section: readonly number[]) =>
    Buffer.concat([bytes.subarray(0, 8), Uint8Array.from(section), bytes.subarray(8)]);

  it.each<[string, Uint8Array, RegExp]>([
    ["what is not WebAssembly", Buffer.from("#!/bin/sh"), /not WebAssembly/],
    ["an empty file", Buffer.alloc(0), /the upload is empty/],
    ["a module without the section", plain(""), /there is no custom section "dylink.0": build it with -fPIC/],
    ["a section that ends too early", withDylink(plain(""), ...dylinkSection().slice(0, 10), 0), /truncated|says/],
    ["a memory of its own", withDylink(plain("(memory 1)"), ...dylinkSection()), /it has a memory of its own/],
    ["a table of its own", withDylink(plain("(table 1 funcref)"), ...dylinkSection()), /it has a table of its own/],
    ["two memories", sideModule(`(import "env" "memory" (memory $b 0))`), /"env.memory" is a memory: a side module imports one/],
    [
      "a memory of another name",
      withDylink(plain(`(import "env" "other" (memory 0))`), ...dylinkSection()),
      /"env.other" is a memory/,
    ],
    ["a shared memory", withDylink(plain(`(import "env" "memory" (memory 0 1 shared))`), ...dylinkSection()), /shared or 64-bit/],
    [
      "an unknown function",
      sideModule(`(import "env" "fly" (func (param i32)))`),
      /has what it imports: "env.fly" \(i32\) -> \(\) is not offered by this host$/,
    ],
    [
      "a function that is refused by name",
      sideModule(`(import "env" "ffi_prep_closure_loc" (func))`),
      /"env.ffi_prep_closure_loc" .*: no function is made while/,
    ],
    [
      "what rewriting alone imports",
      sideModule(`(import "$host" "interrupt" (func (result i32)))`),
      /"\$host.interrupt" .*is not offered/,
    ],
    ["an unknown module", sideModule(`(import "sys" "fly" (func))`), /"sys.fly" \(\) -> \(\) is not offered/],
    [
      "a host call of another type",
      sideModule(`(import "env" "__faasmndp_put" (func (param i64)))`),
      /"env.__faasmndp_put" has type \(i64\) -> \(\), this host offers \(i32, i32, i32, i32\) -> \(i32\)/,
    ],
    [
      "a main module's function of another type",
      sideModule(`(import "env" "thrice" (func (param i64)))`),
      /incompatible|signature|type/,
    ],
    ["an unknown variable", sideModule(`(import "GOT.mem" "sky" (global (mut i32)))`), /has what it imports: "GOT.mem.sky"$/],
    ["a function where a variable is meant", sideModule(`(import "GOT.mem" "thrice" (global (mut i32)))`), /"GOT.mem.thrice"$/],
    ["a global of the main module", sideModule(`(import "env" "main_variable" (global i32))`), /"env.main_variable" is a global/],
    [
      "an exception's tag",
      sideModule(`(import "env" "__cpp_exception" (tag (param i32)))`),
      /is a tag: a side module cannot import it/,
    ],
    [
      "memory regions",
      sideModule(`(import "region" "i32_load" (func (param i32 i32) (result i32)))`),
      /"region.i32_load" is not for side modules/,
    ],
    ["a reserved export", sideModule(`(func (export "$start"))`), /names that begin with "\$" are reserved/],
    ["instructions that change the table", sideModule(`(func (drop (table.grow (ref.null func) (i32.const 1))))`), /table.grow/],
    [
      "constructors that take something",
      sideModule(`(func (export "__wasm_call_ctors") (param i32))`),
      /its export __wasm_call_ctors is no function \(\) -> \(\)/,
    ],
    [
      "constructors that are no function",
      sideModule(`(global (export "_initialize") i32 (i32.const 0))`),
      /its export _initialize is no function/,
    ],
    [
      "4 GiB of memory",
      sideModule("", { memoryBytes: 4_294_967_295 }),
      /it needs 4294967295 bytes of memory, and there is no room/,
    ],
    ["more memory than the function may have", sideModule("", { memoryBytes: 40 * 65_536 }), /it needs 2621440 bytes of memory/],
    [
      "4 billion elements of the table",
      sideModule("", { tableElements: 4_294_967_295 }),
      /the table has 4 elements, and there is no room for 4294967295 more/,
    ],
    ["an alignment of 2 GiB", sideModule("", { memoryAlignmentLog2: 31 }), /the memory is aligned to 2\^31, at most 2\^16/],
    [
      "data outside of the memory",
      sideModule(`(data (i32.const -8) "0123456789")`),
      /data segment 0 is out of bounds|out of bounds/,
    ],
    ["elements outside of the table", sideModule(`(func $f) (elem (i32.const 70000) $f)`), /out of bounds/],
    [
      "a memory that begins larger than there is",
      withDylink(plain(`(import "env" "memory" (memory 5000))`), ...dylinkSection()),
      /memory import/,
    ],
    [
      "what it needs and is not open",
      sideModule("", { needed: ["libm.so"] }),
      /it needs libm.so, which the call must open before it/,
    ],
  ])("%s", async (_, module, text) => {
    const answer = await host.run(module);
    expect(answer).toMatch(text);
    expect(String(answer).startsWith(refused(""))).toBe(true);
  });

  it("more bytes than a side module may have", async () => {
    await host.file("lib/huge.wasm", Buffer.alloc(16 * 1024 * 1024 + 1));
    expect(await host.open("lib/huge.wasm")).toBe("dlopen lib/huge.wasm: a side module has at most 16777216 bytes");
  });

  it("a main module whose table cannot grow, or that has none", async () => {
    await host.upload("fixed", mainModule({ table: "4 4" }));
    expect(await host.run(PLAIN, "run", { main: "fixed" })).toMatch(/link the main module with -Wl,--growable-table/);
  });

  it("a seventeenth side module", async () => {
    const side = sideModule(
      `${DLOPEN} ${texts("lib/0.wasm")}
      ${run(`(local $count i32)
        (loop $next
          (i32.store8 offset=4 (global.get $memory) (i32.add (i32.const 65) (local.get $count)))
          (if (call $dlopen (global.get $memory) (i32.const 0))
            (then (local.set $count (i32.add (local.get $count) (i32.const 1))) (br $next))))
        (local.get $count)`)}`,
      { memoryBytes: 32 },
    );
    for (let at = 0; at < 20; at++) {
      await host.file(`lib/${String.fromCharCode(65 + at)}.wasm`, PLAIN);
    }
    expect(await host.run(side)).toBe(15);
  });
});

describe("a hostile side module costs its own call and nothing else", () => {
  it.each<[string, string, RegExp]>([
    ["a constructor that traps", `(func (export "__wasm_call_ctors") unreachable)`, /^trap: unreachable$/],
    ["a start function that traps", `(func $s unreachable) (start $s)`, /^trap: unreachable$/],
    ["a constructor that loops", `(func (export "__wasm_call_ctors") (loop (br 0)))`, /^(CPU_LIMIT|TIME_LIMIT): /],
    ["a constructor that calls itself", `(func $f (export "__wasm_call_ctors") (call $f))`, /stack/i],
    [
      "a constructor that opens others",
      `${DLOPEN} ${DLERROR} ${texts("lib/side.wasm")}
      (func (export "__wasm_call_ctors") (if (call $dlopen (global.get $memory) (i32.const 0)) (then unreachable))
        (if (i32.eqz (call $dlerror)) (then unreachable)) (call $exit (i32.const 9)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`,
      /^$/,
    ],
    [
      "a function of another type than it is called by",
      `(func (export "run") (param i64) (result i64) (local.get 0))`,
      /^trap: .*(signature|mismatch)/,
    ],
    [
      "a function that loops",
      `(func (export "run") (param i32) (result i32) (loop (br 0)) (i32.const 0))`,
      /^(CPU_LIMIT|TIME_LIMIT): /,
    ],
    [
      "a fill of all memory, again and again",
      run(`(loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 131072)) (br 0)) (i32.const 0)`),
      /^(CPU_LIMIT|TIME_LIMIT): /,
    ],
  ])("%s", async (_, text, answer) => {
    const imports = /\(import[^\n]*proc_exit[^\n]*/.exec(text)?.[0] ?? "";
    const body = `${imports} ${text.replace(imports, "")}`;
    await host.world.functions.setOptions(host.tenant, "main", { limits: { cpuTimeMs: 300 }, retry: null });
    const hostile = host.run(sideModule(body, { memoryBytes: 32 }));
    expect(String(await hostile)).toMatch(answer);
    expect(await host.run(PLAIN)).toBe(105);
    await host.world.functions.setOptions(host.tenant, "main", { limits: null });
  });
});

describe("functions of which it is refused at the upload", () => {
  it.each(["migratable", "aliasState"] as const)("%s", async (option) => {
    await expect(host.upload("refused", mainModule(), { [option]: true })).rejects.toThrow(
      `the module has side modules, by env.dlopen: the function cannot be ${option}`,
    );
  });

  it("with threads", async () => {
    const threaded = wat(`(module (import "env" "memory" (memory 1 2 shared))
      (import "env" "dlopen" (func (param i32 i32) (result i32))) (func (export "main")))`);
    await expect(host.upload("refused", threaded)).rejects.toThrow(
      `"env.dlopen": a module whose memory is shared by threads cannot have side modules`,
    );
  });
});
