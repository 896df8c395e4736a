/** This project's own cases for `neap run`, built into a folder as the public suite has it. */
import { spawnSync } from "node:child_process";
import { copyFileSync, globSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { compileFunction } from "../../../functions/build.ts";
import { type Case, casesIn } from "./cases.ts";

const ASSEMBLY = join(import.meta.dirname, "assembly");
/** What calls an abort: without it the compiler's library imports one. */
const ABORT = ["--use", "abort=test/conformance/wasi/assembly/wasi/abort"];

export const PROGRAMS: readonly string[] = globSync("*.json", { cwd: ASSEMBLY })
  .map((file) => basename(file, ".json"))
  .sort();

/** @returns the programs by their names */
export async function buildSuite(folder: string): Promise<ReadonlyMap<string, Case>> {
  makeRoot(folder, "folder");
  for (const program of PROGRAMS) {
    writeFileSync(join(folder, `${program}.wasm`), await compileFunction(join(ASSEMBLY, `${program}.ts`), ABORT));
    copyFileSync(join(ASSEMBLY, `${program}.json`), join(folder, `${program}.json`));
  }
  return new Map(casesIn(folder).map((one) => [one.name, one]));
}

/** A folder with links that lead out of it, and what they lead to beside it. */
function makeRoot(folder: string, name: string): void {
  const root = join(folder, name);
  mkdirSync(root);
  writeFileSync(join(folder, "secret"), "secret");
  symlinkSync(join(folder, "secret"), join(root, "absolute"));
  symlinkSync("../secret", join(root, "out"));
  symlinkSync("..", join(root, "out-folder"));
}

export function hasPython(): boolean {
  return spawnSync("python3", ["--version"]).status === 0;
}
