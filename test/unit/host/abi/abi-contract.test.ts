import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { compileFunction } from "../../../../functions/build.ts";
import abi from "../../../../guest-sdk/abi.json" with { type: "json" };
import { createImports, importFunctions } from "../../../../host/abi/create-imports.ts";
import { isFaasm } from "../../../../host/abi/faasm/index.ts";
import { abiTable, importsUrl } from "../../../../host/abi/index.ts";
import { isMpi } from "../../../../host/abi/mpi/index.ts";
import { GuestError } from "../../../../host/abi/operations.ts";
import { wat } from "../../../support/guest-modules.ts";
import { MemoryGuest, MemoryHost } from "../../../support/memory-guest.ts";
import { sampleModules } from "../../../support/sample-functions.ts";

const ROOT = join(import.meta.dirname, "../../../..");
const SDK = join(ROOT, "guest-sdk", "assembly");
const EXTERNAL = /@external\("([^"]+)", "([^"]+)"\)\s+export declare function \w+\(([^)]*)\): (\w+);/g;
const WASM_TYPES: Readonly<Record<string, string>> = { usize: "i32", i32: "i32", u32: "i32", i64: "i64", f32: "f32", f64: "f64" };
/** What a sandbox is asked for: all but what rewriting makes code of. */
const offered = new Map([...abiTable].filter(([, { inline }]) => !inline));

const guest = () => new MemoryGuest(new MemoryHost(), new Uint8Array(0));

/** "module.name" → types, as the SDK declares its imports. */
function sdkDeclarations(): Map<string, { params: string[]; results: string[] }> {
  const found = new Map<string, { params: string[]; results: string[] }>();
  for (const file of readdirSync(SDK)) {
    for (const [, module, name, params = "", result = ""] of readFileSync(join(SDK, file), "utf8").matchAll(EXTERNAL)) {
      const types = params.split(",").filter((param) => param.trim() !== "");
      found.set(`${module}.${name}`, {
        params: types.map((param) => WASM_TYPES[param.split(":")[1]?.trim() ?? ""] ?? param),
        results: result === "void" ? [] : [WASM_TYPES[result] ?? result],
      });
    }
  }
  return found;
}

/** A module whose exports have exactly the types of abi.json: the engine refuses to link a guest that declares others. */
function typedImports(): WebAssembly.Imports {
  const functions = abi.imports.map(
    ({ module, name, params, results }) =>
      `(func (export "${module}.${name}") (param ${params.join(" ")}) (result ${results.join(" ")}) unreachable)`,
  );
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wat(`(module ${functions.join("\n")})`)));
  const imports: Record<string, Record<string, WebAssembly.ExportValue>> = {};
  for (const { module, name } of abi.imports) {
    const run = exports[`${module}.${name}`];
    if (run !== undefined) {
      imports[module] = { ...imports[module], [name]: run };
    }
  }
  return imports;
}

