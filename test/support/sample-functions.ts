/** The built sample functions as modules. */
import { readFileSync } from "node:fs";
import { buildFunctions } from "../../functions/build.ts";

/** All samples in AssemblyScript by "folder/name", built if something changed. */
export async function sampleModules(): Promise<ReadonlyMap<string, WebAssembly.Module>> {
  const built = await buildFunctions({ force: false, clang: null });
  return new Map(
    built.map(({ folder, name, wasmPath }) => [`${folder}/${name}`, new WebAssembly.Module(readFileSync(wasmPath))]),
  );
}
