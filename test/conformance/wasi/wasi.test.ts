import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import packageFile from "../../../package.json" with { type: "json" };
import { temporaryFolder } from "../../support/host-process.ts";
import { ADAPTER, built, hasPython, makeRoot, PROGRAMS, type Specification, specificationOf } from "./suite.ts";

const NEAP = join(import.meta.dirname, "../../../host/cli/neap.ts");
const folder = temporaryFolder("wasi-suite");
const root = makeRoot(folder, "folder");
const paths = new Map<string, string>();

beforeAll(async () => {
  for (const program of PROGRAMS) {
    paths.set(program, await built(program, folder));
  }
});

afterAll(() => rmSync(folder, { recursive: true }));

function run(command: string, args: readonly string[], input = "") {
  const { status, stdout, stderr } = spawnSync(command, args, { input, encoding: "utf8" });
  return { status, stdout, stderr };
}

function wanted({ exit_code = 0, stdout, stderr }: Specification) {
  return { status: exit_code, ...(stdout !== undefined && { stdout }), ...(stderr !== undefined && { stderr }) };
}

describe("neap run", () => {
  it.each(PROGRAMS)("%s", (program) => {
    const specification = specificationOf(program);
    const { args = [], env = {} } = specification;
    const environment = Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
    const dirs = specification.root === undefined ? [] : ["--dir", `${root}::/`];
    const ended = run(process.execPath, [NEAP, "run", ...environment, ...dirs, paths.get(program) ?? "", ...args]);
    expect(ended).toMatchObject(wanted(specification));
  });
});

describe.skipIf(!hasPython())("the adapter for wasi-testsuite (skipped where there is no python3)", () => {
  it("tells name and version", () => {
    expect(run("python3", [ADAPTER, "--version"])).toMatchObject({ status: 0, stdout: `neap ${packageFile.version}\n` });
  });

  it("runs a program as a command", () => {
    const given = ["--arg", "first", "--arg=--the word", "--env", "ONE=x=y"];
    const ended = run("python3", [ADAPTER, ...given, "--test-file", paths.get("arguments") ?? ""]);
    expect(ended).toMatchObject({ status: 0, stdout: "first|--the word\nONE=x=y\n" });
    expect(run("python3", [ADAPTER, "--test-file", paths.get("exit-code") ?? ""]).status).toBe(13);
  });

  it("gives the runner the command line of a program", () => {
    const script = `import sys; sys.path.insert(0, ${JSON.stringify(import.meta.dirname)}); import json, neap
print(json.dumps([neap.compute_argv("t.wasm", (["a"], {"K": "V"}, "/root"), [], "world", "wasm32-wasip1"),
  neap.compute_argv("t.wasm", ([], {}, [("/host", "guest")]), [], "wasm32-wasip1"), neap.get_wasi_versions()]))`;
    const { status, stdout } = run("python3", ["-B", "-c", script]);
    expect(status).toBe(0);
    const [first, second, versions] = JSON.parse(stdout) as string[][];
    expect(first?.slice(2)).toEqual(["run", "--env", "K=V", "--dir", "/root::/", "t.wasm", "a"]);
    expect(second?.slice(2)).toEqual(["run", "--dir", "/host::guest", "t.wasm"]);
    expect(versions).toEqual(["wasm32-wasip1"]);
  });
});