describe("guest-sdk/abi.json is what the host offers and the SDK declares", () => {
  it("lists every import once", () => {
    expect(abiTable.size).toBe(abi.imports.length);
  });

  it("names exactly the imports that the host implements", () => {
    expect(Object.keys(importFunctions(guest())).sort()).toEqual([...offered.keys()].sort());
  });

  it("has as many parameters as the host's functions take", () => {
    const functions = importFunctions(guest());
    const counts = Object.entries(functions).map(([name, run]) => [name, run.length]);
    expect(Object.fromEntries(counts)).toEqual(
      Object.fromEntries([...offered].map(([name, { params }]) => [name, params.length])),
    );
  });

  it("gives a sandbox each import with the listed way of waiting", () => {
    const imports = createImports(guest());
    for (const [name, { suspends }] of offered) {
      expect([name, imports[name]?.suspends]).toEqual([name, suspends]);
    }
  });

  it("equals the SDK's declarations by name and type, both ways", () => {
    const listed = abi.imports
      .filter(({ module }) => module !== "env" && !module.startsWith("wasi_"))
      .map(({ module, name, params, results }) => [`${module}.${name}`, { params, results }] as const);
    expect(sdkDeclarations()).toEqual(new Map(listed));
  });

  it("F24: gives each import one known class, and only waiting ones may be steps, reads at the cursor or outside", () => {
    for (const { name, class: kind, suspends } of abi.imports) {
      expect(Object.keys(abi.classes), name).toContain(kind);
      // A parallel region waits for what the main thread does in it.
      if (kind !== "volatile" && kind !== "thread") {
        expect(["step", "cursor", "outside"].includes(kind), name).toBe(suspends);
      }
    }
  });

  it("documents exactly the codes that the host can answer", () => {
    expect(Object.keys(abi.errors).sort()).toEqual(Object.values(GuestError).map(String).sort());
    for (const { name, errors } of abi.imports) {
      for (const code of errors) {
        expect(Object.values<number>(GuestError), name).toContain(code);
      }
    }
  });

  it("names a test for each import, which there is, and which names the import", () => {
    const tests = new Map<string, string>();
    for (const { module, name, test } of abi.imports) {
      expect(test, `the test of ${module}.${name}`).toMatch(/^test\/unit\/.*\.test\.ts$/);
      tests.set(test, tests.get(test) ?? readFileSync(join(ROOT, test), "utf8"));
      const names = [name, `${module}.${name}`, ...(isMpi(`${module}.${name}`) ? [name.slice("MPI_".length)] : [])];
      expect(
        names.some((one) => tests.get(test)?.includes(`"${one}"`)),
        `${module}.${name} in ${test}`,
      ).toBe(true);
    }
  });

  it("is loaded by a sandbox from importsUrl", async () => {
    const loaded: { createImports?: unknown } = await import(importsUrl.href);
    expect(loaded.createImports).toBe(createImports);
  });
});

describe("the engine links what the compiler makes with the types of abi.json", () => {
  let typed: WebAssembly.Imports;
  beforeAll(() => {
    typed = typedImports();
  });

  it("for every sample function", async () => {
    for (const [name, module] of await sampleModules()) {
      expect(() => new WebAssembly.Instance(module, typed), name).not.toThrow();
    }
  });

  for (const runtime of ["stub", "minimal", "incremental"]) {
    it(`for a function that uses all of the SDK, with --runtime ${runtime}`, async () => {
      const imported = new Set<string>();
      for (const [file, options] of [
        ["everything.ts", []],
        ["regions.ts", []],
        ["threads.ts", ["--enable", "threads", "--sharedMemory", "--maximumMemory", "16"]],
      ] as const) {
        const source = join(import.meta.dirname, "../../guest-sdk/assembly", file);
        const module = new WebAssembly.Module(await compileFunction(source, ["--runtime", runtime, ...options]));
        for (const { module: from, name } of WebAssembly.Module.imports(module)) {
          imported.add(`${from}.${name}`);
        }
        expect(() => new WebAssembly.Instance(module, typed)).not.toThrow();
      }
      expect([...imported].sort()).toEqual(
        [...abiTable.keys()].filter((name) => !name.startsWith("wasi_") && !isFaasm(name) && !isMpi(name)).sort(),
      );
    });
  }
});

it("the accesses that rewriting makes code of never wait, and are offered to no sandbox", () => {
  const inline = abi.imports.filter((one) => one.inline);
  expect(inline.length).toBeGreaterThan(30);
  expect(inline.filter(({ suspends, module }) => suspends || module !== "region")).toEqual([]);
  const imports = createImports(guest());
  expect(inline.filter(({ module, name }) => `${module}.${name}` in imports)).toEqual([]);
});

it("F15: the imports that reach outside of the platform are those of class outside", () => {
  expect(abi.imports.filter((one) => one.class === "outside").map(({ name }) => name)).toEqual(["http_request"]);
});
