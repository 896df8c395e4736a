import { expect, it } from "vitest";
import { compileSideModule, compileWithClang, findClang } from "../../functions/clang.ts";
import { SideModuleWorld } from "../support/side-modules.ts";
import { testPool } from "../support/world.ts";

const clang = findClang();
const source = (name: string) => new URL(`src/${name}`, import.meta.url).pathname;
const EXPORTED = ["__wasm_call_ctors", "malloc", "_ZNSt3__29to_stringEi", "_Znwm", "_ZdlPv", "__cxa_atexit"];
const TYPES = ["_ZTVN10__cxxabiv117__class_type_infoE", "_ZTVN10__cxxabiv120__si_class_type_infoE"];

it.skipIf(clang === null)(
  "a side module in C++ uses the main module's library, and its own classes",
  { timeout: 120_000 },
  async () => {
    const [main, side] = await Promise.all([
      compileWithClang(clang, source("opens.cpp"), [
        "-Wl,--growable-table,--export-all",
        ...[...EXPORTED, ...TYPES].map((name) => `-Wl,--export=${name}`),
      ]),
      compileSideModule(clang, source("side/shapes.cpp")),
    ]);
    const pool = await testPool();
    const host = await SideModuleWorld.open(pool, "plus-plus");
    await host.upload("opens", main);
    await host.file("lib/shapes.wasm", side);
    const answer = await host.world.call({ tenant: host.tenant, functionName: "opens", input: "lib/shapes.wasm areas" });
    const output = answer.kind === "completed" ? Buffer.from(answer.result.output as Uint8Array).toString() : answer;
    expect(output).toBe("areas: 7 of 3\n");
    await host.world.close();
    await pool.close();
  },
);
