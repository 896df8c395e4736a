/** Cases in the shape of WebAssembly/wasi-testsuite: a program, and beside it what it is given and what is expected of it. */
import { existsSync, globSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** What the suite's doc/specification.md lists. Missing fields have its defaults: nothing given, exit code 0, streams not looked at. */
export interface Specification {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The folder that is "/", beside the program. */
  readonly root?: string;
  /** Folders beside the program, under their own names. */
  readonly dirs?: readonly string[];
  readonly exit_code?: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

const FIELDS = new Set(["args", "env", "root", "dirs", "exit_code", "stdout", "stderr"]);

export interface Case {
  readonly name: string;
  readonly file: string;
  readonly specification: Specification;
  /** What the program calls the folders that it is given. */
  readonly folders: readonly { readonly host: string; readonly guest: string }[];
}

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  /** Undefined where it cannot be seen. */
  readonly stderr?: string;
}

/** The cases in a folder and those below it. @throws Error for a specification with a field that is not known */
export function casesIn(folder: string): readonly Case[] {
  return globSync("**/*.wasm", { cwd: folder })
    .sort()
    .map((path) => caseOf(join(folder, path)));
}

function caseOf(file: string): Case {
  const beside = `${file.slice(0, -".wasm".length)}.json`;
  const specification: Specification = existsSync(beside) ? JSON.parse(readFileSync(beside, "utf8")) : {};
  const unknown = Object.keys(specification).find((field) => !FIELDS.has(field));
  if (unknown !== undefined) {
    throw new Error(`${beside}: the field ${unknown} is not known; known are ${[...FIELDS].join(", ")}`);
  }
  const { root, dirs = [] } = specification;
  const place = (name: string) => join(dirname(file), name);
  const folders = [
    ...(root === undefined ? [] : [{ host: place(root), guest: "/" }]),
    ...dirs.map((name) => ({ host: place(name), guest: name })),
  ];
  return { name: basename(file, ".wasm"), file, specification, folders };
}

/** Removes what earlier runs have left: such names end in .cleanup. */
export function cleanUp({ folders }: Case): void {
  for (const { host } of folders) {
    for (const path of globSync("**/*.cleanup", { cwd: host })) {
      rmSync(join(host, path), { recursive: true, force: true });
    }
  }
}

/** What is not as the case expects it; empty when it passes. */
export function differences({ specification }: Case, ended: Ended): readonly string[] {
  const { exit_code: exitCode = 0, stdout, stderr } = specification;
  const differ = (what: string, expected: unknown, found: unknown) =>
    expected === undefined || found === undefined || expected === found
      ? []
      : [`${what} is ${JSON.stringify(found)}, must be ${JSON.stringify(expected)}`];
  return [
    ...differ("exit code", exitCode, ended.exitCode),
    ...differ("stdout", stdout, ended.stdout),
    ...differ("stderr", stderr, ended.stderr),
  ];
}
