/** This project's own programs for `neap run`, in the shape of WebAssembly/wasi-testsuite: a program and what is expected of it. */
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { compileFunction } from "../../../functions/build.ts";

const ASSEMBLY = join(import.meta.dirname, "assembly");
/** What calls an abort: without it the compiler's library imports one. */
const ABORT = ["--use", "abort=test/conformance/wasi/assembly/wasi/abort"];
export const ADAPTER = join(import.meta.dirname, "neap.py");

/** Missing fields have the suite's defaults: nothing given, exit code 0, streams not looked at. */
export interface Specification {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly root?: string;
  readonly exit_code?: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

export const PROGRAMS: readonly string[] = globSync("*.json", { cwd: ASSEMBLY })
  .map((file) => basename(file, ".json"))
  .sort();

export function specificationOf(program: string): Specification {
  return JSON.parse(readFileSync(join(ASSEMBLY, `${program}.json`), "utf8")) as Specification;
}

/** Compiles a program into a folder. @returns its path */
export async function built(program: string, folder: string): Promise<string> {
  const path = join(folder, `${program}.wasm`);
  writeFileSync(path, await compileFunction(join(ASSEMBLY, `${program}.ts`), ABORT));
  return path;
}

/** A folder with links that lead out of it, and what they lead to beside it. */
export function makeRoot(folder: string, name: string): string {
  const root = join(folder, name);
  mkdirSync(root);
  writeFileSync(join(folder, "secret"), "secret");
  symlinkSync(join(folder, "secret"), join(root, "absolute"));
  symlinkSync("../secret", join(root, "out"));
  symlinkSync("..", join(root, "out-folder"));
  return root;
}

export function hasPython(): boolean {
  return spawnSync("python3", ["--version"]).status === 0;
}
